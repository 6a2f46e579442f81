/**
 * What `sbx policy explain` found out, as the object that `--json` prints. docs/policy.md has its shape, which is
 * only ever added to.
 *
 * @module
 */
import { outcomeText } from "../judge/outcome_text.ts";
import type { Outcome } from "../judge/simulate.ts";
import type { Step } from "../policy/decide/explain.ts";
import type { NameStep } from "../policy/decide/explain_name.ts";
import type { Direction, Policy } from "../policy/model/policy.ts";
import { REASONS } from "../policy/model/reasons.ts";
import { formatRule } from "../policy/text/grammar.ts";
import type { Explained, ExplainedAnswer, ExplainedFlow, ExplainedName } from "./explained.ts";
import { BEFORE_RULES } from "./explained_lines.ts";

/** Keys whose value is undefined are left out where this is printed. */
export function explainedValue(explained: readonly Explained[]): object {
  const name = explained.find((each) => each.kind === "name");
  const flows = explained.flatMap((each) => {
    if (each.kind === "name") return [];
    return [each.kind === "flow" ? flowValue(each) : answerValue(each)];
  });
  return { name: name === undefined ? undefined : nameValue(name), flows };
}

function nameValue(explained: ExplainedName): object {
  const { policy, name } = explained;
  switch (explained.by) {
    case "known":
      return { name, verdict: "resolve", by: "known", addresses: explained.addresses };
    case "localhost":
      return { name, verdict: "resolve", by: "localhost" };
    case "refused":
      return { name, verdict: "refuse", by: "refused", ...whyValue(policy, explained.outcome) };
    case "rules": {
      const { steps, verdict: { verdict, reason, rule } } = explained.walk;
      return { name, verdict, by: "rules", reason, rule, rules: rulesValue(policy, steps) };
    }
  }
}

/** As a flow to it would look that the guest cannot open, for want of the answer. */
function answerValue({ policy, address, outcome }: ExplainedAnswer): object {
  return { address, verdict: outcome.verdict, ...whyValue(policy, outcome) };
}

function flowValue({ policy, flow, walk, outcome, secrets }: ExplainedFlow): object {
  const { reason } = outcome.why;
  const isByRules = reason !== "dns" && !BEFORE_RULES.has(reason);
  return {
    ...flow,
    verdict: reason === "dns" ? "dns" : outcome.verdict,
    ...whyValue(policy, outcome, flow.direction),
    ...(reason === "dns" ? { why: REASONS.dns.clause } : {}),
    rules: isByRules ? rulesValue(policy, walk.steps) : [],
    secrets,
  };
}

function whyValue(policy: Policy, outcome: Outcome, direction: Direction = "outbound"): object {
  const { stage, why: { reason, rule, detail }, tls } = outcome;
  return { stage, reason, rule, detail, tls, why: outcomeText(policy, direction, outcome) };
}

/** Each rule that was looked at, and whether it is about this. */
function rulesValue(policy: Policy, steps: readonly (Step | NameStep)[]): readonly object[] {
  return steps.map((step) => {
    const rule = policy.rules[step.rule];
    const outcome = "outcome" in step ? step.outcome : step.matches ? "match" : "no";
    return {
      rule: step.rule,
      text: rule === undefined ? "" : formatRule(rule),
      outcome,
      why: step.why,
    };
  });
}
