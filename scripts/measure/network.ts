/**
 * What a guest's network costs, beside others of its kind: connections, datagrams, bulk.
 *
 * @module
 */
import { run } from "../../test/support/process.ts";
import type { Aim, Benchmark, Figure, Round } from "./benchmark.ts";
import { openPeers, type Peer } from "./peers.ts";
import { interleave } from "./rounds.ts";
import { formatTable } from "./table.ts";
import { BULK, ECHO, openBenchWorld } from "./world.ts";

const FIGURES: readonly Figure[] = [
  { key: "new50", title: "connect, new destination, p50", unit: "us" },
  { key: "new99", title: "connect, new destination, p99", unit: "us" },
  { key: "known50", title: "connect, known destination, p50", unit: "us" },
  { key: "known99", title: "connect, known destination, p99", unit: "us" },
  { key: "rate", title: "connections, 50 at once", unit: "1/s" },
  { key: "up", title: "one stream, up", unit: "Gbit/s", digits: 2 },
  { key: "down", title: "one stream, down", unit: "Gbit/s", digits: 2 },
  { key: "udp50", title: "UDP round trip, p50", unit: "us" },
  { key: "udp99", title: "UDP round trip, p99", unit: "us" },
];

const AIMS: readonly Aim[] = [
  { figure: "new50", of: "sbx", against: "gvproxy", atMost: 1.3 },
  { figure: "known50", of: "sbx", against: "gvproxy", atMost: 1 },
  { figure: "rate", of: "sbx", against: "gvproxy", atLeast: 15 },
  { figure: "up", of: "sbx", against: "gvproxy", atLeast: 1.4 },
  { figure: "down", of: "sbx", against: "gvproxy", atLeast: 1.4 },
  { figure: "up", of: "sbx", against: "pasta", atLeast: 1 },
  { figure: "down", of: "sbx", against: "pasta", atLeast: 1 },
];

const CONNECTS = 400;
const ROUND_TRIPS = 1_000;

interface Spread {
  readonly p50: number;
  readonly p99: number;
}

/**
 * What one peer's guest sees in one round. Its addresses are its own in every round: all peers leave from the
 * same one, and the closed connections that one leaves behind would be in the next one's way.
 */
async function measure(peer: Peer, load: string, place: number, turn: number): Promise<Round> {
  const ask = async <T>(...argv: readonly string[]): Promise<T> => {
    const { status, stdout, stderr } = await run(peer.inside([load, ...argv]), { limit: 60 });
    if (status !== 0) throw new Error(`${peer.name}, ${argv.join(" ")}: ${stderr}`);
    return JSON.parse(stdout) as T;
  };
  const block = `45.${place}.${turn * 8 % 256}.0`;
  const fresh = await ask<Spread>("fresh", "--block", `${block}/21`, "--count", String(CONNECTS));
  const to = `${block}:7`;
  await ask<Spread>("connect", "--to", to, "--count", "1");
  const known = await ask<Spread>("connect", "--to", to, "--count", String(CONNECTS));
  const rate = await ask<{ perSecond: number }>("rate", "--to", to, "--seconds", "1");
  const pour = async (way: string) =>
    (await ask<{ gbitsPerSecond: number }>("pour", "--to", BULK, "--way", way)).gbitsPerSecond;
  const up = await pour("up");
  const down = await pour("down");
  const udp = await ask<Spread>("udp", "--to", ECHO, "--count", String(ROUND_TRIPS));
  return {
    new50: fresh.p50,
    new99: fresh.p99,
    known50: known.p50,
    known99: known.p99,
    rate: rate.perSecond,
    up,
    down,
    udp50: udp.p50,
    udp99: udp.p99,
  };
}

export const benchmark: Benchmark = async (bench) => {
  await using world = await openBenchWorld();
  const peers = await openPeers(world, bench.note, bench.against);
  try {
    const subjects = peers.map((peer, place) => {
      let turn = 0;
      return { name: peer.name, round: () => measure(peer, world.load, place, turn++) };
    });
    const series = await interleave(subjects, bench.rounds(9), { note: bench.note });
    bench.print(
      formatTable({
        title: "network of a guest",
        figures: FIGURES,
        series,
        against: "gvproxy",
        aims: AIMS,
      }),
    );
  } finally {
    for (const peer of peers) await peer.close();
  }
};
