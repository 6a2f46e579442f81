/**
 * The guest's end of an intercepted session: sbx plays the server, with a leaf of its own authority.
 *
 * One context a flow, so that a ticket of one name is worth nothing under another (the guest then has
 * to shake hands anew, under the rules of the name that it states now), and no early data, which a
 * guest could replay.
 *
 * @module
 */
import type { Duplex } from "node:stream";
import { TLSSocket } from "node:tls";
import type { Identity } from "./leaves.ts";
import { linger } from "./linger.ts";
import { GUEST_CIPHERS, type TlsVersion } from "./offer.ts";

export interface TerminateSpec {
  /** The guest's bytes from the first one of its ClientHello on. */
  readonly guest: Duplex;
  readonly identity: Identity;
  /** What the server chose; null: no application protocol is negotiated. */
  readonly alpn: string | null;
  /** The version that the server chose: the guest's session is no weaker. */
  readonly minVersion: TlsVersion;
}

const HANDSHAKE_MS = 10_000;

/** Resolves with the plaintext of the guest, or null when no handshake came about. */
export function terminate(spec: TerminateSpec): Promise<TLSSocket | null> {
  const { guest, identity, alpn, minVersion } = spec;
  const { promise, resolve } = Promise.withResolvers<TLSSocket | null>();
  let secured = false;
  const socket = new TLSSocket(guest as never, {
    isServer: true,
    ...identity,
    ALPNProtocols: alpn === null ? [] : [alpn],
    minVersion,
    ciphers: GUEST_CIPHERS,
  });
  const timer = setTimeout(() => socket.destroy(), HANDSHAKE_MS);
  socket.on("error", () => {}); // `close` follows
  socket.once("close", () => {
    clearTimeout(timer);
    resolve(null);
    // Bun leaves the stream below as it is, alert or last bytes included.
    if (guest.writableEnded || !secured) linger(guest);
    else guest.destroy();
  });
  socket.once("secure", () => {
    clearTimeout(timer);
    secured = true;
    resolve(socket);
  });
  return promise;
}
