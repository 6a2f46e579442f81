/**
 * Everything that the command line does, a program can: what stands here for each command and option is in the library,
 * or says why there is nothing.
 */
import { expect, test } from "bun:test";
import type { Command } from "commander";
import { NamedSandbox } from "../../lib/api/named_sandbox.ts";
import { RunningSandbox } from "../../lib/api/running_sandbox.ts";
import { wholeTree } from "../../lib/cli/command_tree.ts";
import * as library from "../../lib/mod.ts";
import { SandboxProcess } from "../../lib/sandbox/process.ts";
import { GuestFiles } from "../../lib/sandbox/guest_files.ts";

const PLACES: Readonly<Record<string, object>> = {
  ...library,
  builder: Object.getPrototypeOf(library.Sandbox.builder()),
  network: networkPrototype(),
  tls: tlsPrototype(),
  secret: secretPrototype(),
  own: RunningSandbox.prototype,
  named: NamedSandbox.prototype,
  fs: GuestFiles.prototype,
  process: SandboxProcess.prototype,
  library,
};

/** Words of the terminal: a program has streams and values of its own. */
const FOR_PEOPLE = "how it is shown to a person";
const RULES_OF_FILES = "a program reads files itself";

const COMMANDS: Readonly<Record<string, string>> = {
  run: "builder.create",
  create: "builder.createDetached",
  start: "named.start",
  stop: "named.stop",
  kill: "Sandbox.kill",
  rm: "Sandbox.remove",
  ls: "Sandbox.list",
  exec: "named.exec",
  shell: "named.exec",
  ps: "named.jobs",
  attach: "named.attach",
  logs: "named.logs",
  cp: "fs.copyFromHost",
  diff: "named.diff",
  apply: "named.apply",
  "port add": "named.publish",
  "port rm": "named.unpublish",
  "port ls": "named.info",
  stats: "named.metrics",
  inspect: "named.description",
  init: "(a starter policy is for people to edit)",
  fork: "named.fork",
  forward: "named.forward",
  ssh: "named.ssh",
  "ssh-config": "library.sshConfigText",
  "snapshot create": "named.snapshot",
  "snapshot ls": "Sandbox.snapshots",
  "snapshot rm": "Sandbox.removeSnapshot",
  "policy show": "NetworkPolicy.spell",
  "policy check": "NetworkPolicy.check",
  "policy apply": "named.applyPolicy",
  "policy explain": "NetworkPolicy.test",
  "policy test": "NetworkPolicy.test",
  "policy schema": "NetworkPolicy.schema",
  "ca init": "CertificateAuthority.init",
  "ca show": "CertificateAuthority.load",
  "ca export": "CertificateAuthority.load",
  "ca rotate": "CertificateAuthority.rotate",
  "ca rm": "CertificateAuthority.remove",
  "secret set": "SecretStore.set",
  "secret ls": "SecretStore.list",
  "secret rm": "SecretStore.remove",
  "template build": "Templates.build",
  "template ls": "Templates.list",
  "template rm": "Templates.remove",
  "template prune": "Templates.prune",
  log: "library.readJournal",
  doctor: "library.doctor",
  version: "library.versions",
  update: "(which version is the newest, and how it is installed, is for people)",
  completion: "(for shells)",
  "lima start": "(Lima's guests are the user's, by name)",
  "lima stop": "(Lima's guests are the user's, by name)",
  "lima shell": "(Lima's guests are the user's, by name)",
  "lima ls": "(Lima's guests are the user's, by name)",
  "lima rm": "(Lima's guests are the user's, by name)",
  "lima driver": "(for Lima)",
};

