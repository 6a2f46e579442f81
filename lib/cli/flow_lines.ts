/**
 * One name, one answer, one flow in words: the parts that `sbx policy explain` puts together.
 *
 * @module
 */
import { type Hypothetical, hypotheticalFlow } from "../judge/hypothetical.ts";
import { queryOf } from "../judge/named.ts";
import { outcomeText } from "../judge/outcome_text.ts";
import { secretLines } from "../judge/secret_lines.ts";
import { type Outcome, simulate, simulateQuestion } from "../judge/simulate.ts";
import type { Snapshot } from "../judge/snapshot.ts";
import { explain, walkLines } from "../policy/decide/explain.ts";
import { explainName, nameWalkLines } from "../policy/decide/explain_name.ts";
import { NO_SECRETS, type SecretSettings } from "../policy/model/secret.ts";
import { REASONS } from "../policy/model/reasons.ts";

/** Whether the name resolves, and why. */
export function resolutionLines(snapshot: Snapshot, name: string): string[] {
  const { compiled: { policy } } = snapshot;
  const ruling = simulateQuestion(snapshot, name);
  const head = `resolve ${name} over udp`;
  if (ruling.kind === "known") {
    const addresses = ruling.known.addresses.map(({ text }) => text).join(", ");
    return [head, `resolve: a known name, ${addresses || "this machine"}`];
  }
  if (ruling.kind === "localhost") return [head, "resolve: the guest itself"];
  if (ruling.kind === "refuse" && !["rule", "default"].includes(ruling.refusal.reason)) {
    return [head, outcomeLine(snapshot, { verdict: "deny", stage: "name", why: ruling.refusal })];
  }
  const walk = explainName(snapshot.compiled, { name, transport: "udp", port: 53 });
  return nameWalkLines(policy, walk);
}

/** Whether the flow passes, and why: the walk through the rules, where these have a say. And its secrets. */
export function flowLines(
  snapshot: Snapshot,
  flow: Hypothetical,
  secrets: SecretSettings = NO_SECRETS,
): string[] {
  const { compiled, pins, hosts } = snapshot;
  const simulated = hypotheticalFlow(snapshot, flow);
  const said = { phase: "final", ...(flow.name === undefined ? {} : { name: flow.name }) } as const;
  const query = queryOf(simulated.info, said);
  const lines = walkLines(compiled.policy, explain(compiled, query, pins, hosts, snapshot));
  const outcome = simulate(snapshot, simulated);
  const { reason } = outcome.why;
  if (reason === "dns") return [...lines.slice(0, 1), `dns: ${REASONS.dns.clause}`];
  const isByRules = !BEFORE_RULES.has(reason);
  const shown = isByRules ? lines.slice(0, -1) : lines.slice(0, 1);
  const told = secretLines(secrets, snapshot, {
    info: simulated.info,
    outcome,
    name: flow.name,
  });
  return [...shown, outcomeLine(snapshot, outcome, flow.direction), ...told];
}

/** Reasons for which no rule was looked at. */
const BEFORE_RULES: ReadonlySet<string> = new Set([
  "dns-transport",
  "blocked-name",
  "tls-expected",
]);

export function outcomeLine(
  { compiled: { policy } }: Snapshot,
  outcome: Outcome,
  direction: Hypothetical["direction"] = "outbound",
): string {
  return `${outcome.verdict}: ${outcomeText(policy, direction, outcome)}`;
}
