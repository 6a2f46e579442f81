/**
 * What travels inside an intercepted session, given to whoever relays it.
 *
 * ```
 * h2, http/1.1 negotiated ──► HTTP, request by request
 * another protocol        ──► bytes (negotiated only where that is allowed)
 * none negotiated         ──► HTTP/1.1; where bytes may pass, whichever the first bytes look like
 *                             └─► watched, while they may still become a request
 * ```
 *
 * @module
 */
import { Buffer } from "node:buffer";
import type { Duplex } from "node:stream";
import type { Destination } from "../http/authority.ts";
import { type Exchange, refusedExchange, type RelayEnd } from "../http/exchange.ts";
import type { RequestGate } from "../http/gate.ts";
import { relay, type Upstream } from "../http/relay.ts";
import { parseHttpHost } from "../judge/http_host.ts";
import { RequestReader } from "../judge/request_reader.ts";
import { join, type JoinEnd } from "../tls/session/join.ts";
import { HTTP_PROTOCOLS } from "../tls/session/offer.ts";

export interface SessionRelaySpec {
  /** Plain bytes. */
  readonly guest: Duplex;
  readonly upstream: Upstream;
  readonly alpn: string | null;
  /** What is not HTTP passes, unread. */
  readonly opaque: boolean;
  /** Asked about each piece that the guest says unread: whether it may pass, and all after it. */
  readonly admit?: (bytes: Uint8Array) => boolean;
  /** How long nothing may move; Infinity (the default) for ever. */
  readonly idleMs?: number;
  /** The flow's number, for a trace. */
  readonly id?: number;
  readonly destination: Destination;
  readonly gate: RequestGate;
  readonly onExchange: (exchange: Exchange) => void;
  /** The first call tells. */
  readonly onEnd: (end: RelayEnd) => void;
}

/** Resolves when both sides are closed. */
export async function relaySession(spec: SessionRelaySpec): Promise<void> {
  const { guest, upstream, alpn, opaque, admit = () => true, idleMs = Infinity } = spec;
  if (upstream.kind === "open" && opaque) {
    const kind = await kindOf(guest, upstream.stream, alpn);
    if (kind === "open" && !await escort(guest, upstream.stream, admit)) {
      return refuse(spec, upstream);
    }
    if (kind !== "http") {
      const onEnd = (why: JoinEnd) => spec.onEnd(why === "idle" ? why : `reset-${why}`);
      await join(guest, upstream.stream, { onEnd, idleMs, admit });
      return spec.onEnd("eof");
    }
  }
  // Requests are read, so their gate is asked in the place of `admit`.
  const { admit: _, ...read } = spec;
  const limits = { idleMs, silenceMs: idleMs };
  await relay({ ...read, protocol: alpn === "h2" ? "h2" : "http/1.1", limits });
}

async function kindOf(
  guest: Duplex,
  upstream: Duplex,
  alpn: string | null,
): Promise<"bytes" | "open" | "http"> {
  if (alpn !== null) return HTTP_PROTOCOLS.has(alpn) ? "http" : "bytes";
  const first = await whoSpeaks(guest, upstream);
  if (first === null) return "bytes"; // No HTTP server speaks before it is asked.
  const { kind } = parseHttpHost(first);
  return kind === "open" ? kind : kind === "not-http" ? "bytes" : "http";
}

/** What has gone out of it cannot be taken back, so that there is nothing to answer. */
function refuse(
  { guest, onExchange, onEnd }: SessionRelaySpec,
  { stream }: Upstream & { kind: "open" },
) {
  const refused = {
    reason: "request-malformed",
    detail: "behind bytes of another protocol",
  } as const;
  onExchange(refusedExchange(refused));
  onEnd("reset-guest");
  guest.destroy();
  stream.destroy();
}

/**
 * Passes on what no server can act on, until the server speaks, or it is certain that none reads a
 * request in there. False: one might; what would have made it so has not gone out.
 */
function escort(
  guest: Duplex,
  upstream: Duplex,
  admit: (bytes: Uint8Array) => boolean,
): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const reader = new RequestReader();
  const settle = (free: boolean) => {
    guest.off("readable", look).off("close", left).off("end", ended);
    upstream.off("readable", look).off("close", left).off("drain", look);
    resolve(free);
  };
  const left = () => settle(true);
  const ended = () => {
    upstream.end();
    settle(true);
  };
  const look = () => {
    while (!upstream.writableNeedDrain) {
      if (upstream.readableLength > 0) return settle(true);
      const chunk: Uint8Array | null = guest.read();
      if (chunk === null) return;
      if (!admit(chunk)) {
        guest.destroy();
        upstream.destroy();
        return settle(true);
      }
      const state = reader.push(chunk);
      if (state === "whole" || state === "partial") return settle(false);
      upstream.write(chunk);
      if (state === "opaque") return settle(true);
    }
  };
  guest.on("readable", look).on("close", left).on("end", ended);
  upstream.on("readable", look).on("close", left).on("drain", look);
  look();
  return promise;
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
