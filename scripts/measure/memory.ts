/**
 * What a sandbox holds in memory that does nothing, and what the network of one does: at rest, with a thousand idle
 * connections, and after the guest has flooded it.
 *
 * @module
 */
import { SILENT } from "../../test/support/places.ts";
import { run, start, until } from "../../test/support/process.ts";
import { residentMiB } from "../../test/support/process_memory.ts";
import type { Bench, Benchmark, Figure, Round, Series } from "./benchmark.ts";
import { measureIdle } from "./idle_memory.ts";
import { openPeers, type Peer } from "./peers.ts";
import { formatTable } from "./table.ts";
import { type BenchWorld, ECHO, openBenchWorld } from "./world.ts";

const FIGURES: readonly Figure[] = [
  { key: "rest", title: "at rest", unit: "MiB" },
  { key: "kept", title: "with 1000 idle connections", unit: "MiB" },
  { key: "each", title: "a connection", unit: "KiB" },
  { key: "syns", title: "peak after 100000 SYNs to silence", unit: "MiB" },
  { key: "datagrams", title: "peak after 100000 datagrams, each a flow", unit: "MiB" },
];

const CONNECTIONS = 1_000;
const FLOOD = 100_000;

async function idle({ inside }: Peer, pid: number, { load }: BenchWorld): Promise<Round> {
  const rest = residentMiB(pid);
  const argv = [load, "keep", "--to", ECHO, "--count", String(CONNECTIONS)];
  const client = start(inside(argv), { limit: 120 });
  await until("a thousand connections", () => {
    if (client.child.exitCode !== null) throw new Error(client.stderr());
    return client.stdout().includes("kept");
  }, 100);
  const kept = residentMiB(pid);
  client.child.stdin?.end();
  await client.ended;
  return { rest, kept, each: (kept - rest) * 1024 / CONNECTIONS };
}

/** Frames are made for sbx's cable, so that others are not flooded. */
async function flooded({ inside }: Peer, pid: number, { load }: BenchWorld): Promise<Round> {
  const flood = async (...argv: readonly string[]): Promise<number> => {
    const all = [load, ...argv, "--count", String(FLOOD)];
    const { status, stderr } = await run(inside(all), { limit: 120 });
    if (status !== 0) throw new Error(`${argv.join(" ")}: ${stderr}`);
    return residentMiB(pid, "peak");
  };
  const syns = await flood("synflood", "--to", `${SILENT}:80`, "--device", "eth0");
  const datagrams = await flood("spray", "--block", "45.128.0.0/9", "--size", "64");
  return { syns, datagrams };
}

async function measure(bench: Bench, peer: Peer, world: BenchWorld): Promise<Series | undefined> {
  const { name, pid } = peer;
  if (pid === undefined) return undefined;
  bench.note(name);
  const held = await idle(peer, pid, world);
  const peaks = name === "sbx" ? await flooded(peer, pid, world) : {};
  return { name, rounds: [{ ...held, ...peaks }] };
}

export const benchmark: Benchmark = async (bench) => {
  await measureIdle(bench);
  await using world = await openBenchWorld();
  const peers = await openPeers(world, bench.note);
  try {
    const series: Series[] = [];
    for (const peer of peers) {
      const one = await measure(bench, peer, world);
      if (one !== undefined) series.push(one);
    }
    const title = "resident memory of the network's process";
    bench.print(formatTable({ title, figures: FIGURES, series, against: "gvproxy" }));
  } finally {
    for (const peer of peers) await peer.close();
  }
};
