/**
 * What another policy changes in a sandbox that runs: for programs as plain data, for people as lines.
 *
 * @module
 */
import { plural } from "../base/plural.ts";
import type { Direction, Policy, Protocol, ReasonId } from "../policy/model/policy.ts";
import { reasonOf } from "../policy/model/reasons.ts";
import { formatRule } from "../policy/text/grammar.ts";
import type { RuleDifference } from "../policy/text/rule_difference.ts";
import type { JudgedFlow } from "../flow/flow_table.ts";
import { escapeText } from "../base/escape.ts";
import { flowLine } from "./flow_line.ts";

/** What becomes of an open flow, with what decides it. */
export interface FlowOutcome {
  /** Its number in the journal. */
  readonly flow: number;
  /** What becomes of it. */
  readonly outcome: "stays" | "cut";
  /** Who opened it. */
  readonly direction: Direction;
  /** What it speaks. */
  readonly protocol: Protocol;
  /** `address:port`, or the address alone for protocols without ports. */
  readonly source: string;
  /** The same of its other end. */
  readonly destination: string;
  /** What the flow stated, or a name that its destination was resolved from; safe to print. */
  readonly name?: string;
  /** Why it goes on, or does not. */
  readonly reason: ReasonId;
  /** Index of the rule in the new policy, from 0. */
  readonly rule?: number;
  /** The rule as it would be written. */
  readonly ruleText?: string;
}

/** What an applied policy has changed, or would. */
export interface PolicyChange {
  /** Nothing was changed: it would be so. */
  readonly dryRun: boolean;
  /** Of the new policy, as its line in the journal has it. */
  readonly digest: string;
  /** How the rules differ. */
  readonly rules: RuleDifference;
  /** What else differs, by its name in a policy file: `defaults.outbound`, `dns.block`, `tls.ports`. */
  readonly settings: readonly string[];
  /** Every flow that is open, in the order of their numbers. */
  readonly flows: readonly FlowOutcome[];
  /** Names that no longer count as resolved, with the addresses they had, in canonical text. */
  readonly forgotten: readonly { readonly name: string; readonly address: string }[];
  /** What is worth a second look in the new policy, a sentence each. */
  readonly warnings: readonly string[];
}

/** A judged flow in the words of its lines in the journal. */
export function flowOutcome({ rules }: Policy, { id, info, ruling }: JudgedFlow): FlowOutcome {
  const { tls: _, ...line } = flowLine(id, info, ruling);
  const { action, reason, rule } = ruling;
  const written = rule === undefined ? undefined : rules[rule];
  return {
    ...line,
    outcome: action === "deny" ? "cut" : "stays",
    reason,
    ...(rule === undefined ? {} : { rule }),
    ...(written === undefined ? {} : { ruleText: formatRule(written) }),
  };
}

/** More flows and names than these are only counted. */
const MOST_TOLD = 50;

/** The change in lines for a person; safe to print. */
export function policyChangeLines(change: PolicyChange): readonly string[] {
  const { rules: { added, removed, moved }, settings, flows, forgotten, dryRun } = change;
  const cut = flows.filter(({ outcome }) => outcome === "cut");
  const names = [...new Set(forgotten.map(({ name }) => name))].map(escapeText);
  const same = added.length + removed.length + moved.length + settings.length === 0;
  return [
    ...(same ? ["the policy is the one in force"] : []),
    ...removed.map(({ at, rule }) => `- rule ${at}: ${rule}`),
    ...added.map(({ at, rule }) => `+ rule ${at}: ${rule}`),
    ...moved.map(({ from, to, rule }) => `~ rule ${from} is rule ${to} now: ${rule}`),
    ...settings.map((name) => `~ ${name}`),
    `${dryRun ? "would cut" : "cut"} ${cut.length} of ${plural(flows.length, "open flow")}`,
    ...told(cut.map(flowText), "more"),
    ...(names.length === 0 ? [] : [
      `${plural(names.length, "name")} ${names.length === 1 ? "has" : "have"} to be resolved again`,
    ]),
    ...told(names, "more"),
  ];
}

/** `  tcp 192.0.2.1:443 (api.example.com): rule 0, deny@api.example.com` */
function flowText(flow: FlowOutcome): string {
  const { direction, protocol, source, destination, name, reason, rule, ruleText } = flow;
  const ends = direction === "inbound" ? `from ${source} to ${destination}` : destination;
  const why = rule === undefined ? reasonOf(reason).clause : `rule ${rule}, ${ruleText}`;
  return `${protocol} ${ends}${name === undefined ? "" : ` (${name})`}: ${why}`;
}

function told(lines: readonly string[], more: string): string[] {
  const rest = lines.length - MOST_TOLD;
  return [
    ...lines.slice(0, MOST_TOLD).map((line) => `  ${line}`),
    ...(rest > 0 ? [`  … and ${rest} ${more}`] : []),
  ];
}
