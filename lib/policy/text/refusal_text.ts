/**
 * A refusal as a clause for people.
 *
 * @module
 */
import { escapeText } from "../../base/escape.ts";
import type { Policy, Refusal } from "../model/policy.ts";
import { reasonOf } from "../model/reasons.ts";
import { formatRule } from "./grammar.ts";

/** Completes "because": `rule 1, deny@private`, `rebind, the answer points … (10.0.0.5)`. Safe to print. */
export function refusalText({ rules }: Policy, { reason, rule, detail }: Refusal): string {
  const written = rule === undefined ? undefined : rules[rule];
  const words = written === undefined
    ? `${reason}, ${reasonOf(reason).clause}`
    : `rule ${rule}, ${formatRule(written)}`;
  return detail === undefined ? words : `${words} (${escapeText(detail)})`;
}
