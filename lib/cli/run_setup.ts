/**
 * From the options of `sbx run` to a sandbox builder, with nothing but the public API.
 *
 * @module
 */
import process from "node:process";
import { readEnvFile } from "./env_file.ts";
import { resolvePolicy } from "./policy_argument.ts";
import type { EnvironmentFlag, RunFlags } from "./run_flags.ts";
import { applyTlsFlags } from "./tls_flags.ts";
import { type Assignment, parseAssignment } from "./values.ts";
import {
  type NetworkBuilder,
  NetworkPolicy,
  Sandbox,
  type SandboxBuilder,
  SbxError,
} from "../mod.ts";

/** @throws SbxError for options that contradict each other and files that cannot be read */
export async function sandboxOf(flags: RunFlags): Promise<SandboxBuilder> {
  refuseContradictions(flags);
  const network = await networkOf(flags);
  let builder = Sandbox.builder().network(network);
  const set = <T>(option: string, value: T | undefined, call: (value: T) => SandboxBuilder) => {
    if (value !== undefined) builder = given(option, value, () => call(value));
  };
  set("--name", flags.name, (name) => builder.name(name));
  set("--cpus", flags.cpus, (count) => builder.cpus(count));
  set("--memory", flags.memory, (mib) => builder.memory(mib));
  set("--workdir", flags.workdir, (path) => builder.workdir(path));
  set("--timeout", flags.timeout, (ms) => builder.timeout(ms));
  set("--log", flags.log, (path) => builder.journal(path));
  for (const { host, guest, readOnly } of flags.volume) {
    builder = builder.mount(host, guest, { readOnly });
  }
  for (const flag of flags.environment) {
    for (const [key, value] of await assignments(flag)) builder = builder.env(key, value);
  }
  return builder;
}

async function assignments(flag: EnvironmentFlag): Promise<readonly Assignment[]> {
  if (flag.kind === "file") return await readEnvFile(flag.path, process.env);
  const assignment = parseAssignment("--env", flag.text, process.env);
  return assignment === null ? [] : [assignment];
}

async function networkOf(flags: RunFlags): Promise<(network: NetworkBuilder) => NetworkBuilder> {
  const policy = flags.net
    ? await resolvePolicy(flags.policy ?? "public-only")
    : NetworkPolicy.none();
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
    if (flags.dnsServer.length > 0) {
      set("--dns-server", flags.dnsServer, (all) => network.dnsServers(all));
    }
    set("--dns-timeout", flags.dnsTimeout, (ms) => network.dnsTimeout(ms));
    set("--max-connections", flags.maxConnections, (count) => network.maxConnections(count));
    set("--max-new-flows", flags.maxNewFlows, (count) => network.newFlowsPerSecond(count));
    return applyTlsFlags(network, flags, policy, given);
  };
}

/** `NAME`, or `@FILE` with many. */
function block(network: NetworkBuilder, text: string, as: "name" | "suffix"): NetworkBuilder {
  if (text.startsWith("@")) return network.blockList(text.slice(1), as);
  return as === "name" ? network.blockDomain(text) : network.blockDomainSuffix(text);
}

/** Makes a builder call for an option: what the call refuses is wrong usage of that option. */
function given<T>(option: string, value: unknown, call: () => T): T {
  try {
    return call();
  } catch (error) {
    if (!(error instanceof SbxError)) throw error;
    const state = /^Cannot use \w+\(.*\): (.*)$/.exec(error.message)?.[1];
    const message = state === undefined
      ? error.message
      : `Cannot use ${option} ${quoted(value)}: ${state}`;
    throw new SbxError("USAGE", message, error.hint === undefined ? {} : { hint: error.hint });
  }
}

function quoted(value: unknown): string {
  return JSON.stringify(String(value));
}

function refuseContradictions(flags: RunFlags): void {
  if (flags.net) return;
  const other = flags.policy !== undefined
    ? "--policy"
    : flags.publish.length > 0
    ? "--publish"
    : flags.rules.some(({ form, text }) => form === "allow" || /^\s*allow/.test(text))
    ? "rules that allow"
    : flags.tlsIntercept
    ? "--tls-intercept"
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
