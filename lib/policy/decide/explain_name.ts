/**
 * The walk through the rules that decides whether a name resolves, as data and as lines of text.
 *
 * @module
 */

import type { Policy, Rule } from "../model/policy.ts";
import { formatRule } from "../text/grammar.ts";
import type { CompiledPolicy } from "./compile.ts";
import { evaluateName, type NameQuery, type NameVerdict } from "./evaluate_name.ts";
import { isUnder } from "./match.ts";
import { portMatches, protocolMatches } from "./scopes.ts";

export interface NameStep {
  /** Index into `Policy.rules`. */
  readonly rule: number;
  readonly matches: boolean;
  /** Completes "because". */
  readonly why: string;
}

export interface NameWalk {
  readonly query: NameQuery;
  /** The rules in order, up to the one that decides. */
  readonly steps: readonly NameStep[];
  readonly verdict: NameVerdict;
}

/** Says what `evaluateName` says about the query, and what each rule had to do with it. */
export function explainName(compiled: CompiledPolicy, query: NameQuery): NameWalk {
  const steps: NameStep[] = [];
  for (const [index, rule] of compiled.policy.rules.entries()) {
    const step = { rule: index, ...stepOf(rule, query) };
    steps.push(step);
    if (step.matches) break;
  }
  return { query, steps, verdict: evaluateName(compiled, query) };
}

/** One line for the question, one for each rule that was looked at, one for the verdict. */
export function nameWalkLines(policy: Policy, walk: NameWalk): string[] {
  const { query, steps, verdict } = walk;
  const heads = steps.map((step) => {
    const rule = policy.rules[step.rule];
    return `${step.rule}  ${rule === undefined ? "" : formatRule(rule)}`;
  });
  const width = Math.max(0, ...heads.map((head) => head.length));
  const because = verdict.rule === undefined
    ? `no rule decides, and outbound flows are ${
      policy.defaults.outbound === "allow" ? "allowed" : "denied"
    } by default`
    : `rule ${verdict.rule} decides`;
  return [
    `resolve ${query.name} over ${query.transport}`,
    ...steps.map((step, line) =>
      `  ${(heads[line] ?? "").padEnd(width)}  ${
        step.matches ? "matches" : "no match"
      }: ${step.why}`
    ),
    `${verdict.verdict}: ${because}`,
  ];
}

function stepOf(rule: Rule, query: NameQuery): { matches: boolean; why: string } {
  if (rule.direction === "inbound") return no("it is about inbound flows");
  const { destination } = rule;
  switch (destination.kind) {
    case "domain":
    case "suffix":
      if (!isUnder(query.name, destination)) return no(`it is not about ${query.name}`);
      if (rule.action === "deny" && rule.protocols.length + rule.ports.length > 0) {
        return no("it denies only part of what the name may be used for");
      }
      return yes(`it is about ${query.name}`);
    case "group":
      if (destination.group !== "host") return no("it is about addresses");
      return resolverStep(rule, query);
    case "any":
      return resolverStep(rule, query);
    case "cidr":
      return no("it is about addresses");
  }
}

function resolverStep(rule: Rule, query: NameQuery): { matches: boolean; why: string } {
  const asked = `${query.transport} port ${query.port}`;
  return protocolMatches(rule.protocols, query.transport) && portMatches(rule.ports, query.port)
    ? yes(`it is about ${asked}, where the resolver is asked`)
    : no(`it is not about ${asked}, where the resolver is asked`);
}

function yes(why: string): { matches: boolean; why: string } {
  return { matches: true, why };
}

function no(why: string): { matches: boolean; why: string } {
  return { matches: false, why };
}
