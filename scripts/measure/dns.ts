/**
 * What resolving names through sbx costs, beside asking the upstream directly and beside dnsmasq, with block
 * lists of different lengths.
 *
 * Everything listens on loopback; the upstream answers every name at once, so that what is measured is what is
 * put in front of it. "Fresh" names were never asked for before and go all the way; "known" ones are cached.
 *
 * @module
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { buildGo } from "../../test/support/build.ts";
import { run, type Running, start, until } from "../../test/support/process.ts";
import type { Aim, Benchmark, Figure, Round, Subject } from "./benchmark.ts";
import { interleave } from "./rounds.ts";
import { formatTable } from "./table.ts";

const LISTS = [0, 1_000, 100_000];

const FIGURES: readonly Figure[] = [
  { key: "fresh50", title: "fresh name, p50", unit: "us" },
  { key: "fresh99", title: "fresh name, p99", unit: "us" },
  { key: "known50", title: "known name, p50", unit: "us" },
  { key: "known99", title: "known name, p99", unit: "us" },
  { key: "freshRate", title: "fresh names, 50 at once", unit: "1/s" },
  { key: "knownRate", title: "known names, 50 at once", unit: "1/s" },
];

const LIST_FIGURES: readonly Figure[] = [
  { key: "load", title: "reading the list", unit: "ms" },
  { key: "memory", title: "its memory", unit: "MiB", digits: 1 },
];

const AIMS: readonly Aim[] = LISTS.slice(1).flatMap((size) =>
  ["freshRate", "knownRate"].map((figure): Aim => ({
    figure,
    of: `sbx, ${size}`,
    against: "sbx, 0",
    atLeast: 0.9,
  }))
);

/** A server on a port of loopback. */
interface Resolver {
  readonly name: string;
  readonly port: number;
  readonly process?: Running;
  /** What the server itself measured. */
  readonly own?: Round;
}

interface Answers {
  readonly p50: number;
  readonly p99: number;
  readonly perSecond: number;
  readonly failed: number;
}

export const benchmark: Benchmark = async (bench) => {
  const load = buildGo("load");
  const scratch = mkdtempSync(join(tmpdir(), "sbx-bench-"));
  const resolvers: Resolver[] = [];
  try {
    const upstream = await openUpstream(load);
    resolvers.push(upstream);
    for (const size of LISTS) {
      const list = join(scratch, `list-${size}`);
      writeFileSync(list, blockList(size));
      resolvers.push(await openSbx(upstream.port, list, size));
      const dnsmasq = await openDnsmasq(upstream.port, list, size).catch(() => null);
      if (dnsmasq === null) bench.note("dnsmasq does not start and is left out");
      else resolvers.push(dnsmasq);
    }
    const subjects = resolvers.map((resolver): Subject => ({
      name: resolver.name,
      round: () => measure(load, resolver),
    }));
    const series = await interleave(subjects, bench.rounds(9), { note: bench.note });
    const title = "resolving names, by the length of the block list";
    bench.print(formatTable({ title, figures: FIGURES, series, against: "upstream", aims: AIMS }));
    const own = series.flatMap(({ name, rounds }) =>
      rounds.some(({ load }) => load !== undefined) ? [{ name, rounds: rounds.slice(0, 1) }] : []
    );
    const lists = "block lists, once at the start";
    bench.print(formatTable({ title: lists, figures: LIST_FIGURES, series: own }));
  } finally {
    for (const { process } of resolvers) process?.kill();
    rmSync(scratch, { recursive: true, force: true });
  }
};

async function measure(load: string, { name, port, own = {} }: Resolver): Promise<Round> {
  const ask = async (way: string, count: number, parallel: number): Promise<Answers> => {
    const flags = { to: `127.0.0.1:${port}`, way, count, parallel };
    const words = Object.entries(flags).flatMap(([flag, value]) => [`--${flag}`, `${value}`]);
    const { status, stdout, stderr } = await run([load, "ask", ...words], { limit: 60 });
    if (status !== 0) throw new Error(`${name}: ${stderr}`);
    const answers = JSON.parse(stdout) as Answers;
    if (answers.failed > 0) throw new Error(`${name}: ${answers.failed} questions were lost`);
    return answers;
  };
  await ask("known", 200, 10);
  const fresh = await ask("fresh", 1_000, 1);
  const known = await ask("known", 1_000, 1);
  const freshRate = (await ask("fresh", 5_000, 50)).perSecond;
  const knownRate = (await ask("known", 5_000, 50)).perSecond;
  const { p50: fresh50, p99: fresh99 } = fresh;
  const { p50: known50, p99: known99 } = known;
  return { fresh50, fresh99, known50, known99, freshRate, knownRate, ...own };
}

async function openUpstream(load: string): Promise<Resolver> {
  const process = start([load, "answer", "--to", "127.0.0.1:0"], { limit: 3_600 });
  await until("the upstream", () => process.stdout().includes("\n"));
  return { name: "upstream", port: Number(/:(\d+)/.exec(process.stdout())?.[1]), process };
}

async function openSbx(upstream: number, list: string, size: number): Promise<Resolver> {
  const script = join(import.meta.dirname ?? ".", "dns_front.ts");
  const argv = [process.execPath, script, String(upstream), size === 0 ? "" : list];
  const front = start(argv, { limit: 3_600 });
  await until("the name service", () => front.stdout().includes("\n"));
  const { port, milliseconds, mebibytes } = JSON.parse(front.stdout());
  const own = { load: milliseconds, memory: mebibytes };
  return { name: `sbx, ${size}`, port, process: front, own };
}

/** With its cache on, asking upstream like sbx, every name of the list not existing. */
async function openDnsmasq(upstream: number, list: string, size: number): Promise<Resolver> {
  const port = 20_000 + Math.floor(Math.random() * 20_000);
  const words = ["--keep-in-foreground", "--pid-file=", "--user=", "--no-resolv", "--no-hosts"];
  const own = ["--bind-interfaces", "--listen-address=127.0.0.1", "--cache-size=10000"];
  const server = start([
    "dnsmasq",
    ...words,
    ...own,
    `--port=${port}`,
    `--server=127.0.0.1#${upstream}`,
    "--dns-forward-max=1000",
    size === 0 ? "--conf-file=/dev/null" : `--conf-file=${dnsmasqList(list, size)}`,
  ], { limit: 3_600 });
  const started = () =>
    run(["dig", "@127.0.0.1", "-p", `${port}`, "+short", "+tries=1", "+time=1", "up.bench.test"])
      .then(({ stdout }) => stdout.includes("45.0.0.1"));
  await until("dnsmasq", started, 20);
  return { name: `dnsmasq, ${size}`, port, process: server };
}

function dnsmasqList(list: string, size: number): string {
  const path = `${list}.conf`;
  writeFileSync(path, names(size).map((name) => `local=/${name}/\n`).join(""));
  return path;
}

function blockList(size: number): string {
  return names(size).map((name) => `0.0.0.0 ${name}\n`).join("");
}

function names(size: number): string[] {
  return Array.from({ length: size }, (_, index) => `ads${index}.zone${index % 977}.example`);
}
