/**
 * Whether a name may be resolved, asked when the port of the later flow is not known yet.
 *
 * The same ordered walk as for a flow, outbound:
 * - an allow of the name resolves it, whatever protocol and ports it opens later;
 * - a deny of the name refuses it only if unlimited: `deny@x.com:tcp:80` leaves `x.com:443` alone;
 * - rules about `any` or `host` match as a flow to the resolver would: the query's transport, port 53;
 * - rules about other addresses say nothing about names.
 *
 * So a policy that denies by default resolves exactly the names it allows, and a query for any other
 * name, with whatever the guest has encoded in its labels, never leaves the host.
 *
 * @module
 */

import type { CompiledPolicy } from "./compile.ts";

/** One question as policy sees it; the name is canonical. */
export interface NameQuery {
  readonly name: string;
  readonly transport: "udp" | "tcp";
  /** The port the guest sent the question to, normally 53. */
  readonly port: number;
}

export interface NameVerdict {
  readonly verdict: "resolve" | "refuse";
  readonly reason: "rule" | "default";
  /** Index into `Policy.rules` when `reason` is `rule`. */
  readonly rule?: number;
}

export function evaluateName(compiled: CompiledPolicy, query: NameQuery): NameVerdict {
  const { allow, deny, default: otherwise } = compiled.outbound;
  const resolver = (index: typeof allow) =>
    Math.min(
      index.any.first(query.transport, query.port),
      index.host.first(query.transport, query.port),
    );
  const allowed = Math.min(resolver(allow), allow.lowestByName(query.name));
  const denied = Math.min(resolver(deny), deny.lowestUnscopedByName(query.name));
  if (allowed < denied) return { verdict: "resolve", reason: "rule", rule: allowed };
  if (denied < allowed) return { verdict: "refuse", reason: "rule", rule: denied };
  return { verdict: otherwise === "allow" ? "resolve" : "refuse", reason: "default" };
}
