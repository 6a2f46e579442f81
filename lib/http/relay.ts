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
import { systemClock } from "../base/clock.ts";
import { HTTP_LIMITS } from "./exchange.ts";
import { H1Relay } from "./h1/relay.ts";
import type { RelayContext, RelaySpec } from "./relay_spec.ts";

export type { RelaySpec, Upstream } from "./relay_spec.ts";

/** Relays until both sides are closed, whoever closed them. Destroying `guest` ends it. */
export async function relay(spec: RelaySpec): Promise<void> {
  const context: RelayContext = {
    ...spec,
    limits: { ...HTTP_LIMITS, ...spec.limits },
    clock: spec.clock ?? systemClock,
  };
  if (spec.protocol === "http/1.1") return await new H1Relay(context).closed;
  const { H2Relay } = await import("./h2/relay.ts");
  await new H2Relay(context).closed;
}
