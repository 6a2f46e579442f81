/**
 * From the options of `sbx run` to a sandbox builder, with nothing but the public API.
 *
 * @module
 */
import process from "node:process";
import { readEnvFile } from "./env_file.ts";
import { resolvePolicy } from "./policy_argument.ts";
import type { EnvironmentFlag, RunFlags } from "./run_flags.ts";
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
  if (flags.name !== undefined) builder = builder.name(flags.name);
  if (flags.cpus !== undefined) builder = builder.cpus(flags.cpus);
  if (flags.memory !== undefined) builder = builder.memory(flags.memory);
  if (flags.workdir !== undefined) builder = builder.workdir(flags.workdir);
  if (flags.timeout !== undefined) builder = builder.timeout(flags.timeout);
  if (flags.log !== undefined) builder = builder.journal(flags.log);
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
    for (const name of flags.blockDomain) network = block(network, name, "name");
    for (const name of flags.blockDomainSuffix) network = block(network, name, "suffix");
    for (const { form, text } of flags.rules) network = asUsage(() => network[form](text));
    for (const publication of flags.publish) network = network.publish(publication);
    if (flags.denyWith !== undefined) network = network.denyWith(flags.denyWith);
    if (flags.blockDoh) network = network.blockDoh();
    if (!flags.dnsRebindProtection) network = network.dnsRebindProtection(false);
    if (flags.dnsServer.length > 0) network = network.dnsServers(flags.dnsServer);
    if (flags.dnsTimeout !== undefined) network = network.dnsTimeout(flags.dnsTimeout);
    if (flags.maxConnections !== undefined) network = network.maxConnections(flags.maxConnections);
    if (flags.maxNewFlows !== undefined) network = network.newFlowsPerSecond(flags.maxNewFlows);
    return network;
  };
}

/** `NAME`, or `@FILE` with many. */
function block(network: NetworkBuilder, text: string, as: "name" | "suffix"): NetworkBuilder {
  if (text.startsWith("@")) return network.blockList(text.slice(1), as);
  return as === "name" ? network.blockDomain(text) : network.blockDomainSuffix(text);
}

/** A rule that does not parse on the command line is wrong usage, not a bad policy. */
function asUsage<T>(parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    if (!(error instanceof SbxError) || error.code !== "POLICY_INVALID") throw error;
    throw new SbxError(
      "USAGE",
      error.message,
      error.hint === undefined ? {} : { hint: error.hint },
    );
  }
}

function refuseContradictions(flags: RunFlags): void {
  if (flags.net) return;
  const other = flags.policy !== undefined
    ? "--policy"
    : flags.publish.length > 0
    ? "--publish"
    : flags.rules.some(({ form, text }) => form === "allow" || /^\s*allow/.test(text))
    ? "rules that allow"
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