const OPTIONS: Readonly<Record<string, string>> = {
  "--policy": "network.policy",
  "--allow": "network.allow",
  "--deny": "network.deny",
  "--rule": "network.rule",
  "--deny-with": "network.denyWith",
  "--no-net": "NetworkPolicy.none",
  "--publish": "network.publish",
  "--max-connections": "network.maxConnections",
  "--max-new-flows": "network.newFlowsPerSecond",
  "--block-domain": "network.blockDomain",
  "--block-domain-suffix": "network.blockDomainSuffix",
  "--block-doh": "network.blockDoh",
  "--no-dns-rebind-protection": "network.dnsRebindProtection",
  "--add-host": "network.addHost",
  "--dns-server": "network.dnsServers",
  "--dns-timeout": "network.dnsTimeout",
  "--tls-intercept": "tls.intercept",
  "--tls-port": "tls.interceptedPorts",
  "--tls-bypass": "tls.bypass",
  "--no-block-quic": "tls.blockQuic",
  "--tls-ca-cert": "tls.interceptCaCert",
  "--tls-ca-key": "tls.interceptCaKey",
  "--upstream-ca": "tls.upstreamCaCert",
  "--no-verify-upstream": "tls.verifyUpstream",
  "--tls-opaque": "tls.opaque",
  "--tls-idle-timeout": "tls.idleTimeout",
  "--trust-host-cas": "network.trustHostCas",
  "--secret": "builder.secret",
  "--secret-aws": "secret.aws",
  "--secret-place": "secret.places",
  "--secret-format": "secret.format",
  "--on-secret-violation": "network.onSecretViolation",
  "--volume": "builder.mount",
  "--env": "builder.env",
  "--env-file": `(${RULES_OF_FILES})`,
  "--workdir": "builder.workdir",
  "--user": "builder.user",
  "--name": "builder.name",
  "--hostname": "builder.hostname",
  "--cpus": "builder.cpus",
  "--memory": "builder.memory",
  "--disk": "builder.disk",
  "--root": "builder.root",
  "--savable": "builder.savable",
  "--from": "builder.from",
  "--no-template": "builder.template",
  "--timeout": "builder.timeout",
  "--log": "builder.journal",
  "--detach": "builder.createDetached",
  "--rm": "builder.createDetached",
  "--diff": "own.diff",
  "--apply": "own.apply",
  "--include-unsafe": "own.apply",
  "--restart": "builder.createDetached",
  "--idle-timeout": "builder.createDetached",
  "--interactive": "builder.createDetached",
  "--tty": "named.exec",
  "--no-tty": "named.exec",
  "--escape-char": `(${FOR_PEOPLE})`,
  "--quiet": `(${FOR_PEOPLE})`,
  "--no-notices": "builder.onNotice",
  "--denials": "builder.onDenial",
};

/** How an answer is printed: a program has values. */
const PRINTED = ["--json", "--format", "--quiet", "--long", "--timestamps", "--stat"];

/** Of the commands that run something in a sandbox that runs. */
const IN_SANDBOX = ["exec", "shell"];

/** Options of all other commands; those of Lima's guests are the user's, by name. */
const OWN_OPTIONS: Readonly<Record<string, string>> = {
  "stop --time": "named.stop",
  "kill --signal": "named.signal",
  "rm --force": "Sandbox.remove",
  "ls --all": "Sandbox.list",
  "ls --filter": "(a program filters what Sandbox.list gives)",
  "snapshot create --memory": "named.snapshot",
  "fork --no-start": "named.fork",
  "attach --job": "named.attach",
  "attach --from": "named.attach",
  "attach --from-start": "named.attach",
  "attach --escape-char": `(${FOR_PEOPLE})`,
  "logs --job": "named.logs",
  "logs --follow": "named.logs",
  "logs --since": "(each piece of NamedSandbox.logs has its time)",
  "logs --until": "(each piece of NamedSandbox.logs has its time)",
  "logs --tail": "(a program keeps of NamedSandbox.logs what it wants)",
  "ssh --user": "named.ssh",
  "cp --user": "fs.copyFromHost",
  "diff --patch": "named.diff",
  "apply --dry-run": "named.diff",
  "apply --digest": "named.apply",
  "apply --force": "named.apply",
  "apply --include-unsafe": "named.apply",
  "policy check --strict": "NetworkPolicy.check",
  "policy apply --dry-run": "named.applyPolicy",
  "policy explain --pin": "NetworkPolicy.test",
  "policy explain --sni": "NetworkPolicy.test",
  "policy explain --no-sni": "NetworkPolicy.test",
  "policy explain --inbound": "NetworkPolicy.test",
  "ca init --force": "CertificateAuthority.init",
  "ca init --name": "CertificateAuthority.init",
  "ca init --days": "CertificateAuthority.init",
  "ca export --force": `(${RULES_OF_FILES})`,
  "ca rotate --name": "CertificateAuthority.rotate",
  "ca rotate --days": "CertificateAuthority.rotate",
  "secret set --in": "SecretStore.set",
  "template build --cpus": "Templates.build",
  "template build --memory": "Templates.build",
  "template build --no-net": "Templates.build",
  "template build --no-root": "Templates.build",
  "template build --distrust": "Templates.build",
  "template build --unless-failed": "Templates.build",
  "template prune --keep": "Templates.prune",
  "log --follow": "library.readJournal",
  "log --denied": "(a program picks from what readJournal gives)",
  "log --host": "(a program picks from what readJournal gives)",
  "doctor --report": "library.doctor",
  "doctor --no-boot": "library.doctor",
  "update --check": `(${FOR_PEOPLE})`,
  "version --licences": "library.licences",
};

