/**
 * One intercepted flow, from the guest's ClientHello to its last byte.
 *
 * ```
 * READ ──► DIALLING ──► MINTING ──► SHAKING ──► RELAYING ──► over
 *   │          │           └─────────────────────┴─► reset
 *   │          └─ refused, silent ─► reset; distrusted ─► answered, or an alert
 *   └─ nothing in common ─► an alert, and nobody was dialled
 * ```
 *
 * The server comes first: what it chooses, and whether it is who the guest asked for, decides what the
 * guest is offered. So the guest's handshake is answered last, and until then not a byte of it has
 * gone out.
 *
 * @module
 */
import type { Duplex } from "node:stream";
import type { Exchange, Refusal } from "../http/exchange.ts";
import type { RequestGate } from "../http/gate.ts";
import type { Upstream } from "../http/relay.ts";
import { offerRefusal, serverRefusal } from "../judge/session.ts";
import type { Identity } from "../tls/authority/leaves.ts";
import type { Dialer, Dialled } from "../tls/session/dial.ts";
import { linger } from "../tls/session/linger.ts";
import {
  chosenForGuest,
  fatalAlert,
  type Offer,
  readOffer,
  type TlsVersion,
} from "../tls/session/offer.ts";
import { terminate } from "../tls/session/terminate.ts";
import type { UpstreamFailure } from "../tls/session/upstream_failure.ts";
import type { FlowEnd } from "./control_message.ts";
import { endOfDial } from "./dial.ts";
import { dialUpstream } from "./dial_upstream.ts";
import type { FlowStream } from "./flow_stream.ts";
import type { InterceptedFlow } from "./flow_table.ts";
import { relaySession } from "./session_relay.ts";

export interface InterceptSpec {
  readonly stream: FlowStream;
  readonly flow: InterceptedFlow;
  readonly dialer: Dialer;
  readonly leafFor: (host: string) => Promise<Identity>;
  /** Anything but HTTP may pass, unread. */
  readonly opaque: boolean;
  /** How long nothing may move between guest and server. */
  readonly idleMs: number;
  /** The flow's number, for a trace. */
  readonly id?: number;
  /** The server answered at this address. */
  readonly onDialled: (address: string) => void;
  /** The flow goes no further. */
  readonly onRefused: (why: Refusal) => void;
  /** Once there is a session with the server, or none to be had. */
  readonly gateFor: (server: ServerFacts) => RequestGate;
  readonly onExchange: (exchange: Exchange) => void;
  /** Asked about each piece of the guest's that passes unread. Absent: all of them may. */
  readonly admit?: (bytes: Uint8Array) => boolean;
  /** How the flow ended; the first call tells. */
  readonly onEnd: (end: FlowEnd) => void;
}

/** What came of the session with the server. */
export interface ServerFacts {
  /** There is one. */
  readonly open: boolean;
  /** In it the server proved its name. */
  readonly verified: boolean;
}

const NO_SERVER: ServerFacts = { open: false, verified: false };

/** Serves the flow until it ends. Rejects when no leaf can be made, with the server let go. */
export async function intercept(spec: InterceptSpec): Promise<void> {
  const { stream, flow: { hello }, opaque, onRefused } = spec;
  const offer = readOffer(hello, opaque);
  if ("alert" in offer) {
    onRefused(offerRefusal(offer.alert));
    return linger(stream, fatalAlert(offer.alert));
  }
  const gone = new AbortController();
  stream.once("close", () => gone.abort());
  const dialled = await dial(spec, offer, gone.signal);
  if (dialled.kind === "failed") return await refuse(spec, offer, dialled.failure);
  const { session } = dialled;
  const { stream: server, alpn, version, verified } = session;
  const greeted = alpn === "h2";
  if (greeted) server.write((await import("../http/h2/relay.ts")).serverGreeting());
  const guest = await shake(spec, alpn, version).catch((error) => {
    server.destroy();
    throw error;
  });
  if (guest === null) {
    spec.onEnd("reset-guest");
    return void server.destroy();
  }
  const early = session.lost(); // the server may have thought better of it meanwhile
  if (early?.kind === "mtls") onRefused(serverRefusal(early));
  const [upstream, facts] = early === null
    ? [{ kind: "open", stream: server, greeted }, { open: true, verified }] as const
    : [failedUpstream(early), NO_SERVER];
  await serve(spec, guest, alpn, upstream, facts);
  const late = session.lost();
  if (early === null && late?.kind === "mtls") onRefused(serverRefusal(late));
}

async function shake(
  { stream, flow, leafFor }: InterceptSpec,
  alpn: string | null,
  minVersion: TlsVersion,
) {
  const identity = await leafFor(flow.hello.sni ?? flow.info.dst);
  const chosen = chosenForGuest(alpn, flow.hello);
  return await terminate({ guest: stream, identity, alpn: chosen, minVersion });
}

/** Hands the guest's plaintext over to what it is. */
async function serve(
  { flow: { hello, info }, opaque, idleMs, id, gateFor, onExchange, admit, onEnd }: InterceptSpec,
  guest: Duplex,
  alpn: string | null,
  upstream: Upstream,
  facts: ServerFacts,
): Promise<void> {
  // What a request states is what the session stated. One without a name may name any
  // host that policy would let it reach at this address.
  const destination = { scheme: "https" as const, host: hello.sni, port: info.dport };
  await relaySession({
    guest,
    upstream,
    alpn,
    opaque,
    idleMs,
    destination,
    gate: gateFor(facts),
    onExchange,
    onEnd,
    ...(admit === undefined ? {} : { admit }),
    ...(id === undefined ? {} : { id }),
  });
}

async function dial(spec: InterceptSpec, offer: Offer, signal: AbortSignal): Promise<Dialled> {
  const { flow, dialer, onDialled } = spec;
  const connection = await dialUpstream({ flow, signal });
  if (connection.kind === "failed") {
    return { kind: "failed", failure: { kind: "unreachable", code: connection.code } };
  }
  onDialled(connection.at);
  return await dialer.dial({
    socket: connection.socket,
    sni: flow.hello.sni,
    identity: flow.info.dst,
    offer,
    signal,
  });
}

async function refuse(spec: InterceptSpec, offer: Offer, failure: UpstreamFailure): Promise<void> {
  const { stream, onRefused } = spec;
  if (failure.kind === "unreachable") {
    spec.onEnd(endOfDial(failure.code));
    return void stream.destroy();
  }
  onRefused(serverRefusal(failure));
  const alpn = ["http/1.1", "h2"].find((name) => offer.alpn.includes(name)) ?? null;
  const readsHttp = alpn !== null || offer.alpn.length === 0 && !spec.opaque;
  // Without a certificate to show, the reason is worth telling in words; a server that does not speak
  // the guest's TLS has said all there is to say.
  if (failure.kind === "handshake" || !readsHttp) return linger(stream, fatalAlert(failure.alert));
  const guest = await shake(spec, alpn, offer.minVersion);
  if (guest !== null) await serve(spec, guest, alpn, failedUpstream(failure), NO_SERVER);
}

function failedUpstream(failure: UpstreamFailure): Upstream {
  return { kind: "failed", refusal: serverRefusal(failure) };
}
