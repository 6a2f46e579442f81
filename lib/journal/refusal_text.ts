/**
 * Refusals in words: what was refused, why, and which option would have let it pass.
 *
 * @module
 */
import { formatEndpoint } from "../base/address.ts";
import { escapeText } from "../base/escape.ts";
import { canonicalName } from "../base/name.ts";
import type { DnsEvent } from "../dns/service.ts";
import type { Exchange } from "../http/exchange.ts";
import { type Change, formatChange } from "../judge/change.ts";
import { type FlowInfo, hasPorts } from "../judge/flow_info.ts";
import { hintFor, type Refused } from "../judge/hint.ts";
import type { Ruling } from "../judge/ruling.ts";
import type { Snapshot } from "../judge/snapshot.ts";
import type { ReasonId, Refusal } from "../policy/model/policy.ts";
import { refusalText } from "../policy/text/refusal_text.ts";
import type { DeniedAttempt, Hint } from "./denials.ts";

/** A flow whose requests sbx relays. */
export interface RelayedFlow {
  readonly id: number;
  readonly info: FlowInfo;
  readonly scheme: "http" | "https";
}

/** A flow that policy kept from opening. */
export function flowRefusal(snapshot: Snapshot, info: FlowInfo, ruling: Ruling): DeniedAttempt {
  const name = ruling.name === undefined ? {} : { name: escapeText(ruling.name) };
  return {
    target: flowTarget(info),
    ...name,
    ...whyOf(snapshot, ruling),
    hint: () => hint(snapshot, { kind: "flow", info, ruling }),
  };
}

/** A question that was not answered. */
export function dnsRefusal(
  snapshot: Snapshot,
  event: DnsEvent & { reason: ReasonId },
): DeniedAttempt {
  const shown = escapeText(event.name);
  const name = canonicalName(event.name);
  const { via, ...refusal } = event;
  return {
    target: shown === "" ? "dns" : `dns ${shown}`,
    ...whyOf(snapshot, event),
    ...(name === null ? {} : { hint: () => hint(snapshot, { kind: "name", name, via, refusal }) }),
  };
}

/** A request that sbx answered in its server's place. */
export function requestRefusal(
  snapshot: Snapshot,
  { info, scheme }: RelayedFlow,
  { request }: Exchange,
  refusal: Refusal,
): DeniedAttempt {
  const why = whyOf(snapshot, refusal);
  if (request === undefined) return { target: `a request on ${flowTarget(info)}`, ...why };
  const { method, host, path } = request;
  return {
    target: escapeText(`${method} ${scheme}://${host}${path}`),
    ...why,
    hint: () => hint(snapshot, { kind: "request", info, scheme, host, refusal }),
  };
}

/** `tcp 10.0.0.5:5432`, `icmpv4 10.9.9.9`, `tcp from 127.0.0.1 to port 80`. */
function flowTarget({ dir, proto, src, dst, dport }: FlowInfo): string {
  if (dir === "inbound") return `${proto} from ${src} to port ${dport}`;
  return `${proto} ${hasPorts({ proto }) ? formatEndpoint(dst, dport) : dst}`;
}

function whyOf(
  { compiled: { policy } }: Snapshot,
  { reason, rule, detail }: Refusal,
): Pick<DeniedAttempt, "reason" | "rule" | "because"> {
  const refusal = { reason, ...(rule === undefined ? {} : { rule }) };
  const because = refusalText(policy, { ...refusal, ...(detail === undefined ? {} : { detail }) });
  return { ...refusal, because };
}

function hint(snapshot: Snapshot, refused: Refused): Hint | null {
  const change = hintFor(snapshot, refused);
  if (change === null) return null;
  const allow = formatChange(change);
  return { allow, text: `${allow}${condition(change)} would allow it` };
}

/** What else has to be so. */
function condition({ kind }: Change): string {
  if (kind === "ports") return " and no other";
  return kind === "upstream-ca" ? " with its authority's certificate" : "";
}
