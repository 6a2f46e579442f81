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
import { formatEndpoint } from "../base/address.ts";
import type { ReasonId } from "../policy/policy.ts";
import type { Dialer } from "../tls/dial.ts";
import { join } from "../tls/join.ts";
import type { Identity } from "../tls/leaves.ts";
import { linger } from "../tls/linger.ts";
import { Alert, type AlertCode, fatalAlert, type Offer, readOffer } from "../tls/offer.ts";
import { terminate } from "../tls/terminate.ts";
import type { UpstreamFailure } from "../tls/upstream_failure.ts";
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
  readonly onRefused: (why: { readonly reason: ReasonId; readonly detail?: string }) => void;
}

/** Serves the flow until it ends; never rejects. */
export async function intercept(spec: InterceptSpec): Promise<void> {
  const { stream, flow: { hello, info }, onRefused } = spec;
  const offer = readOffer(hello, spec.opaque);
  if ("alert" in offer) {
    onRefused(unspeakable(offer.alert));
    return linger(stream, fatalAlert(offer.alert));
  }
  const gone = new AbortController();
  stream.once("close", () => gone.abort());
  const dialled = await dial(spec, offer, gone.signal);
  if (dialled.kind === "failed") return refuse(spec, dialled.failure);
  const { session } = dialled;
  const host = hello.sni ?? info.dst;
  const guest = await terminate({
    guest: stream,
    identity: await spec.leafFor(host),
    alpn: session.alpn,
    minVersion: session.version,
  });
  if (guest === null) return void session.socket.destroy();
  await join(guest, session.socket);
  const lost = session.lost();
  if (lost?.kind === "mtls") onRefused({ reason: "mtls" });
}

function dial({ flow, dialer, onDialled }: InterceptSpec, offer: Offer, signal: AbortSignal) {
  const { info, ruling, hello } = flow;
  const to = ruling.dial ?? formatEndpoint(info.dst, info.dport);
  const { address, port } = splitEndpoint(to);
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

/** The inverse of formatEndpoint. */
function splitEndpoint(text: string): { readonly address: string; readonly port: number } {
  const colon = text.lastIndexOf(":");
  const address = text.slice(0, colon).replace(/^\[|\]$/g, "");
  return { address, port: Number(text.slice(colon + 1)) };
}

function refuse({ stream, onRefused }: InterceptSpec, failure: UpstreamFailure): void {
  switch (failure.kind) {
    case "unreachable":
      return void stream.destroy();
    case "untrusted":
      onRefused({ reason: "upstream-untrusted", detail: failure.why });
      return linger(stream, fatalAlert(failure.alert));
    case "mtls":
      onRefused({ reason: "mtls" });
      return linger(stream, fatalAlert(failure.alert));
    case "handshake":
      onRefused({ reason: "upstream-tls", detail: failure.why });
      return linger(stream, fatalAlert(failure.alert));
  }
}

function unspeakable(alert: AlertCode): { readonly reason: ReasonId; readonly detail?: string } {
  return alert === Alert.NoApplicationProtocol
    ? { reason: "tls-protocol", detail: "no protocol that the guest offers is relayed" }
    : {
      reason: "upstream-tls",
      detail: "the guest offers neither TLS 1.2 nor 1.3 as sbx speaks them",
    };
}
