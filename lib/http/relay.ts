/**
 * HTTP between a guest and its server, request by request under policy.
 *
 * The relay gets plain bytes on both sides: whoever calls it has judged the flow, dialled the server
 * at the judged address, verified it, and speaks the same version of HTTP on both sides. It never
 * dials, resolves or follows anything that a request names.
 *
 * One guest connection has one server connection, so answers cannot cross between guests, and either
 * side's pace is the other's. Requests and responses are made anew from parsed values; bytes that do
 * not parse go nowhere.
 *
 * @module
 */
import type { Duplex } from "node:stream";
import { type Clock, systemClock } from "../base/clock.ts";
import type { Destination } from "./authority.ts";
import {
  type Exchange,
  HTTP_LIMITS,
  type HttpLimits,
  type JudgeRequest,
  type Refusal,
  type RelayEnd,
} from "./exchange.ts";
import { H1Relay } from "./h1_relay.ts";

/** The server's side. */
export type Upstream =
  | { readonly kind: "open"; readonly stream: Duplex }
  /** There is none: every request is answered with the refusal. */
  | { readonly kind: "failed"; readonly refusal: Refusal };

export interface RelaySpec {
  /** Plain bytes of the guest, from the first of its first request on. Owned by the relay. */
  readonly guest: Duplex;
  readonly upstream: Upstream;
  /** What both sides speak. */
  readonly protocol: "http/1.1" | "h2";
  /** What every request has to state. */
  readonly destination: Destination;
  readonly judge: JudgeRequest;
  /** Told of every request once, when it is over. */
  readonly onExchange: (exchange: Exchange) => void;
  /** Told once, before either side is closed. */
  readonly onEnd?: (end: RelayEnd) => void;
  readonly limits?: Partial<HttpLimits>;
  readonly clock?: Clock;
}

/** The spec with its defaults filled in. */
export interface RelayContext extends RelaySpec {
  readonly limits: HttpLimits;
  readonly clock: Clock;
}

/** Relays until both sides are closed, whoever closed them. Destroying `guest` ends it. */
export async function relay(spec: RelaySpec): Promise<void> {
  const context: RelayContext = {
    ...spec,
    limits: { ...HTTP_LIMITS, ...spec.limits },
    clock: spec.clock ?? systemClock,
  };
  if (spec.protocol === "http/1.1") return await new H1Relay(context).closed;
  const { H2Relay } = await import("./h2_relay.ts");
  await new H2Relay(context).closed;
}
