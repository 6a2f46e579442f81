/**
 * Rules and policies that a program hands over. They are plain values, so one can be made by hand, and one with
 * a word that is none would be a rule that never matches, or a default that is neither allow nor deny.
 *
 * @module
 */
import { quote } from "../../base/escape.ts";
import { kindOf, misuse } from "../../base/misuse.ts";
import { PolicyFault } from "../text/fault.ts";
import { GROUPS } from "./groups.ts";
import type { Destination, Policy, Rule } from "./policy.ts";
import { checkScope, portRange, PROTOCOLS } from "./ports.ts";
import { readCidr, readDomain, readSuffix } from "./target.ts";

const ACTIONS = ["allow", "deny"];
const DIRECTIONS = ["outbound", "inbound", "both"];
const DENIALS = ["drop", "reject"];

/** @throws SbxError USAGE or POLICY_INVALID */
export function requireRule(call: string, rule: Rule): Rule {
  if (typeof rule !== "object" || rule === null) {
    throw misuse(call, `${kindOf(rule)} is no rule`, {
      hint: "give what Rule.allowOutbound(…) or its kind gives",
    });
  }
  const { action, direction, destination, protocols, ports } = rule;
  oneOf(call, "action", action, ACTIONS);
  oneOf(call, "direction", direction, DIRECTIONS);
  if (!Array.isArray(protocols) || !Array.isArray(ports)) {
    throw misuse(call, "the rule has no list of protocols or none of ports", {
      hint: "an empty list means all of them",
    });
  }
  for (const protocol of protocols) oneOf(call, "protocol", protocol, PROTOCOLS);
  try {
    for (const { from, to } of ports) portRange(from, to);
    requireDestination(call, destination);
    checkScope(action, destination, { protocols, ports });
  } catch (fault) {
    if (!(fault instanceof PolicyFault)) throw fault;
    throw misuse(call, fault.message, { hint: fault.hint, code: "POLICY_INVALID" });
  }
  return rule;
}

/** @throws SbxError USAGE or POLICY_INVALID */
export function requirePolicy(call: string, policy: Policy): Policy {
  const { network, rules, defaults, denyWith } = policy;
  if (typeof network !== "boolean" || !Array.isArray(rules)) {
    throw misuse(call, "it does not say whether there is a network, or has no list of rules", {
      hint: "make policies with NetworkPolicy.custom(…)",
    });
  }
  for (const rule of rules) requireRule(call, rule);
  oneOf(call, "default", defaults?.outbound, ACTIONS);
  oneOf(call, "default", defaults?.inbound, ACTIONS);
  oneOf(call, "denyWith", denyWith, DENIALS);
  return policy;
}

/** Names and blocks have one spelling; another one would be compared in vain. */
function requireDestination(call: string, destination: Destination): void {
  switch (destination?.kind) {
    case "any":
      return;
    case "group":
      return oneOf(call, "group", destination.group, GROUPS);
    case "cidr":
      return asRead(call, destination.cidr, (text) => readCidr(text));
    case "domain":
      return asRead(call, destination.name, (text) => readDomain(text));
    case "suffix":
      return asRead(call, destination.suffix, (text) => readSuffix(text));
  }
  throw misuse(call, "the rule has no destination", {
    hint: 'make it with Destination.domain("api.example.com") or its kind',
  });
}

function asRead(call: string, text: string, read: (text: string) => Destination): void {
  const words: readonly unknown[] = typeof text === "string" ? Object.values(read(text)) : [];
  if (words.includes(text)) return;
  throw misuse(call, "the destination is not in the form that rules are compared in", {
    hint: 'make it with Destination.domain("api.example.com") or its kind',
  });
}

function oneOf(call: string, what: string, word: string, words: readonly string[]): void {
  if (words.includes(word)) return;
  const shown = typeof word === "string" ? quote(word) : kindOf(word);
  throw misuse(call, `unknown ${what} ${shown}`, { hint: `use one of ${words.join(", ")}` });
}
