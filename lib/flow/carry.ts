/**
 * What travels inside an intercepted session, given to whoever relays it.
 *
 * ```
 * h2, http/1.1 negotiated ──► HTTP, request by request
 * another protocol        ──► bytes (negotiated only where that is allowed)
 * none negotiated         ──► HTTP/1.1; where bytes may pass, whichever the first bytes look like
 * ```
 *
 * @module
 */
import { Buffer } from "node:buffer";
import type { Duplex } from "node:stream";
import type { Exchange, JudgeRequest, RelayEnd } from "../http/exchange.ts";
import { relay, type Upstream } from "../http/relay.ts";
import type { Destination } from "../http/authority.ts";
import { join } from "../tls/join.ts";
import { HTTP_PROTOCOLS } from "../tls/offer.ts";
import { parseHttpHost } from "./http_host.ts";

export interface CarrySpec {
  /** Plain bytes. */
  readonly guest: Duplex;
  readonly upstream: Upstream;
  readonly alpn: string | null;
  /** What is not HTTP passes, unread. */
  readonly opaque: boolean;
  readonly destination: Destination;
  readonly judge: JudgeRequest;
  readonly onExchange: (exchange: Exchange) => void;
  /** The first call tells. */
  readonly onEnd: (end: RelayEnd) => void;
}

/** Resolves when both sides are closed. */
export async function carry(spec: CarrySpec): Promise<void> {
  const { guest, upstream, alpn, opaque } = spec;
  if (upstream.kind === "open" && opaque && await isBytes(guest, upstream.stream, alpn)) {
    await join(guest, upstream.stream, (side) => spec.onEnd(`reset-${side}`));
    return spec.onEnd("eof");
  }
  await relay({ ...spec, protocol: alpn === "h2" ? "h2" : "http/1.1" });
}

async function isBytes(guest: Duplex, upstream: Duplex, alpn: string | null): Promise<boolean> {
  if (alpn !== null) return !HTTP_PROTOCOLS.has(alpn);
  const first = await whoSpeaks(guest, upstream);
  // No HTTP server speaks before it is asked.
  return first === null || parseHttpHost(first).kind === "not-http";
}

/** Longer than any method that a client could mean, so that a few bytes tell HTTP from the rest. */
const ENOUGH = 64;
const PATIENCE_MS = 10_000;

/** The first bytes of the guest, which are put back; null when the server speaks before it. */
function whoSpeaks(guest: Duplex, upstream: Duplex): Promise<Uint8Array | null> {
  const { promise, resolve } = Promise.withResolvers<Uint8Array | null>();
  let seen = Buffer.alloc(0);
  const settle = (first: Uint8Array | null) => {
    clearTimeout(timer);
    guest.off("readable", look).off("close", over);
    upstream.off("readable", greeted).off("close", over);
    if (seen.length > 0) guest.unshift(seen);
    resolve(first);
  };
  const over = () => settle(seen);
  const greeted = () => settle(null);
  const look = () => {
    for (let chunk; (chunk = guest.read()) !== null;) seen = Buffer.concat([seen, chunk]);
    const undecided = seen.length < ENOUGH && parseHttpHost(seen).kind === "partial";
    if (!undecided) settle(seen);
  };
  const timer = setTimeout(over, PATIENCE_MS);
  guest.on("readable", look).on("close", over);
  upstream.on("readable", greeted).on("close", over);
  return promise;
}
