/**
 * The outcome of a simulation in words.
 *
 * @module
 */
import type { Direction, Policy } from "../policy/model/policy.ts";
import { refusalText } from "../policy/text/refusal_text.ts";
import type { Outcome } from "./simulate.ts";

/** Completes "because". Safe to print. */
export function outcomeText(policy: Policy, direction: Direction, outcome: Outcome): string {
  const { stage, why, tls } = outcome;
  const text = whyText(policy, direction, outcome);
  if (stage === "name") return `the name does not resolve: ${refusalText(policy, why)}`;
  return tls === undefined ? text : `${text}; its TLS is ${tls}`;
}

function whyText(policy: Policy, direction: Direction, { verdict, why }: Outcome): string {
  if (why.reason !== "default") return refusalText(policy, why);
  if (!policy.network) return "the guest has no network";
  const otherwise = verdict === "allow" ? "allowed" : "denied";
  return `no rule matches, and ${direction} flows are ${otherwise} by default`;
}
