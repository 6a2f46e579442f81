/**
 * What a verdict costs, and whether that follows the size of the policy: nanoseconds a call, and each
 * size's ratio to the smallest.
 *
 * @module
 */
import process from "node:process";
import { type CompiledPolicy, compilePolicy } from "../../lib/policy/decide/compile.ts";
import { evaluate } from "../../lib/policy/decide/evaluate.ts";
import { evaluateName } from "../../lib/policy/decide/evaluate_name.ts";
import { readNameList } from "../../lib/policy/model/name_list.ts";
import { NameSet } from "../../lib/policy/model/name_set.ts";
import type { FlowQuery, PinTable } from "../../lib/policy/model/policy.ts";
import { parseRule } from "../../lib/policy/text/grammar.ts";
import type { Bench, Benchmark } from "./benchmark.ts";
import { interleave } from "./rounds.ts";
import { formatTable } from "./table.ts";

const SIZES = [10, 100, 1_000, 10_000, 100_000];
const CALLS = 20_480;
const QUERIES = 1_024;

/** The same pseudo-random numbers in every run. */
function numbers(seed: number): () => number {
  let state = seed;
  return () => (state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0) >>> 8;
}

const next = numbers(7);
const octet = () => next() % 223 + 1;
const address = () => `${octet()}.${next() % 256}.${next() % 256}.${next() % 256}`;

/** The block of addresses that begin with so many bytes of this one. */
function blockOf(address: string, bytes: number): string {
  const kept = address.split(".").map((byte, index) => index < bytes ? byte : 0);
  return `${kept.join(".")}/${bytes * 8}`;
}

interface Subject {
  readonly size: number;
  readonly compiled: CompiledPolicy;
  /** Half of them meet a rule, whatever the size, so that sizes differ in nothing else. */
  readonly flows: readonly FlowQuery[];
  readonly names: readonly string[];
}

/** A third each of blocks, names and suffixes, and few ports, as in hand-written policies. */
function subjectOf(size: number): Subject {
  const blocks = Array.from({ length: size }, address);
  const rules = blocks.map((block, index) => {
    const target = [
      blockOf(block, 4 - (index % 9 / 3 | 0)),
      `host${index}.example${index % 50}.test`,
      `.zone${index}.test`,
    ][index % 3];
    const ports = [443, 80, "8000-8010"][next() % 3];
    return parseRule(`${index % 5 === 0 ? "deny" : "allow"}@${target}:tcp:${ports}`);
  });
  const defaults = { outbound: "deny", inbound: "deny" } as const;
  const names = Array.from({ length: QUERIES }, (_, query) => {
    const index = next() % size;
    if (query % 2 === 0) return `a${index}.b.elsewhere${index}.test`;
    return index % 3 === 1 ? `host${index}.example${index % 50}.test` : `a.b.zone${index}.test`;
  });
  const flows = names.map((name, query): FlowQuery => ({
    direction: "outbound",
    protocol: "tcp",
    address: query % 4 < 2 ? address() : at(blocks, next() % size),
    port: [443, 80, 8005, 22][query % 4] ?? 443,
    ...(query % 8 < 4 ? { name } : {}),
    phase: "final",
  }));
  const policy = { network: true, rules, defaults, denyWith: "drop" } as const;
  return { size, compiled: compilePolicy(policy), flows, names };
}

const pins: PinTable = {
  namesOf: (text) => text.endsWith("7") ? ["host4.example1.test"] : [],
  has: (_, text) => text.endsWith("3"),
};
const hosts = new Set(["192.168.127.1"]);

/** What is called over and over, by the number of the query. */
interface Calls {
  readonly size: number;
  readonly call: (index: number) => unknown;
}

const FIGURE = { key: "ns", title: "a call", unit: "ns" } as const;

/**
 * Flat: a table that no longer fits the processor's caches costs some misses more a call; one that is
 * searched would cost as many times more as it is longer.
 */
const FLAT = [
  { size: 1_000, atMost: 2 },
  { size: 100_000, atMost: 4 },
] as const;

async function measure(bench: Bench, title: string, calls: readonly Calls[]): Promise<void> {
  const subjects = calls.map(({ size, call }) => ({
    name: String(size),
    round: () => {
      const start = process.hrtime.bigint();
      for (let index = 0; index < CALLS; index++) call(index % QUERIES);
      return { ns: Number(process.hrtime.bigint() - start) / CALLS };
    },
  }));
  const series = await interleave(subjects, bench.rounds(15));
  const smallest = String(calls[0]?.size);
  const aims = FLAT.map(({ size, atMost }) => ({
    figure: "ns",
    of: String(size),
    against: smallest,
    atMost,
  }));
  bench.print(formatTable({ title, figures: [FIGURE], series, aims }));
}

function at<T>(list: readonly T[], index: number): T {
  const item = list[index];
  if (item === undefined) throw new RangeError(`no item ${index}`);
  return item;
}

function blockList(size: number): string {
  return Array.from({ length: size }, (_, index) => `0.0.0.0 ads${index}.zone${index}.test\n`).join(
    "",
  );
}

export const benchmark: Benchmark = async (bench) => {
  const subjects = SIZES.map(subjectOf);
  await measure(
    bench,
    "verdict on a flow, by number of rules",
    subjects.map(({ size, compiled, flows }) => ({
      size,
      call: (index) => evaluate(compiled, at(flows, index), pins, hosts),
    })),
  );
  await measure(
    bench,
    "verdict on an opening flow, by number of rules",
    subjects.map(({ size, compiled, flows }) => {
      const opening = flows.map(({ name: _, ...flow }): FlowQuery => ({
        ...flow,
        phase: "opening",
      }));
      return { size, call: (index) => evaluate(compiled, at(opening, index), pins, hosts) };
    }),
  );
  await measure(
    bench,
    "verdict on a name, by number of rules",
    subjects.map(({ size, compiled, names }) => ({
      size,
      call: (index) =>
        evaluateName(compiled, { name: at(names, index), transport: "udp", port: 53 }),
    })),
  );
  await measure(
    bench,
    "name on a block list, by length of the list",
    subjects.map(({ size, names }) => {
      const set = new NameSet();
      readNameList(blockList(size), "list", "suffix", set);
      return { size, call: (index) => set.has(at(names, index)) };
    }),
  );
  await measureReading(bench);
};

async function measureReading(bench: Bench): Promise<void> {
  const text = blockList(100_000);
  const round = () => {
    const start = performance.now();
    readNameList(text, "list", "name", new NameSet());
    return { ms: performance.now() - start };
  };
  const series = await interleave([{ name: "100000", round }], bench.rounds(15));
  const figures = [{ key: "ms", title: "read", unit: "ms" }];
  bench.print(formatTable({ title: "reading a list of names", figures, series }));
}
