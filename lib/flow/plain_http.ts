/**
 * One flow of plain HTTP under rules about names: every request on it is judged by the host that it
 * states, because the server at a judged address may have others.
 *
 * ```
 * DIALLING ──► RELAYING ──► over
 *     └─ refused, silent ─► reset
 * ```
 *
 * @module
 */
import type { Exchange } from "../http/exchange.ts";
import type { RequestGate } from "../http/gate.ts";
import type { RelaySpec } from "../http/relay_spec.ts";
import { dialServed, type ServedStreamSpec } from "./dial_served.ts";

export interface PlainHttpSpec extends ServedStreamSpec {
  /** The flow's number, for a trace. */
  readonly id?: number;
  readonly gate: RequestGate;
  /**
   * Requests are for others than this server, as a proxy's are; tunnels may follow from them. `admit` is asked
   * about each piece of the guest's, whatever it is part of. Absent: requests are for the server.
   */
  readonly proxied?: Required<Pick<RelaySpec, "admit" | "tunnel">>;
  readonly onExchange: (exchange: Exchange) => void;
}

/** Serves the flow until it ends; never rejects. */
export async function servePlainHttp(spec: PlainHttpSpec): Promise<void> {
  const { stream, flow, id, gate, proxied, onExchange, onEnd } = spec;
  const server = await dialServed(spec);
  if (server === null) return;
  // Policies without rules about names never get here, and need not load it.
  const { relay } = await import("../http/relay.ts");
  await relay({
    guest: stream,
    upstream: { kind: "open", stream: server },
    protocol: "http/1.1",
    destination: {
      scheme: "http",
      host: null,
      port: flow.info.dport,
      ...(proxied === undefined ? {} : { proxy: true }),
    },
    gate,
    ...proxied,
    onExchange,
    onEnd,
    ...(id === undefined ? {} : { id }),
  });
}
