/**
 * namespace_host LOAD NETSTACK OPTIONS: the host's side of a namespace guest. Runs inside the host namespace of a
 * world: opens the same cable as `sbx run`, makes a network namespace that plays the guest, and plugs it in
 * by a TAP device. Prints one JSON object a line: first what it started, then the journal. Ends with its
 * stdin, and everything with it.
 *
 * @module
 */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { readlinkSync } from "node:fs";
import process from "node:process";
import { createInterface } from "node:readline";
import { limaLink } from "../../lib/guest/lima/link.ts";
import { type Journal, NO_JOURNAL } from "../../lib/journal/journal.ts";
import { readSecretEntry } from "../../lib/policy/file/secret_entry.ts";
import type { Policy } from "../../lib/policy/model/policy.ts";
import { presetNamed } from "../../lib/policy/model/presets.ts";
import { DEFAULT_DNS } from "../../lib/policy/model/settings.ts";
import { DEFAULT_TLS } from "../../lib/policy/model/tls_settings.ts";
import { parseRule } from "../../lib/policy/text/grammar.ts";
import { openCable } from "../../lib/sandbox/cable.ts";
import { Lifetime } from "../../lib/sandbox/lifetime.ts";
import type { NetworkOptions } from "../../lib/sandbox/options.ts";
import type { HostCommand, NamespaceOptions, PolicyOptions } from "./namespace_guest.ts";

const [load = "", netstackPath = "", text = "{}"] = process.argv.slice(2);
const options = JSON.parse(text) as NamespaceOptions;

const print = (value: unknown) => process.stdout.write(JSON.stringify(value) + "\n");
const journal: Journal = options.journal === false ? NO_JOURNAL : { ...NO_JOURNAL, write: print };

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

function networkOf({ block, tls, publish, secrets, ...rest }: NamespaceOptions): NetworkOptions {
  const { maxConnections, newFlowsPerSecond, onSecretViolation } = rest;
  return {
    policy: policyOf(rest),
    dns: { ...DEFAULT_DNS, blockSuffix: block ?? [] },
    tls: tls === undefined ? DEFAULT_TLS : { ...DEFAULT_TLS, intercept: true, ...tls },
    publish: publish ?? [],
    secrets: {
      secrets: (secrets ?? []).map(readSecretEntry),
      onViolation: onSecretViolation ?? "block",
    },
    ...(maxConnections === undefined ? {} : { maxConnections }),
    ...(newFlowsPerSecond === undefined ? {} : { newFlowsPerSecond }),
  };
}

const lifetime = new Lifetime();
const { netstack, network, live, end: plug, authority, published, vault } = await openCable({
  network: options.network ?? networkOf(options),
  hostname: "guest",
  ...(options.unconfigured ? { link: limaLink("52:55:55:00:00:01") } : {}),
  netstackPath: () => Promise.resolve(netstackPath),
  journal,
  lifetime,
  onDenial: ({ line }) => print({ denial: line }),
  onNotice: (notice) => print({ notice }),
});

const guest = holdNamespace();
const pump = enter(["env", "GOMAXPROCS=2", load, "tap", "--device", "eth0"], netstack.framesFd);
netstack.releaseFrames();
await configured();
print({
  guest: guest.pid,
  netstack: netstack.pid,
  pump: pump.pid,
  decider: process.pid,
  authority: authority?.join("") ?? "",
  placeholders: Object.fromEntries(
    (vault?.kept ?? []).map(({ secret, placeholder }) => [secret.name, placeholder.text]),
  ),
  published,
});

// Each line is something to do, and is answered by one with its number.
createInterface({ input: process.stdin })
  .on("line", (line) => {
    const { id, ...command } = JSON.parse(line) as HostCommand & { readonly id: number };
    carryOut(command).then(
      (result) => print({ answer: id, result }),
      ({ code, message, others }) => print({ answer: id, error: { code, message, others } }),
    );
  })
  .on("close", () => process.exit(0));
void lifetime.ending.then(async (error) => {
  await lifetime.end();
  if (error?.code === "SECRET_VIOLATION") print({ terminated: error.message });
  else if (error !== undefined) process.stderr.write(`${error.message}\n`);
  process.exit(0);
});

async function carryOut(command: HostCommand): Promise<unknown> {
  if (command.publish !== undefined) return await network.publish(command.publish);
  if (command.unpublish !== undefined) return network.unpublish(command.unpublish);
  if (command.counts) return network.counts();
  const { apply, dryRun = false } = command;
  if (apply === undefined) return null;
  const { block, tls, dns, takenBack = [] } = apply;
  const settings = live.options;
  const { secrets } = networkOf(options);
  return await live.apply({
    policy: policyOf(apply),
    dns: { ...settings.dns, ...dns, ...(block === undefined ? {} : { blockSuffix: block }) },
    tls: { ...settings.tls, ...tls },
    secrets: {
      ...secrets,
      secrets: secrets.secrets.filter(({ name }) => !takenBack.includes(name)),
    },
  }, { dryRun });
}

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
  if (options.unconfigured) {
    ip(["-batch", "-"], `link set lo up\nlink set eth0 address ${plug.mac} up`);
    return;
  }
  // As in a real guest, the agent's addresses are all there are.
  spawnSync(
    "nsenter",
    inGuest(["sh", "-c", "echo 0 > /proc/sys/net/ipv6/conf/eth0/accept_ra"]).slice(1),
  );
  // In one go: netstack hears nothing from here until it is done, which on a loaded machine takes seconds.
  const commands = [
    "link set lo up",
    `link set eth0 address ${plug.mac} mtu ${options.mtu ?? plug.mtu} up`,
    `addr add ${plug.guest4}/24 dev eth0`,
    `addr add ${plug.guest6}/64 dev eth0 nodad`,
    `route add default via ${plug.gateway4}`,
    `route add default via ${plug.gateway6}`,
  ];
  const { status, stderr } = ip(["-batch", "-"], commands.join("\n"));
  if (status !== 0) throw new Error(`ip: ${stderr}`);
}
