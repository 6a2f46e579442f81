/**
 * What `sbx policy explain` finds out about one flow, before it becomes lines or JSON: whether its name
 * resolves, what each answer does, and what becomes of the flow to each address.
 *
 * @module
 */
import { type Hypothetical, hypotheticalFlow } from "../judge/hypothetical.ts";
import { queryOf } from "../judge/named.ts";
import { secretLines } from "../judge/secret_lines.ts";
import { type Outcome, simulate, simulateQuestion } from "../judge/simulate.ts";
import type { Snapshot } from "../judge/snapshot.ts";
import { explain, type Walk } from "../policy/decide/explain.ts";
import { explainName, type NameWalk } from "../policy/decide/explain_name.ts";
import type { Policy } from "../policy/model/policy.ts";
import { NO_SECRETS, type SecretSettings } from "../policy/model/secret.ts";

export type Explained = ExplainedName | ExplainedAnswer | ExplainedFlow;

export type ExplainedName =
  & { readonly kind: "name"; readonly policy: Policy; readonly name: string }
  & (
    | { readonly by: "known"; readonly addresses: readonly string[] }
    | { readonly by: "localhost" }
    | { readonly by: "refused"; readonly outcome: Outcome }
    | { readonly by: "rules"; readonly walk: NameWalk }
  );

/** An answer that the guest does not get. */
export interface ExplainedAnswer {
  readonly kind: "answer";
  readonly policy: Policy;
  readonly address: string;
  readonly outcome: Outcome;
}

export interface ExplainedFlow {
  readonly kind: "flow";
  readonly policy: Policy;
  readonly flow: Hypothetical;
  readonly walk: Walk;
  readonly outcome: Outcome;
  /** What becomes of secrets in it, in words. */
  readonly secrets: readonly string[];
}

export function explainedName(snapshot: Snapshot, name: string): ExplainedName {
  const { compiled } = snapshot;
  const about = { kind: "name", policy: compiled.policy, name } as const;
  const ruling = simulateQuestion(snapshot, name);
  if (ruling.kind === "known") {
    return { ...about, by: "known", addresses: ruling.known.addresses.map(({ text }) => text) };
  }
  if (ruling.kind === "localhost") return { ...about, by: "localhost" };
  if (ruling.kind === "refuse" && !["rule", "default"].includes(ruling.refusal.reason)) {
    const outcome = { verdict: "deny", stage: "name", why: ruling.refusal } as const;
    return { ...about, by: "refused", outcome };
  }
  return {
    ...about,
    by: "rules",
    walk: explainName(compiled, { name, transport: "udp", port: 53 }),
  };
}

export function explainedFlow(
  snapshot: Snapshot,
  flow: Hypothetical,
  secrets: SecretSettings = NO_SECRETS,
): ExplainedFlow {
  const { compiled, pins, hosts } = snapshot;
  const simulated = hypotheticalFlow(snapshot, flow);
  const { info } = simulated;
  const { name } = flow;
  const said = { phase: "final", ...(name === undefined ? {} : { name }) } as const;
  const outcome = simulate(snapshot, simulated);
  return {
    kind: "flow",
    policy: compiled.policy,
    flow,
    walk: explain(compiled, queryOf(info, said), pins, hosts, snapshot),
    outcome,
    secrets: secretLines(secrets, snapshot, { info, outcome, name }),
  };
}
