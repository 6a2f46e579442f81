/**
 * How a ClientHello is framed, and as much of one as is waited for (RFC 8446 4 and 5.1).
 *
 * @module
 */

/** Content types of records: change_cipher_spec, alert, handshake, application_data, heartbeat. */
const FIRST_RECORD = 20;
const LAST_RECORD = 24;
export const HANDSHAKE = 22;
export const RECORD_HEADER = 5;
export const MAX_RECORD = 16_384;

export const CLIENT_HELLO = 1;
export const MESSAGE_HEADER = 4;
/** As much as netstack waits for. Larger than any client's; post-quantum key shares make about 2 KiB. */
export const MAX_HELLO = 32 * 1024;

/** Whether what begins with this byte is a record of TLS. */
export function isRecord(byte: number): boolean {
  return byte >= FIRST_RECORD && byte <= LAST_RECORD;
}
