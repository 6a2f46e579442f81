/**
 * What `sbx policy explain` found out, in words.
 *
 * @module
 */
import { outcomeText } from "../judge/outcome_text.ts";
import { walkLines } from "../policy/decide/explain.ts";
import { nameWalkLines } from "../policy/decide/explain_name.ts";
import { REASONS } from "../policy/model/reasons.ts";
import type { Explained, ExplainedFlow, ExplainedName } from "./explained.ts";

export function explainedLines(explained: Explained): string[] {
  switch (explained.kind) {
    case "name":
      return nameLines(explained);
    case "answer":
      return [`answer ${explained.address}`, outcomeLine(explained)];
    case "flow":
      return flowLines(explained);
  }
}

/** Whether the name resolves, and why. */
function nameLines(explained: ExplainedName): string[] {
  const { policy, name } = explained;
  const head = `resolve ${name} over udp`;
  switch (explained.by) {
    case "known":
      return [
        head,
        `resolve: a known name, ${explained.addresses.join(", ") || "this machine"}`,
      ];
    case "localhost":
      return [head, "resolve: the guest itself"];
    case "refused":
      return [head, outcomeLine({ policy, outcome: explained.outcome })];
    case "rules":
      return nameWalkLines(policy, explained.walk);
  }
}

/** Reasons for which no rule was looked at. */
export const BEFORE_RULES: ReadonlySet<string> = new Set([
  "dns-transport",
  "blocked-name",
  "tls-expected",
]);

/** Whether the flow passes, and why: the walk through the rules, where these have a say. And its secrets. */
function flowLines({ policy, flow, walk, outcome, secrets }: ExplainedFlow): string[] {
  const lines = walkLines(policy, walk);
  const { reason } = outcome.why;
  if (reason === "dns") return [...lines.slice(0, 1), `dns: ${REASONS.dns.clause}`];
  const shown = BEFORE_RULES.has(reason) ? lines.slice(0, 1) : lines.slice(0, -1);
  return [...shown, outcomeLine({ policy, outcome, direction: flow.direction }), ...secrets];
}

function outcomeLine(
  { policy, outcome, direction = "outbound" }: Pick<ExplainedFlow, "policy" | "outcome"> & {
    readonly direction?: ExplainedFlow["flow"]["direction"];
  },
): string {
  return `${outcome.verdict}: ${outcomeText(policy, direction, outcome)}`;
}
