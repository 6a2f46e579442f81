/**
 * One name, one answer, one flow in words: the parts that `sbx policy explain` puts together.
 *
 * @module
 */
import { parseAddress } from "../base/address.ts";
import { type Court, judgeQuestion } from "../dns/filter.ts";
import { hostQuestion } from "../dns/message.ts";
import { isInside, isOpened } from "../dns/rebind.ts";
import { flowRefusal, nameRefusal } from "../flow/rehearse.ts";
import { explain, walkLines } from "../policy/explain.ts";
import { explainName, nameWalkLines } from "../policy/explain_name.ts";
import { fixedPins } from "../policy/fixed_pins.ts";
import type { FlowQuery, Pin } from "../policy/policy.ts";

/** Whether the name resolves, and why. */
export function resolution(court: Court, name: string): string[] {
  const ruling = judgeQuestion(court, hostQuestion(name), "udp");
  const isByRules = ruling.kind !== "refuse" || ["rule", "default"].includes(ruling.refusal.reason);
  if (!isByRules) return [`resolve ${name} over udp`, `deny: ${nameRefusal(court, name)}`];
  const walk = explainName(court.compiled, { name, transport: "udp", port: 53 });
  return nameWalkLines(court.compiled.policy, walk);
}

/** Whether rebind protection would keep the answer from the guest. */
export function isWithheld(court: Court, text: string): boolean {
  const address = parseAddress(text);
  return court.rebindProtection && address !== null && isInside(address, court.hosts) &&
    !isOpened(court.compiled.policy, address, court.hosts);
}

/** Whether the flow passes, and why. */
export function passage(court: Court, query: FlowQuery, pins: readonly Pin[]): string[] {
  const { compiled, hosts } = court;
  const lines = walkLines(compiled.policy, explain(compiled, query, fixedPins(pins), hosts));
  const refusal = flowRefusal(court, query);
  if (refusal !== null) return [...lines.slice(0, 1), `deny: ${refusal}`];
  if (query.direction === "inbound" || query.port !== 53) return lines;
  return [...lines, "dns: questions are answered by sbx itself, whatever address they are for"];
}