function protoOf(value: object): object {
  return Object.getPrototypeOf(value);
}

function networkPrototype(): object {
  let found: object = {};
  library.Sandbox.builder().network((network) => (found = protoOf(network), network));
  return found;
}

function tlsPrototype(): object {
  let found: object = {};
  library.Sandbox.builder().network((network) => network.tls((tls) => (found = protoOf(tls), tls)));
  return found;
}

function secretPrototype(): object {
  let found: object = {};
  library.Sandbox.builder().secret("A", (secret) => {
    found = protoOf(secret);
    return secret.value("b").hosts("a.example");
  });
  return found;
}

function leaves(command: Command, path: readonly string[] = []): [string, Command][] {
  const isHidden = path.length > 0 && (path[0]?.startsWith("__") || path[0] === "lima-guest");
  if (isHidden) return [];
  if (command.commands.length === 0) return [[path.join(" "), command]];
  return command.commands.flatMap((each) => leaves(each, [...path, each.name()]));
}

/** What is named and is not there. */
function missing(table: Readonly<Record<string, string>>): string[] {
  return Object.entries(table).flatMap(([name, call]) => {
    if (call.startsWith("(")) return [];
    const [place = "", member = ""] = call.split(".");
    const owner = PLACES[place];
    return owner !== undefined && member in owner ? [] : [`${name}: ${call}`];
  });
}

test("each command has its call", async () => {
  const names = leaves(await wholeTree()).map(([name]) => name);
  expect(names.toSorted()).toEqual(Object.keys(COMMANDS).toSorted());
  expect(missing(COMMANDS)).toEqual([]);
});

test("each option of a sandbox has its call", async () => {
  const found = leaves(await wholeTree())
    .filter(([name]) => ["run", "create"].includes(name))
    .flatMap(([, command]) => command.options.map(({ long }) => long ?? ""));
  expect([...new Set(found)].toSorted()).toEqual(Object.keys(OPTIONS).toSorted());
  expect(missing(OPTIONS)).toEqual([]);
});

test("each option of the other commands has its call", async () => {
  const found = leaves(await wholeTree())
    .filter(([name]) => !["run", "create"].includes(name) && !name.startsWith("lima "))
    .flatMap(([name, command]) => command.options.map(({ long }) => [name, long ?? ""] as const))
    .filter(([, option]) => option !== "" && !PRINTED.includes(option)); // ssh's own are letters
  const shared = found.filter(([name, option]) => IN_SANDBOX.includes(name) && option in OPTIONS);
  expect(shared.length).toBeGreaterThan(10);
  const own = found.filter((each) => !shared.includes(each)).map((each) => each.join(" "));
  expect(own.toSorted()).toEqual(Object.keys(OWN_OPTIONS).toSorted());
  expect(missing(OWN_OPTIONS)).toEqual([]);
});

test("every call of the builders has its option, but for what only a program can say", () => {
  const used = new Set(Object.values(OPTIONS));
  const own = [
    "builder.build", // the values themselves
    "builder.create",
    "builder.inputs", // files that a program read by itself
    "builder.network",
    "network.blockList", // --block-domain @FILE
    "network.build",
    "network.hasPolicy", // of the builder itself
    "network.secret",
    "network.tls",
    "tls.build",
    "tls.verifyUpstreamExcept", // --no-verify-upstream=HOST
  ];
  const calls = ["builder", "network", "tls"].flatMap((place) =>
    Object.getOwnPropertyNames(PLACES[place]).filter((name) => name !== "constructor")
      .map((name) => `${place}.${name}`)
  );
  expect(calls.filter((call) => !used.has(call)).toSorted()).toEqual(own.toSorted());
});
