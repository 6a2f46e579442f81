/**
 * Expectations against the policy they stand beside: the table of `sbx policy test`, as data.
 *
 * A name is played through as a guest would: it has to resolve, its answer becomes a pin, and a TCP
 * flow to it states it.
 *
 * @module
 */

import { type CompiledPolicy, compilePolicy } from "./compile.ts";
import { evaluate } from "./evaluate.ts";
import { evaluateName } from "./evaluate_name.ts";
import { type Expectation, formatExpectation } from "./expectation.ts";
import { becauseOf } from "./explain.ts";
import { fixedPins } from "./fixed_pins.ts";
import { NameSet } from "./name_set.ts";
import type { Action, FlowQuery } from "./policy.ts";
import type { PolicyFile } from "./settings.ts";

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

/**
 * Runs all expectations of a policy file. `blocked` holds the names that the file's lists block,
 * which the caller has read; names written in the file itself are added here.
 */
export function runExpectations(file: PolicyFile, blocked = new NameSet()): TestRow[] {
  const compiled = compilePolicy(file.policy);
  for (const name of file.dns.block) blocked.addName(name);
  for (const suffix of file.dns.blockSuffix) blocked.addSuffix(suffix);
  return file.expect.map((expectation) => {
    const { action, why } = play(compiled, expectation, blocked);
    return {
      flow: formatExpectation(expectation),
      expected: expectation.expect,
      actual: action,
      passed: action === expectation.expect,
      why,
    };
  });
}

/** The rows as lines of a table, failures marked. */
export function testLines(rows: readonly TestRow[]): string[] {
  const width = Math.max(0, ...rows.map((row) => row.flow.length));
  return rows.map((row) => {
    const verdict = row.passed ? row.actual : `${row.actual}, expected ${row.expected}`;
    return `${row.passed ? "ok    " : "FAILED"}  ${row.flow.padEnd(width)}  ${verdict}: ${row.why}`;
  });
}

function play(
  compiled: CompiledPolicy,
  expectation: Expectation,
  blocked: NameSet,
): { action: Action; why: string } {
  const { flow, direction } = expectation;
  const pins = [...expectation.pins];
  let address = expectation.resolvesTo ?? SOMEWHERE[flow.protocol === "icmpv6" ? 6 : 4];
  if (flow.host.kind === "address") address = flow.host.address;
  else {
    const refusal = refusalOf(compiled, flow.host.name, blocked);
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
  const hosts = new Set(expectation.host ? [address] : []);
  const verdict = evaluate(compiled, query, fixedPins(pins), hosts);
  // Nothing defers once all is known.
  const action = verdict.action === "allow" ? "allow" : "deny";
  return { action, why: becauseOf(compiled.policy, query, verdict) };
}

function refusalOf(compiled: CompiledPolicy, name: string, blocked: NameSet): string | null {
  const listed = blocked.match(name);
  if (listed !== null) return `the name does not resolve: ${listed} is on a block list`;
  const { verdict, rule } = evaluateName(compiled, { name, transport: "udp", port: 53 });
  if (verdict === "resolve") return null;
  const cause = rule === undefined ? "no rule allows it" : `rule ${rule} refuses it`;
  return `the name does not resolve: ${cause}`;
}

function statedName({ flow, sni }: Expectation): string | undefined {
  if (sni !== undefined) return sni ?? undefined;
  return flow.protocol === "tcp" && flow.host.kind === "name" ? flow.host.name : undefined;
}
