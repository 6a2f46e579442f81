/**
 * sbx and others of its kind, each as the network of a namespace of its own: same clients, same server, same
 * cable between them.
 *
 * @module
 */
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync, readlinkSync } from "node:fs";
import { join, resolve } from "node:path";
import process from "node:process";
import { LINK } from "../../lib/base/link.ts";
import { openNamespaceGuest } from "../../test/support/namespace_guest.ts";
import { run, type Running, start, until } from "../../test/support/process.ts";
import { ROOT } from "../../test/support/world.ts";
import { type BenchWorld, ECHO } from "./world.ts";

export interface Peer {
  readonly name: string;
  /** The process that is the network; absent where it is the kernel. */
  readonly pid?: number;
  /** argv of a program, made to run where the peer's guest is. */
  inside(argv: readonly string[]): string[];
  close(): Promise<void>;
}

/** A guard against hangs, as everywhere; peers live as long as the measurement. */
const HOUR = 3_600;

/** A process that a measurement cannot outlive, however it is interrupted. */
function startMortal(argv: readonly string[], enter: (argv: readonly string[]) => string[]) {
  return start(enter(["setpriv", "--pdeathsig", "KILL", ...argv]), { limit: HOUR });
}

type Opener = (bench: BenchWorld) => Promise<Peer>;

/** sbx first: what is compared is compared with it, or with gvproxy behind it. */
const OPENERS: Readonly<Record<string, Opener>> = {
  sbx: (bench) => openSbx(bench),
  gvproxy: openGvproxy,
  pasta: openPasta,
  slirp4netns: openSlirp4netns,
  veth: ({ world }) =>
    Promise.resolve({
      name: "veth",
      inside: (argv) => world.onHost(argv),
      close: () => Promise.resolve(),
    }),
};

