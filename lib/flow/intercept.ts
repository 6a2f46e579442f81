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
import { formatEndpoint } from "../base/address.ts";
import type { Exchange, JudgeRequest, Refusal } from "../http/exchange.ts";
import type { FlowEnd } from "./control_message.ts";
import type { Upstream } from "../http/relay.ts";
import type { Dialer } from "../tls/dial.ts";
import type { Identity } from "../tls/leaves.ts";
import { linger } from "../tls/linger.ts";
import {
  Alert,
  type AlertCode,
  fatalAlert,
  type Offer,
  readOffer,
  type TlsVersion,
} from "../tls/offer.ts";
import { terminate } from "../tls/terminate.ts";
import type { UpstreamFailure } from "../tls/upstream_failure.ts";
import { carry } from "./carry.ts";
import { endOfDial, parseAddressPort } from "./dial.ts";
import type { FlowStream } from "./flow_stream.ts";
import type { InterceptedFlow } from "./flow_table.ts";

export interface InterceptSpec {
  readonly stream: FlowStream;
  readonly flow: InterceptedFlow;
  readonly dialer: Dialer;
  readonly leafFor: (host: string) => Promise<Identity>;
  /** Anything but HTTP may pass, unread. */
  readonly opaque: boolean;
  /** The server answered at this address. */
  readonly onDialled: (address: string) => void;
  /** The flow goes no further. */
  readonly onRefused: (why: Refusal) => void;
  readonly judge: JudgeRequest;
  readonly onExchange: (exchange: Exchange) => void;
  /** How the flow ended; the first call tells. */
  readonly onEnd: (end: FlowEnd) => void;
}

/** Serves the flow until it ends. Rejects when no leaf can be made, with the server let go. */
export async function intercept(spec: InterceptSpec): Promise<void> {
  const { stream, flow: { hello }, opaque, onRefused } = spec;
  const offer = readOffer(hello, opaque);
  if ("alert" in offer) {
    onRefused(unspeakable(offer.alert));
    return linger(stream, fatalAlert(offer.alert));
  }
  const gone = new AbortController();
  stream.once("close", () => gone.abort());
  const dialled = await dial(spec, offer, gone.signal);
  if (dialled.kind === "failed") return await refuse(spec, offer, dialled.failure);
  const { session } = dialled;
  const { stream: server, alpn, version } = session;
  const guest = await shake(spec, alpn, version).catch((error) => {
    server.destroy();
    throw error;
  });
  if (guest === null) {
    spec.onEnd("reset-guest");
    return void server.destroy();
  }
  const early = session.lost(); // the server may have thought better of it meanwhile
  if (early?.kind === "mtls") onRefused(reasonOf(early));
  const upstream = early === null
    ? { kind: "open", stream: server } as const
    : failedUpstream(early);
  await serve(spec, guest, alpn, upstream);
  const late = session.lost();
  if (early === null && late?.kind === "mtls") onRefused(reasonOf(late));
}

async function shake(
  { stream, flow, leafFor }: InterceptSpec,
  alpn: string | null,
  minVersion: TlsVersion,
) {
  const identity = await leafFor(flow.hello.sni ?? flow.info.dst);
  return await terminate({ guest: stream, identity, alpn, minVersion });
}

/** Hands the guest's plaintext over to what it is. */
async function serve(
  { flow: { hello, info }, opaque, judge, onExchange, onEnd }: InterceptSpec,
  guest: Duplex,
  alpn: string | null,
  upstream: Upstream,
): Promise<void> {
  // What a request states is what the session stated. One without a name may name any
  // host that policy would let it reach at this address.
  const destination = { host: hello.sni, port: info.dport };
  await carry({ guest, upstream, alpn, opaque, destination, judge, onExchange, onEnd });
}

function dial({ flow, dialer, onDialled }: InterceptSpec, offer: Offer, signal: AbortSignal) {
  const { info, ruling, hello } = flow;
  const to = ruling.dial ?? formatEndpoint(info.dst, info.dport);
  const { address, port } = parseAddressPort(to);
  return dialer.dial({
    address,
    port,
    sni: hello.sni,
    identity: info.dst,
    offer,
    signal,
    onConnect: () => onDialled(to),
  });
}

async function refuse(spec: InterceptSpec, offer: Offer, failure: UpstreamFailure): Promise<void> {
  const { stream, onRefused } = spec;
  if (failure.kind === "unreachable") {
    spec.onEnd(endOfDial(failure.code));
    return void stream.destroy();
  }
  onRefused(reasonOf(failure));
  const alpn = ["http/1.1", "h2"].find((name) => offer.alpn.includes(name)) ?? null;
  const readsHttp = alpn !== null || offer.alpn.length === 0 && !spec.opaque;
  // Without a certificate to show, the reason is worth telling in words; a server that does not speak
  // the guest's TLS has said all there is to say.
  if (failure.kind === "handshake" || !readsHttp) return linger(stream, fatalAlert(failure.alert));
  const guest = await shake(spec, alpn, offer.minVersion);
  if (guest !== null) await serve(spec, guest, alpn, failedUpstream(failure));
}

function failedUpstream(failure: UpstreamFailure): Upstream {
  return { kind: "failed", refusal: reasonOf(failure) };
}

function reasonOf(failure: UpstreamFailure): Refusal {
  switch (failure.kind) {
    case "unreachable":
      return { reason: "upstream-closed", detail: failure.code };
    case "untrusted":
      return { reason: "upstream-untrusted", detail: failure.why };
    case "mtls":
      return { reason: "mtls" };
    case "handshake":
      return { reason: "upstream-tls", detail: failure.why };
  }
}

function unspeakable(alert: AlertCode): Refusal {
  return alert === Alert.NoApplicationProtocol
    ? { reason: "tls-protocol", detail: "no protocol that the guest offers is relayed" }
    : {
      reason: "upstream-tls",
      detail: "the guest offers neither TLS 1.2 nor 1.3 as sbx speaks them",
    };
}
