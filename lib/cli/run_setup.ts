/**
 * From the options of `sbx run` to a sandbox builder, with nothing but the public API.
 *
 * @module
 */
import {
  type NetworkBuilder,
  NetworkPolicy,
  type Policy,
  type PolicyFile,
  Sandbox,
  type SandboxBuilder,
  SbxError,
} from "../mod.ts";
import { beginningOf } from "../api/snapshots.ts";
import { presetNamed } from "../policy/model/presets.ts";
import type { CommandHost } from "./command.ts";
import { assignmentsOf } from "./env_file.ts";
import { resolvePolicy } from "./policy_argument.ts";
import type { RunFlags } from "./run_flags.ts";
import { applySecretFlags } from "./secret_flags.ts";
import { applyTlsFlags } from "./tls_flags.ts";
import { usage } from "./values.ts";

/**
 * `command`: the program that is to run, for the journal.
 *
 * @throws SbxError for options that contradict each other and files that cannot be read
 */
export async function sandboxOf(
  flags: RunFlags,
  host: Pick<CommandHost, "environment">,
  command?: string,
): Promise<SandboxBuilder> {
  refuseContradictions(flags);
  const network = await networkOf(flags);
  let builder = Sandbox.builder().network(network);
  const set = <T>(option: string, value: T | undefined, call: (value: T) => SandboxBuilder) => {
    if (value !== undefined) builder = given(option, value, () => call(value));
  };
  set("--name", flags.name, (name) => builder.name(name));
  set("--hostname", flags.hostname, (name) => builder.hostname(name));
  set("--user", flags.user, (user) => builder.user(user));
  set("--cpus", flags.cpus, (count) => builder.cpus(count));
  if (flags.memory !== undefined) {
    const mib = flags.memory;
    builder = given("--memory", `${mib}M`, () => builder.memory(mib));
  }
  set("--root", flags.root, (path) => builder.root(path));
  set("--disk", flags.disk, (size) => builder.disk(size));
  set("--from", flags.from, (tag) => builder.from(tag));
  if (flags.savable) builder = builder.savable();
  if (!flags.template) builder = builder.template(false);
  set("--workdir", flags.workdir, (path) => builder.workdir(path));
  set("--timeout", flags.timeout, (ms) => builder.timeout(ms));
  set(
    "--log",
    flags.log === "-" ? "/dev/stdout" : flags.log,
    (path) => builder.journal(path, command === undefined ? {} : { command }),
  );
  for (const { host, guest, ...options } of flags.volume) {
    builder = builder.mount(host, guest, options);
  }
  if (flags.net && flags.policy !== undefined && presetNamed(flags.policy) === null) {
    builder = builder.inputs(flags.policy);
  }
  for (const flag of flags.environment) {
    if (flag.kind === "file") builder = builder.inputs(flag.path);
    for (const [key, value] of await assignmentsOf(flag, host)) builder = builder.env(key, value);
  }
  return builder;
}

/** The network that the options describe. @throws SbxError as {@link sandboxOf} */
export async function networkOf(
  flags: RunFlags,
): Promise<(network: NetworkBuilder) => NetworkBuilder> {
  const policy = await policyOf(flags);
  return (fresh) => {
    let network = fresh.policy(policy);
    const set = <T>(option: string, value: T | undefined, call: (value: T) => NetworkBuilder) => {
      if (value !== undefined) network = given(option, value, () => call(value));
    };
    const setEach = <T>(
      option: string,
      values: readonly T[],
      call: (value: T) => NetworkBuilder,
    ) => {
      for (const value of values) set(option, value, call);
    };
    for (const { form, text } of flags.rules) set(`--${form}`, text, (line) => network[form](line));
    setEach("--block-domain", flags.blockDomain, (name) => block(network, name, "name"));
    setEach(
      "--block-domain-suffix",
      flags.blockDomainSuffix,
      (name) => block(network, name, "suffix"),
    );
    setEach("--publish", flags.publish, (publication) => network.publish(publication));
    set("--deny-with", flags.denyWith, (how) => network.denyWith(how));
    set("--block-doh", flags.blockDoh, (on) => network.blockDoh(on));
    if (!flags.dnsRebindProtection) network = network.dnsRebindProtection(false);
    setEach("--add-host", flags.addHost, (text) => addHost(network, text));
    if (flags.dnsServer.length > 0) {
      set("--dns-server", flags.dnsServer, (all) => network.dnsServers(all));
    }
    set("--dns-timeout", flags.dnsTimeout, (ms) => network.dnsTimeout(ms));
    set("--max-connections", flags.maxConnections, (count) => network.maxConnections(count));
    set("--max-new-flows", flags.maxNewFlows, (count) => network.newFlowsPerSecond(count));
    network = applySecretFlags(network, flags, given);
    return applyTlsFlags(network, flags, policy, given);
  };
}

/** A guest that begins with a snapshot has its policy, unless there is another. */
async function policyOf({ net, policy, from }: RunFlags): Promise<Policy | PolicyFile> {
  if (!net) return NetworkPolicy.none();
  if (policy !== undefined || from === undefined) {
    return await resolvePolicy(policy ?? "public-only");
  }
  return (await beginningOf(from, undefined)).policy;
}

/** `NAME`, or `@FILE` with many. */
function block(network: NetworkBuilder, text: string, as: "name" | "suffix"): NetworkBuilder {
  if (text.startsWith("@")) return network.blockList(text.slice(1), as);
  return as === "name" ? network.blockDomain(text) : network.blockDomainSuffix(text);
}

/** `NAME:ADDR` or, as newer tools have it, `NAME=ADDR`. */
function addHost(network: NetworkBuilder, text: string): NetworkBuilder {
  const end = text.search(/[:=]/);
  if (end > 0) return network.addHost(text.slice(0, end), text.slice(end + 1));
  throw usage("--add-host", text, "not NAME:ADDR", "write it like db.test:10.0.0.5");
}

/** Makes a builder call for an option: what the call refuses is wrong usage of that option. */
function given<T>(option: string, value: unknown, call: () => T): T {
  try {
    return call();
  } catch (error) {
    if (!(error instanceof SbxError)) throw error;
    const { call: refused, state, hint, message } = error;
    if (refused !== undefined && state !== undefined) {
      throw usage(option, String(value), state, hint);
    }
    throw new SbxError("USAGE", message, hint === undefined ? {} : { hint });
  }
}

function refuseContradictions(flags: RunFlags): void {
  if (flags.savable && flags.disk === undefined && flags.from === undefined) {
    throw new SbxError("USAGE", "Cannot use --savable without a disk: copies are made of that", {
      hint: "give it one, as by --disk 20G",
    });
  }
  if (flags.net) return;
  const other = flags.policy !== undefined
    ? "--policy"
    : flags.publish.length > 0
    ? "--publish"
    : flags.rules.some(({ form, text }) => form === "allow" || /^\s*allow/.test(text))
    ? "rules that allow"
    : flags.tlsIntercept
    ? "--tls-intercept"
    : flags.addHost.length > 0
    ? "--add-host"
    : flags.secret.length > 0
    ? "--secret"
    : undefined;
  if (other !== undefined) {
    throw new SbxError(
      "USAGE",
      `Cannot use --no-net together with ${other}: the guest would have no network`,
      {
        hint: "to allow nothing but what you name, use --policy none with --allow",
      },
    );
  }
}