/** All of them that start here; `note` hears of the others. `against`: dist/sbx of another checkout. */
export async function openPeers(
  bench: BenchWorld,
  note: (line: string) => void,
  against?: string,
): Promise<Peer[]> {
  const peers: Peer[] = [];
  const before: Opener = (bench) => openSbx(bench, "before", resolve(against ?? "", "../.."));
  const openers = { ...OPENERS, ...(against === undefined ? {} : { before }) };
  for (const [name, open] of Object.entries(openers)) {
    try {
      peers.push(await open(bench));
    } catch (error) {
      note(`without ${name}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  return peers;
}

/** sbx's network layer in a process of its own, compiled as it is in dist/sbx. */
export function compiledHost(root = ROOT): string {
  const out = join(root, ".cache/bench/namespace_host");
  execFileSync(process.execPath, [
    "build",
    join(root, "test/support/namespace_host.ts"),
    "--compile",
    "--minify",
    "--bytecode",
    "--format=esm",
    `--outfile=${out}`,
  ], { stdio: ["ignore", "ignore", "inherit"], cwd: root });
  return out;
}

async function openSbx({ world }: BenchWorld, name = "sbx", root = ROOT): Promise<Peer> {
  const options = { policy: "public-only", journal: false } as const;
  const netstack = join(root, `vendor/bin/linux-${process.arch}/netstack`);
  const guest = await openNamespaceGuest(world, options, [compiledHost(root)], netstack);
  return {
    name,
    pid: guest.netstackPid,
    inside: guest.inside,
    close: () => guest[Symbol.asyncDispose](),
  };
}

type Namespace = Pick<Peer, "inside" | "close">;

async function openNamespace(
  { world }: BenchWorld,
): Promise<Namespace & { readonly pid: string }> {
  const script = "ip link set lo up; echo $$; exec cat";
  const holder = startMortal(["unshare", "--net", "sh", "-c", script], world.onHostAsRoot);
  await until("a network namespace", () => holder.stdout().endsWith("\n"));
  const pid = holder.stdout().trim();
  return {
    pid,
    inside: (argv) => world.onHostAsRoot(["nsenter", "--target", pid, "--net", "--", ...argv]),
    async close() {
      holder.child.stdin?.end();
      await holder.ended;
    },
  };
}

/** Enters the namespace by itself and makes its own device there. */
async function openSlirp4netns(bench: BenchWorld): Promise<Peer> {
  const namespace = await openNamespace(bench);
  const argv = ["slirp4netns", "--configure", "--mtu", String(LINK.mtu), "--disable-host-loopback"];
  const peer = startMortal([...argv, namespace.pid, "eth0"], bench.world.onHostAsRoot);
  return await whole(bench, "slirp4netns", namespace, [peer]);
}

/** Gives up the power to enter a namespace of others, so it makes its own; as nobody it could not. */
async function openPasta(bench: BenchWorld): Promise<Peer> {
  const link = ["--config-net", "--ns-ifname", "eth0", "--mtu", String(LINK.mtu)];
  const ports = ["--tcp-ports", "--udp-ports", "--tcp-ns", "--udp-ns"];
  const closed = ports.flatMap((flag) => [flag, "none"]);
  const argv = ["pasta", "--foreground", ...link, ...closed, "--runas", "0", "--", "cat"];
  const peer = startMortal(argv, bench.world.onHost);
  let pid: string | undefined;
  await until("pasta's namespace", () => {
    pid = childElsewhere(String(peer.pid), bench.world.hostPid);
    if (peer.child.exitCode !== null) throw new Error(peer.stderr().trim());
    return pid !== undefined;
  }, 5);
  const inside = (argv: readonly string[]) =>
    bench.world.onHostAsRoot(["nsenter", "--target", String(pid), "--net", "--", ...argv]);
  return await whole(bench, "pasta", { inside, close: () => Promise.resolve() }, [peer]);
}

/** The first process below `pid` whose network is not the host's. */
function childElsewhere(pid: string, host: number): string | undefined {
  const network = (of: string | number) => readlinkSync(`/proc/${of}/ns/net`);
  try {
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim();
    for (const child of children === "" ? [] : children.split(" ")) {
      if (network(child) !== network(host)) return child;
      const found = childElsewhere(child, host);
      if (found !== undefined) return found;
    }
  } catch {
    // It ended, or has not begun.
  }
  return undefined;
}

/** gvproxy's fixed addresses and the MAC that it leases the guest's address to. */
const GVPROXY = { mac: "5a:94:ef:e4:0c:ee", ip: "192.168.127.2/24", gateway: "192.168.127.1" };

async function openGvproxy(bench: BenchWorld): Promise<Peer> {
  const binary = join(ROOT, ".cache/bench/gvproxy");
  if (!existsSync(binary)) throw new Error("it is not built");
  const socket = bench.scratch("gvproxy.sock");
  const argv = [binary, "-mtu", String(LINK.mtu), "-listen-qemu", `unix://${socket}`];
  const peer = startMortal(argv, bench.world.onHost);
  await until("gvproxy's socket", () => existsSync(socket) || peer.child.exitCode !== null);
  const namespace = await openNamespace(bench);
  const pump = ["env", "GOMAXPROCS=2", bench.load, "tap", "--device", "eth0", "--wire", socket];
  const card = startMortal(pump, namespace.inside);
  const setUp = [
    "until ip link show eth0 >/dev/null 2>&1; do sleep 0.02; done",
    `ip link set eth0 address ${GVPROXY.mac} mtu ${LINK.mtu} up`,
    `ip addr add ${GVPROXY.ip} dev eth0`,
    `ip route add default via ${GVPROXY.gateway}`,
  ];
  await run(namespace.inside(["sh", "-ec", setUp.join("\n")]), { limit: 20 });
  return await whole(bench, "gvproxy", namespace, [peer, card]);
}

/**
 * The peer, once a connection gets through it; what it consists of, the network itself first, is ended
 * when none does.
 */
async function whole(
  { load }: BenchWorld,
  name: string,
  namespace: Namespace,
  processes: readonly Running[],
): Promise<Peer> {
  const close = async () => {
    for (const { child, kill, ended } of processes) {
      child.stdin?.end();
      kill("SIGKILL");
      await ended;
    }
    await namespace.close();
  };
  const probe = namespace.inside([load, "connect", "--to", ECHO, "--count", "1"]);
  try {
    await until(`a connection through ${name}`, async () => {
      const dead = processes.find(({ child }) => child.exitCode !== null);
      if (dead !== undefined) throw new Error(dead.stderr().trim() || "it ended at once");
      return (await run(probe)).status === 0;
    }, 15);
  } catch (error) {
    await close();
    throw error;
  }
  const pid = processes[0]?.pid;
  return { name, inside: namespace.inside, close, ...(pid === undefined ? {} : { pid }) };
}
