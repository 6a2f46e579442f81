/**
 * What secrets cost: the same requests through the same interception, without secrets and with them, in heads
 * and in bodies; requests of a sandbox with secrets to other hosts, where only the tripwire reads; and the
 * memory of one large body. Client, server and cable are the same for all. What the deciding thread takes of
 * the processor says the same on a machine that does other things as well.
 *
 * @module
 */
import process from "node:process";
import { openNamespaceGuest } from "../../test/support/namespace_guest.ts";
import type { NamespaceGuest, NamespaceOptions } from "../../test/support/namespace_guest.ts";
import { buildGo } from "../../test/support/build.ts";
import { run } from "../../test/support/process.ts";
import { openWorld, type World } from "../../test/support/world.ts";
import type { Aim, Benchmark, Figure, Round } from "./benchmark.ts";
import { compiledHost } from "./peers.ts";
import { interleave } from "./rounds.ts";
import { formatTable } from "./table.ts";

const FIGURES: readonly Figure[] = [
  { key: "kept1", title: "HTTP/1.1, 20 connections kept", unit: "1/s" },
  { key: "kept2", title: "HTTP/2, 20 connections kept", unit: "1/s" },
  { key: "up1", title: "HTTP/1.1, one text up", unit: "MB/s" },
  { key: "up2", title: "HTTP/2, one text up", unit: "MB/s" },
  { key: "down1", title: "HTTP/1.1, one body down", unit: "MB/s" },
  { key: "down2", title: "HTTP/2, one body down", unit: "MB/s" },
  { key: "time1", title: "HTTP/1.1, time to decide", unit: "us", digits: 1 },
  { key: "time2", title: "HTTP/2, time to decide", unit: "us", digits: 1 },
  { key: "upTime1", title: "HTTP/1.1, time for text up", unit: "ns/B", digits: 2 },
  { key: "upTime2", title: "HTTP/2, time for text up", unit: "ns/B", digits: 2 },
  { key: "memory", title: "memory afterwards", unit: "MiB" },
];

/** A cost of 1.1 times is 0.91 of the rate, one of 1.5 times 0.67. */
const AIMS: readonly Aim[] = [
  ...["kept1", "kept2"].map((figure) => ({ figure, atLeast: 0.91 })),
  ...["up1", "up2"].map((figure) => ({ figure, atLeast: 0.67 })),
  ...["upTime1", "upTime2"].map((figure) => ({ figure, atMost: 1.5 })),
].map((aim) => ({ ...aim, of: "to its host", against: "no secrets" }));

const ORIGIN = "https://good.cdn.test";
const BYTES = 64 << 20;
const LARGE = 1 << 30;
const SECONDS = 2;

/** The variable that both the secret's source and the placeholder are called. */
const NAME = "BENCH_TOKEN";
const VALUE = "a-value-of-the-length-that-keys-have-00000";

interface Way {
  readonly name: string;
  readonly guest: NamespaceGuest;
  /** What goes with every request; a text up has it in each MiB of it. */
  readonly word: string;
}

async function ask(
  { name, guest, word }: Way,
  client: string,
  ...argv: readonly string[]
): Promise<Record<string, number>> {
  const credential = ["--ca", guest.authority, "--bearer", word];
  const command = guest.inside([client, ...argv, ...credential]);
  const { status, stdout, stderr } = await run(command, { limit: 300 });
  if (status !== 0) throw new Error(`${name}, ${argv.join(" ")}: ${stderr}`);
  return JSON.parse(stdout) as Record<string, number>;
}

async function measure(way: Way, client: string): Promise<Round> {
  const round: Record<string, number> = {};
  for (const http of ["1", "2"]) {
    const rate = ["rate", "--url", `${ORIGIN}/`, "--http", http, "--parallel", "20"];
    let began = way.guest.deciderTime();
    const perSecond = (await ask(way, client, ...rate, "--seconds", String(SECONDS))).perSecond ??
      NaN;
    round[`kept${http}`] = perSecond;
    round[`time${http}`] = 1e3 * (way.guest.deciderTime() - began) / (SECONDS * perSecond);
    const pour = ["pour", "--http", http, "--bytes", String(BYTES)];
    const up = ["--way", "up", "--text", way.word, "--url", `${ORIGIN}/void`];
    began = way.guest.deciderTime();
    round[`up${http}`] = (await ask(way, client, ...pour, ...up)).megabytesPerSecond ?? NaN;
    round[`upTime${http}`] = 1e6 * (way.guest.deciderTime() - began) / BYTES;
    const down = await ask(way, client, ...pour, "--url", `${ORIGIN}/bytes/${BYTES}`);
    round[`down${http}`] = down.megabytesPerSecond ?? NaN;
  }
  return { ...round, memory: way.guest.deciderMemory() };
}

/** The most that the process which decides ever held beyond what it held before. */
async function large(way: Way, client: string): Promise<Round> {
  const before = way.guest.deciderMemory();
  const up = ["pour", "--way", "up", "--text", way.word, "--url", `${ORIGIN}/void`];
  const { megabytesPerSecond } = await ask(way, client, ...up, "--bytes", String(LARGE));
  return {
    large: megabytesPerSecond ?? NaN,
    before,
    peak: way.guest.deciderMemory("peak"),
    after: way.guest.deciderMemory(),
  };
}

const LARGE_FIGURES: readonly Figure[] = [
  { key: "large", title: "1 GiB of text up, HTTP/2", unit: "MB/s" },
  { key: "before", title: "memory before it", unit: "MiB" },
  { key: "peak", title: "the most ever", unit: "MiB" },
  { key: "after", title: "afterwards", unit: "MiB" },
];

/** The three sandboxes: without secrets, with one for the server, and with one for another host. */
async function openWays(world: World, program: string): Promise<Way[]> {
  process.env[NAME] = VALUE;
  const base: NamespaceOptions = {
    policy: "public-only",
    journal: false,
    tls: { upstreamCa: [world.ca] },
  };
  const withSecretFor = (host: string): NamespaceOptions => ({
    ...base,
    secrets: [{ name: NAME, hosts: [host], places: ["header", "basic", "body"] }],
  });
  const open = (options: NamespaceOptions) => openNamespaceGuest(world, options, [program]);
  const none = await open(base);
  const own = await open(withSecretFor("good.cdn.test"));
  const other = await open(withSecretFor("api.allowed.test"));
  return [
    { name: "no secrets", guest: none, word: VALUE },
    { name: "to its host", guest: own, word: own.placeholders[NAME] ?? "" },
    { name: "to another", guest: other, word: VALUE },
  ];
}

export const benchmark: Benchmark = async (bench) => {
  const client = buildGo("webclient");
  await using world = await openWorld();
  const ways = await openWays(world, compiledHost());
  try {
    const subjects = ways.map((way) => ({ name: way.name, round: () => measure(way, client) }));
    const series = await interleave(subjects, bench.rounds(5), { note: bench.note });
    const title = "requests of a sandbox with secrets, inside intercepted TLS";
    bench.print(
      formatTable({ title, figures: FIGURES, series, against: "no secrets", aims: AIMS }),
    );
    bench.note("one large body each");
    const bodies = await interleave(
      ways.map((way) => ({ name: way.name, round: () => large(way, client) })),
      1,
      { warmUp: 0 },
    );
    bench.print(
      formatTable({ title: "one large body", figures: LARGE_FIGURES, series: bodies }),
    );
  } finally {
    for (const { guest } of ways) await guest[Symbol.asyncDispose]();
  }
};
