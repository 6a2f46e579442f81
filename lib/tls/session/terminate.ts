/**
 * The guest's end of an intercepted session: sbx plays the server, with a leaf of its own authority.
 *
 * Bun keeps one context for equal options, and a leaf is for one host: so a session can be resumed for
 * that host alone, and a ticket of one name is worth nothing under another (test/network/tls_hostile_test.ts
 * would tell). No early data is taken, which a guest could replay.
 *
 * @module
 */
import type { Duplex } from "node:stream";
import { TLSSocket } from "node:tls";
import { type Clock, systemClock } from "../../base/clock.ts";
import type { Identity } from "../authority/leaves.ts";
import { linger } from "./linger.ts";
import { GUEST_CIPHERS, type TlsVersion } from "./offer.ts";
import { Carrier, Session } from "./session.ts";

export interface TerminateSpec {
  /** The guest's bytes from the first one of its ClientHello on. */
  readonly guest: Duplex;
  readonly identity: Identity;
  /** What the server chose; null: no application protocol is negotiated. */
  readonly alpn: string | null;
  /** The version that the server chose: the guest's session is no weaker. */
  readonly minVersion: TlsVersion;
  readonly clock?: Clock;
}

/** A guest that is emulated, on a loaded machine, takes more than ten seconds. */
const HANDSHAKE_MS = 60_000;

/**
 * Resolves with the plaintext of the guest, or null when no handshake came about; then the guest got
 * the alert that says why, and the flow is being closed.
 */
export function terminate(spec: TerminateSpec): Promise<Session | null> {
  const { guest, identity, alpn, minVersion } = spec;
  const { promise, resolve } = Promise.withResolvers<Session | null>();
  const carrier = new Carrier(guest, "drop");
  const engine = new TLSSocket(carrier as never, {
    isServer: true,
    ...identity,
    ALPNProtocols: alpn === null ? [] : [alpn],
    minVersion,
    ciphers: GUEST_CIPHERS,
  });
  const fail = () => {
    engine.off("close", fail);
    carrier.off("cut", fail);
    resolve(null);
    engine.destroy();
    linger(guest);
  };
  const disarm = (spec.clock ?? systemClock).after(HANDSHAKE_MS, fail);
  engine.on("error", () => {}); // `close` follows
  engine.once("close", fail);
  carrier.once("cut", fail);
  engine.once("secure", () => {
    engine.off("close", fail);
    carrier.off("cut", fail);
    resolve(new Session(engine, carrier, "drop"));
  });
  return promise.finally(disarm);
}
