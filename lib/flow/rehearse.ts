/**
 * Expectations against the policy they stand beside: the table of `sbx policy test`, as data.
 *
 * A name is played through as a guest would: it has to resolve, its answer becomes a pin, and a TCP
 * flow to it states it. What judges here is what judges a guest.
 *
 * @module
 */
import { dohNames } from "../dns/doh_endpoints.ts";
import { type Court, judgeQuestion, listing, type Refusal } from "../dns/filter.ts";
import { hostQuestion } from "../dns/message.ts";
import { dohTransport, nameTransport } from "../dns/transports.ts";
import { compilePolicy } from "../policy/compile.ts";
import { evaluate } from "../policy/evaluate.ts";
import { type Expectation, formatExpectation } from "../policy/expectation.ts";
import { becauseOf } from "../policy/explain.ts";
import { fixedPins } from "../policy/fixed_pins.ts";
import { formatRule } from "../policy/grammar.ts";
import { NameSet } from "../policy/name_set.ts";
import type { Action, FlowQuery, Policy } from "../policy/policy.ts";
import type { PolicyFile } from "../policy/settings.ts";

export interface TestRow {
  readonly flow: string;
  readonly expected: Action;
  readonly actual: Action;
  readonly passed: boolean;
  /** Completes "because". */
  readonly why: string;
}

/** From TEST-NET-1 and the documentation prefix: public to every group, and nobody's. */
const SOMEWHERE = { 4: "192.0.2.1", 6: "2001:db8::1" };

/** Runs all expectations of a policy file. `blocked` holds every name that the file blocks. */
export function runExpectations(file: PolicyFile, blocked = new NameSet()): TestRow[] {
  const court = courtOf(file, blocked, new Set());
  return file.expect.map((expectation) => {
    const { action, why } = play(court, expectation);
    return {
      flow: formatExpectation(expectation),
      expected: expectation.expect,
      actual: action,
      passed: action === expectation.expect,
      why,
    };
  });
}

/** What judges the names of a policy file. */
export function courtOf(file: PolicyFile, blocked: NameSet, hosts: ReadonlySet<string>): Court {
  return {
    compiled: compilePolicy(file.policy),
    blocked,
    doh: file.dns.blockDoh ? dohNames() : null,
    rebindProtection: file.dns.rebindProtection,
    hosts,
    reveal: "ruled",
  };
}

/** The rows as lines of a table, failures marked. */
export function testLines(rows: readonly TestRow[]): string[] {
  const width = Math.max(0, ...rows.map((row) => row.flow.length));
  return rows.map((row) => {
    const verdict = row.passed ? row.actual : `${row.actual}, expected ${row.expected}`;
    return `${row.passed ? "ok    " : "FAILED"}  ${row.flow.padEnd(width)}  ${verdict}: ${row.why}`;
  });
}

function play(court: Court, expectation: Expectation): { action: Action; why: string } {
  const { flow, direction } = expectation;
  const pins = [...expectation.pins];
  let address = expectation.resolvesTo ?? SOMEWHERE[flow.protocol === "icmpv6" ? 6 : 4];
  if (flow.host.kind === "address") address = flow.host.address;
  else {
    const refusal = nameRefusal(court, flow.host.name);
    if (refusal !== null) return { action: "deny", why: refusal };
    pins.push({ name: flow.host.name, address });
  }
  const name = statedName(expectation);
  const query: FlowQuery = {
    direction,
    protocol: flow.protocol,
    address,
    ...(flow.port === undefined ? {} : { port: flow.port }),
    ...(name === undefined ? {} : { name }),
    phase: "final",
  };
  const guard = flowRefusal(court, query);
  if (guard !== null) return { action: "deny", why: guard };
  const hosts = new Set(expectation.host ? [address] : []);
  const verdict = evaluate(court.compiled, query, fixedPins(pins), hosts);
  // Nothing defers once all is known.
  const action = verdict.action === "allow" ? "allow" : "deny";
  return { action, why: becauseOf(court.compiled.policy, query, verdict) };
}

/** Why a guest would get no address for the name, as a clause; null when it is asked for. */
export function nameRefusal(court: Court, name: string): string | null {
  const ruling = judgeQuestion(court, hostQuestion(name), "udp");
  if (ruling.kind !== "refuse") return null;
  return `the name does not resolve: ${refusalText(court.compiled.policy, ruling.refusal)}`;
}

/** Why a flow is refused before any rule is looked at, as a clause; null when rules decide. */
export function flowRefusal(court: Court, query: FlowQuery): string | null {
  const { direction, protocol, address, port, name } = query;
  if (direction === "inbound") return null;
  const transport = port === undefined ? null : nameTransport(protocol, port) ??
    (court.doh === null ? null : dohTransport(protocol, address, port));
  if (transport !== null) return `dns-transport, ${transport} goes past the filter of names`;
  const listed = name === undefined ? null : listing(court, name);
  return listed === null ? null : refusalText(court.compiled.policy, listed);
}

function refusalText(policy: Policy, { reason, rule, detail }: Refusal): string {
  const written = rule === undefined ? undefined : policy.rules[rule];
  if (written !== undefined) return `rule ${rule}, ${formatRule(written)}`;
  if (reason === "default") return "default, no rule allows it";
  return detail === undefined ? reason : `${reason}, ${detail}`;
}

function statedName({ flow, sni }: Expectation): string | undefined {
  if (sni !== undefined) return sni ?? undefined;
  return flow.protocol === "tcp" && flow.host.kind === "name" ? flow.host.name : undefined;
}
