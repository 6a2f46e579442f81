/**
 * What interception costs: requests and bulk through sbx, through mitmproxy, and with nothing in between, all
 * against the same server. sbx carries the guest's whole network beside; mitmproxy is an explicit proxy on the
 * client's own machine.
 *
 * @module
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { makeAuthority } from "../../lib/tls/authority/authority.ts";
import { Leaves } from "../../lib/tls/authority/leaves.ts";
import { buildGo } from "../../test/support/build.ts";
import { openNamespaceGuest } from "../../test/support/namespace_guest.ts";
import { run, start, until } from "../../test/support/process.ts";
import { residentMiB } from "../../test/support/process_memory.ts";
import { openWorld, ROOT, type World } from "../../test/support/world.ts";
import type { Aim, Benchmark, Figure, Round } from "./benchmark.ts";
import { compiledHost } from "./peers.ts";
import { interleave } from "./rounds.ts";
import { formatTable } from "./table.ts";

const FIGURES: readonly Figure[] = [
  { key: "kept1", title: "HTTP/1.1, 20 connections kept", unit: "1/s" },
  { key: "kept2", title: "HTTP/2, 20 connections kept", unit: "1/s" },
  { key: "fresh1", title: "HTTP/1.1, a connection each", unit: "1/s" },
  { key: "fresh2", title: "HTTP/2, a connection each", unit: "1/s" },
  { key: "down1", title: "HTTP/1.1, one body down", unit: "MB/s" },
  { key: "up1", title: "HTTP/1.1, one body up", unit: "MB/s" },
  { key: "down2", title: "HTTP/2, one body down", unit: "MB/s" },
  { key: "up2", title: "HTTP/2, one body up", unit: "MB/s" },
  { key: "memory", title: "memory afterwards", unit: "MiB" },
];

const AIMS: readonly Aim[] = FIGURES.filter(({ key }) => key !== "memory")
  .map(({ key, unit }) => ({
    figure: key,
    of: "sbx",
    against: "mitmproxy",
    atLeast: unit === "MB/s" ? 2 : 5,
  }));

const ORIGIN = "https://good.cdn.test";
const BYTES = 64 << 20;

/** A way to the server. */
interface Way {
  readonly name: string;
  inside(argv: readonly string[]): string[];
  readonly env: Readonly<Record<string, string>>;
  /** PEM file of what the client has to trust. */
  readonly ca: string;
  /** Of whoever opens TLS, in MiB. */
  readonly memory?: () => number;
  close(): Promise<void>;
}

async function measure(way: Way, client: string): Promise<Round> {
  const ask = async (...argv: readonly string[]): Promise<Record<string, number>> => {
    const command = way.inside([client, ...argv, "--ca", way.ca]);
    const { status, stdout, stderr } = await run(command, { limit: 120, env: way.env });
    if (status !== 0) throw new Error(`${way.name}, ${argv.join(" ")}: ${stderr}`);
    return JSON.parse(stdout) as Record<string, number>;
  };
  const round: Record<string, number> = {};
  for (const http of ["1", "2"]) {
    const rate = ["rate", "--url", `${ORIGIN}/`, "--http", http, "--parallel", "20"];
    round[`kept${http}`] = (await ask(...rate, "--seconds", "2")).perSecond ?? NaN;
    round[`fresh${http}`] = (await ask(...rate, "--seconds", "2", "--fresh")).perSecond ?? NaN;
    const pour = ["pour", "--http", http, "--bytes", String(BYTES)];
    const down = await ask(...pour, "--url", `${ORIGIN}/bytes/${BYTES}`);
    round[`down${http}`] = down.megabytesPerSecond ?? NaN;
    const up = await ask(...pour, "--way", "up", "--url", `${ORIGIN}/void`);
    round[`up${http}`] = up.megabytesPerSecond ?? NaN;
  }
  return { ...round, ...(way.memory === undefined ? {} : { memory: way.memory() }) };
}

async function openSbx(world: World): Promise<Way> {
  const options = {
    policy: "public-only",
    journal: false,
    tls: { upstreamCa: [world.ca] },
  } as const;
  const guest = await openNamespaceGuest(world, options, [compiledHost()]);
  return {
    name: "sbx",
    inside: guest.inside,
    env: {},
    ca: guest.authority,
    memory: () => guest.deciderMemory(),
    close: () => guest[Symbol.asyncDispose](),
  };
}

const MITMDUMP = join(ROOT, ".cache/bench/mitmproxy/bin/mitmdump");
const PROXY_PORT = 8081;

/** Streams bodies, as sbx does, instead of holding each of them whole. */
async function openMitmproxy(world: World): Promise<Way> {
  if (!existsSync(MITMDUMP)) throw new Error("it is not installed");
  const confdir = join(world.scratch, "mitmproxy");
  const settings = [
    `confdir=${confdir}`,
    `ssl_verify_upstream_trusted_ca=${world.ca}`,
    "stream_large_bodies=1",
  ];
  const argv = ["--quiet", "--listen-host", "127.0.0.1", "--listen-port", String(PROXY_PORT)];
  const proxy = start(
    world.onHost([MITMDUMP, ...argv, ...settings.flatMap((setting) => ["--set", setting])]),
    { limit: 3_600 },
  );
  const ca = join(confdir, "mitmproxy-ca-cert.pem");
  await until("mitmproxy's authority", () => existsSync(ca) || proxy.child.exitCode !== null);
  return {
    name: "mitmproxy",
    inside: world.onHost,
    env: { HTTPS_PROXY: `http://127.0.0.1:${PROXY_PORT}` },
    ca,
    memory: () => residentMiB(proxy.pid),
    async close() {
      proxy.kill("SIGKILL");
      await proxy.ended;
    },
  };
}

async function leafRate(): Promise<Round> {
  const leaves = new Leaves((await makeAuthority()).authority);
  const count = 2_000;
  const began = performance.now();
  for (let i = 0; i < count; i++) await leaves.leafFor(`host-${i}.allowed.test`);
  return { leaves: count / (performance.now() - began) * 1_000 };
}

export const benchmark: Benchmark = async (bench) => {
  const client = buildGo("webclient");
  await using world = await openWorld();
  const ways: Way[] = [{
    name: "direct",
    inside: world.onHost,
    env: {},
    ca: world.ca,
    close: () => Promise.resolve(),
  }];
  try {
    for (const open of [openSbx, openMitmproxy]) {
      await open(world).then((way) => ways.push(way), (error: Error) => {
        bench.note(`without ${open.name.replace("open", "")}: ${error.message}`);
      });
    }
    const subjects = ways.map((way) => ({ name: way.name, round: () => measure(way, client) }));
    const series = await interleave(subjects, bench.rounds(5), { note: bench.note });
    const title = "HTTP inside intercepted TLS";
    bench.print(formatTable({ title, figures: FIGURES, series, against: "mitmproxy", aims: AIMS }));
  } finally {
    for (const way of ways) await way.close();
  }
  const minting = await interleave([{ name: "sbx", round: leafRate }], bench.rounds(5));
  const figures = [{ key: "leaves", title: "leaves minted", unit: "1/s" }];
  bench.print(formatTable({ title: "certificates", figures, series: minting }));
};
