/**
 * namespace_host LOAD NETSTACK OPTIONS: the host's side of a namespace guest. Runs inside the host namespace of a
 * world: starts netstack and the same network layer as `sbx run`, makes a network namespace that plays the
 * guest, and connects the two by a TAP device. Prints one JSON object a line: first what it started, then
 * the journal. Ends with its stdin, and everything with it.
 *
 * @module
 */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { readlinkSync } from "node:fs";
import process from "node:process";
import { createInterface } from "node:readline";
import { hostAddresses, systemResolvers } from "../../lib/host/network.ts";
import { spawnNetstack } from "../../lib/host/processes.ts";
import { parseRule } from "../../lib/policy/grammar.ts";
import { NameSet } from "../../lib/policy/name_set.ts";
import type { Policy } from "../../lib/policy/policy.ts";
import { presetNamed } from "../../lib/policy/presets.ts";
import { DEFAULT_TLS, type TlsSettings } from "../../lib/policy/tls_settings.ts";
import type { Interceptor } from "../../lib/sandbox/interceptor.ts";
import type { Journal } from "../../lib/sandbox/journal.ts";
import { LINK, MTU } from "../../lib/sandbox/link.ts";
import { openNetwork } from "../../lib/sandbox/network.ts";
import { resolverAt } from "../../lib/sandbox/resolver_at.ts";
import type { NamespaceOptions, PolicyOptions } from "./namespace_guest.ts";

const [load = "", netstackPath = "", text = "{}"] = process.argv.slice(2);
const options = JSON.parse(text) as NamespaceOptions;

const print = (value: unknown) => process.stdout.write(JSON.stringify(value) + "\n");
const journal: Journal = {
  write: (event) => options.journal === false ? undefined : print(event),
  close: () => Promise.resolve(0),
};

async function intercepting(tls: Partial<TlsSettings>): Promise<Interceptor | undefined> {
  const { openInterceptor } = await import("../../lib/sandbox/interceptor.ts");
  return openInterceptor({ ...DEFAULT_TLS, intercept: true, ...tls });
}

function policyOf({ policy, rules, denyWith, defaults }: PolicyOptions): Policy {
  const preset = presetNamed(policy);
  if (preset === null) throw new Error(`no such preset: ${policy}`);
  return {
    ...preset,
    rules: [...(rules ?? []).map(parseRule), ...preset.rules],
    denyWith: denyWith ?? preset.denyWith,
    ...(defaults === undefined ? {} : { defaults }),
  };
}

const interceptor = options.tls === undefined ? undefined : await intercepting(options.tls);

const netstack = spawnNetstack(netstackPath);
const network = await openNetwork({
  control: netstack.control,
  flows: netstack.flows,
  policy: policyOf(options),
  blocked: new NameSet(),
  rebindProtection: true,
  resolvers: systemResolvers().map(resolverAt),
  dnsTimeoutMs: 5000,
  ...(interceptor === undefined ? {} : { interceptor }),
  ...(options.maxConnections === undefined ? {} : { maxConnections: options.maxConnections }),
  ...(options.newFlowsPerSecond === undefined
    ? {}
    : { newFlowsPerSecond: options.newFlowsPerSecond }),
  hostAddresses,
  journal,
  onDenial: () => {},
  onNotice: (notice) => print({ notice }),
});

const guest = holdNamespace();
const pump = enter(["env", "GOMAXPROCS=2", load, "tap", "--device", "eth0"], netstack.framesFd);
netstack.releaseFrames();
await configured();
const published = [];
for (const publication of options.publish ?? []) {
  published.push(...await network.publish(publication));
}
print({
  guest: guest.pid,
  netstack: netstack.pid,
  pump: pump.pid,
  decider: process.pid,
  authority: interceptor?.authority.join("") ?? "",
  published,
});

// Each line is a new policy, in the words of the options.
const end = () => process.exit(0);
createInterface({ input: process.stdin })
  .on("line", (line) => network.setPolicy(policyOf(JSON.parse(line) as PolicyOptions)))
  .on("close", end);
void network.closed.then((error) => {
  if (error !== undefined) process.stderr.write(`${error.message}\n${netstack.stderrTail()}`);
  end();
});

function holdNamespace(): ChildProcess {
  const child = spawn("unshare", ["-n", "setpriv", "--pdeathsig", "KILL", "sleep", "infinity"], {
    stdio: "ignore",
  });
  const own = readlinkSync("/proc/self/ns/net");
  // The process exists before it has unshared; a short wait beats a protocol for it.
  while (namespaceOf(child.pid) === own) {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);
  }
  return child;
}

function namespaceOf(pid: number | undefined): string {
  return readlinkSync(`/proc/${pid}/ns/net`);
}

function inGuest(argv: readonly string[]): string[] {
  return ["nsenter", "--target", String(guest.pid), "--net", "--", ...argv];
}

function enter(argv: readonly string[], fd: number): ChildProcess {
  const [command = "", ...args] = inGuest(["setpriv", "--pdeathsig", "KILL", ...argv]);
  return spawn(command, args, { stdio: ["ignore", "inherit", "inherit", fd] });
}

/** What the agent does in a real guest. */
async function configured(): Promise<void> {
  const ip = (args: readonly string[], input = "") => {
    const [command = "", ...rest] = inGuest(["ip", ...args]);
    return spawnSync(command, rest, { encoding: "utf8", input });
  };
  while (ip(["link", "show", "eth0"]).status !== 0) {
    await new Promise((wake) => setTimeout(wake, 5));
  }
  // As in a real guest, the agent's addresses are all there are.
  spawnSync(
    "nsenter",
    inGuest(["sh", "-c", "echo 0 > /proc/sys/net/ipv6/conf/eth0/accept_ra"]).slice(1),
  );
  const { guest: own, gateway } = LINK;
  // In one go: netstack hears nothing from here until it is done, which on a loaded machine takes seconds.
  const commands = [
    "link set lo up",
    `link set eth0 address ${own.mac} mtu ${options.mtu ?? MTU} up`,
    `addr add ${own.ip4}/24 dev eth0`,
    `addr add ${own.ip6}/64 dev eth0 nodad`,
    `route add default via ${gateway.ip4}`,
    `route add default via ${gateway.ip6}`,
  ];
  const { status, stderr } = ip(["-batch", "-"], commands.join("\n"));
  if (status !== 0) throw new Error(`ip: ${stderr}`);
}
