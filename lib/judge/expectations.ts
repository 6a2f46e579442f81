/**
 * Expectations against the policy they stand beside: the table of `sbx policy test`, as data.
 *
 * A name is played through as a guest would: it has to resolve, its answer becomes a pin, and a TCP
 * flow to it states it.
 *
 * @module
 */
import { parseCidr } from "../base/address.ts";
import { type Expectation, formatExpectation } from "../policy/file/expectation.ts";
import { NameSet } from "../policy/model/name_set.ts";
import type { Action } from "../policy/model/policy.ts";
import type { PolicyFile } from "../policy/model/settings.ts";
import { fileSnapshot } from "./file_snapshot.ts";
import { hypotheticalFlow } from "./hypothetical.ts";
import { outcomeText } from "./outcome_text.ts";
import { type Outcome, simulate, simulateName, withPins } from "./simulate.ts";

/** What became of one expectation of a policy file. */
export interface TestRow {
  /** The flow, and all that is said about it, as one line. */
  readonly flow: string;
  /** What the file expects. */
  readonly expected: Action;
  /** What the policy says. */
  readonly actual: Action;
  /** Whether both are the same. */
  readonly passed: boolean;
  /** Completes "because". */
  readonly why: string;
}

/** From TEST-NET-1 and the documentation prefix: public to every group, and nobody's. */
const SOMEWHERE = { 4: "192.0.2.1", 6: "2001:db8::1" };

/** Runs all expectations of a policy file. `blocked` holds every name that the file blocks. */
export function runExpectations(file: PolicyFile, blocked = new NameSet()): TestRow[] {
  return file.expect.map((expectation) => {
    const outcome = play(file, blocked, expectation);
    return {
      flow: formatExpectation(expectation),
      expected: expectation.expect,
      actual: outcome.verdict,
      passed: outcome.verdict === expectation.expect,
      why: outcomeText(file.policy, expectation.direction, outcome),
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

function play(file: PolicyFile, blocked: NameSet, expectation: Expectation): Outcome {
  const { flow: { host, protocol, port }, direction, resolvesTo } = expectation;
  const place = host.kind === "address"
    ? host.address
    : resolvesTo ?? SOMEWHERE[protocol === "icmpv6" ? 6 : 4];
  // The machine is as the expectation says, whichever it runs on.
  const link = expectation.localNetwork ? parseCidr(place) : null;
  const addresses = expectation.host ? [place] : [];
  const machine = { addresses, links: link === null ? [] : [link] };
  const fresh = withPins(fileSnapshot(file, blocked, machine), expectation.pins);
  const resolution = host.kind === "name" ? simulateName(fresh, host.name, [place]) : null;
  if (resolution?.kind === "refused") return resolution.outcome;
  const pins = resolution?.pins ?? [];
  const snapshot = withPins(fresh, pins);
  const name = statedName(expectation);
  return simulate(
    snapshot,
    hypotheticalFlow(snapshot, {
      direction,
      protocol,
      address: resolvesTo ?? pins[0]?.address ?? place,
      ...(port === undefined ? {} : { port }),
      ...(name === undefined ? {} : { name }),
    }),
  );
}

function statedName({ flow, sni }: Expectation): string | undefined {
  if (sni !== undefined) return sni ?? undefined;
  return flow.protocol === "tcp" && flow.host.kind === "name" ? flow.host.name : undefined;
}
