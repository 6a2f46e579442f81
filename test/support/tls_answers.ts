/**
 * What servers answer to a ClientHello, in records of any size.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";

/** A ServerHello of TLS 1.3, as far as anybody reads it. */
export function serverHello(size = 1000): Buffer {
  return inRecords(messageWith(Buffer.alloc(32, 7)), size);
}

/** A HelloRetryRequest (RFC 8446 4.1.3) for P-256. */
export function retryRequest(size = 1000): Buffer {
  return inRecords(messageWith(createHash("sha256").update("HelloRetryRequest").digest()), size);
}

function messageWith(random: Buffer): Buffer {
  const extensions = [0, 43, 0, 2, 3, 4, 0, 51, 0, 2, 0, 23];
  const body = Buffer.from([3, 3, ...random, 0, 0x13, 1, 0, 0, extensions.length, ...extensions]);
  return Buffer.from([2, 0, 0, body.length, ...body]);
}

/** The one record's worth of a hello, or another message of a handshake, in records of so many bytes. */
export function inRecords(message: Uint8Array, size: number): Buffer {
  const records: Buffer[] = [];
  for (let at = 0; at < message.length; at += size) {
    const part = message.subarray(at, at + size);
    records.push(Buffer.from([22, 3, 3, part.length >> 8, part.length & 0xff, ...part]));
  }
  return Buffer.concat(records);
}
