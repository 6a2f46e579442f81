/**
 * The first line of a sandbox: what it is, and what everything from here on is judged by.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { escapeText } from "../base/escape.ts";
import type { Policy } from "../policy/model/policy.ts";
import { formatRule } from "../policy/text/grammar.ts";
import { JOURNAL_VERSION, type JournalEvent } from "./format.ts";

/** The line of a policy that takes another's place. */
export function changeLine(policy: Policy): JournalEvent {
  return { event: "policy", digest: digestOf(policy), ...policyLine(policy) };
}

/** The rules in order, as they would be written, and what becomes of flows that none matches. */
function policyLine({ rules, defaults }: Policy) {
  return { policy: rules.map(formatRule), defaults };
}

export interface Start {
  /** The version of sbx. */
  readonly sbx: string;
  readonly policy: Policy;
  /** The program that the sandbox is for. */
  readonly command?: string;
}

export function startLine({ sbx, policy, command }: Start): JournalEvent {
  return {
    event: "start",
    version: JOURNAL_VERSION,
    sbx,
    ...(command === undefined ? {} : { command: escapeText(command) }),
    digest: digestOf(policy),
    ...policyLine(policy),
  };
}

/** Of all that a policy says, in the first 64 bits of a SHA-256. */
export function digestOf(policy: Policy): string {
  const { network, denyWith } = policy;
  const text = JSON.stringify([network, denyWith, policyLine(policy)]);
  return createHash("sha256").update(text).digest("hex").slice(0, 16);
}
