/**
 * A policy as the content of a policy file, for `sbx policy show`: what is printed reads back to
 * the same policy.
 *
 * @module
 */

import { spellRule } from "../file/rule_entry.ts";
import type { PolicyFileShape } from "../file/schema.ts";
import type { Policy } from "../model/policy.ts";
import { formatRule } from "./grammar.ts";

/** Plain data for YAML or JSON; rules as lines, or spelled out as objects. */
export function spellPolicy(policy: Policy, rules: "lines" | "objects" = "lines"): PolicyFileShape {
  const { defaults, denyWith } = policy;
  if (!policy.network) return { extends: "none", denyWith };
  const same = defaults.outbound === defaults.inbound;
  return {
    default: same ? defaults.outbound : { ...defaults },
    rules: policy.rules.map((rule) => rules === "lines" ? formatRule(rule) : spellRule(rule)),
    denyWith,
  };
}
