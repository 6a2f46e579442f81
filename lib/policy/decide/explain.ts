/**
 * The walk through the rules that leads to a verdict, as data, and as lines of text.
 *
 * @module
 */

import { formatEndpoint } from "../../base/address.ts";
import { readEndpoint, type Surroundings } from "../model/endpoint.ts";
import type { FlowQuery, PinTable, Policy, Verdict } from "../model/policy.ts";
import { formatRule } from "../text/grammar.ts";
import { refusalText } from "../text/refusal_text.ts";
import type { CompiledPolicy } from "./compile.ts";
import { evaluate } from "./evaluate.ts";
import { type Match, matchRule } from "./match.ts";

export interface Step extends Match {
  /** Index into `Policy.rules`. */
  readonly rule: number;
}

export interface Walk {
  readonly query: FlowQuery;
  /** The rules in order, up to the one that matches for certain. */
  readonly steps: readonly Step[];
  readonly verdict: Verdict;
}

/** Says what `evaluate` says about the query, and what each rule had to do with it. */
export function explain(
  compiled: CompiledPolicy,
  query: FlowQuery,
  pins: PinTable,
  hostAddresses: ReadonlySet<string>,
  around: Surroundings = {},
): Walk {
  const verdict = evaluate(compiled, query, pins, hostAddresses, around);
  const endpoint = readEndpoint(query, hostAddresses, around);
  const steps: Step[] = [];
  if (endpoint === null || !compiled.policy.network) return { query, steps, verdict };
  for (const [index, rule] of compiled.policy.rules.entries()) {
    const match = matchRule(rule, query, endpoint, pins);
    steps.push({ rule: index, ...match });
    if (match.outcome === "match") break;
  }
  return { query, steps, verdict };
}

/** One line for the flow, one for each rule that was looked at, one for the verdict. */
export function walkLines(policy: Policy, walk: Walk): string[] {
  const { query, steps, verdict } = walk;
  const stated = query.name === undefined ? "" : ` stating ${query.name}`;
  const place = formatEndpoint(query.address, query.port);
  const rules = steps.map((step) => formatStep(policy, step));
  const width = Math.max(0, ...rules.map(([head]) => head.length));
  return [
    `${query.direction} ${query.protocol} ${place}${stated}`,
    ...rules.map(([head, tail]) => `  ${head.padEnd(width)}  ${tail}`),
    `${verdict.action}: ${becauseOf(policy, query, verdict)}`,
  ];
}

function formatStep(policy: Policy, step: Step): [head: string, tail: string] {
  const rule = policy.rules[step.rule];
  const mark = { match: "matches", maybe: "may match", no: "no match" }[step.outcome];
  return [
    `${step.rule}  ${rule === undefined ? "" : formatRule(rule)}`,
    `${mark}: ${step.why}`,
  ];
}

/** The verdict's reason as a clause, for people; programs use `Verdict.reason`. */
function becauseOf(policy: Policy, query: FlowQuery, verdict: Verdict): string {
  switch (verdict.reason) {
    case "rule": {
      const rule = verdict.rule === undefined ? undefined : policy.rules[verdict.rule];
      const text = rule === undefined ? "a rule" : `rule ${verdict.rule}, ${formatRule(rule)}`;
      return verdict.action === "defer" ? `${text}, depends on the name the flow states` : text;
    }
    case "default":
      return policy.network
        ? `no rule matches, and ${query.direction} flows are ` +
          `${verdict.action === "allow" ? "allowed" : "denied"} by default`
        : "the guest has no network";
    default:
      return refusalText(policy, verdict);
  }
}
