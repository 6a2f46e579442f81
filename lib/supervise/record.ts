/**
 * What a named sandbox is, as it is written down: everything that its next start needs, and no value of a
 * secret. Pure.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { resolve } from "node:path";
import { z } from "zod";
import { SbxError } from "../base/errors.ts";
import { descriptorOf } from "../journal/target.ts";
import { parsePolicyFile } from "../policy/file/load.ts";
import type { PolicyFile } from "../policy/model/settings.ts";
import { policyValue } from "../policy/file/spell_file.ts";
import type { NetworkSettings } from "../sandbox/live_settings.ts";
import type { NetworkOptions, SandboxOptions } from "../sandbox/options.ts";

/** Raised when an older sbx could not read a record any more. */
const FORMAT = 1;

const count = z.number().int().nonnegative();

/** The command that a sandbox is there for: it begins and ends with it. */
const command = z.strictObject({
  /** Arguments as lib/base/os_string.ts has them. */
  argv: z.array(z.string()).min(1),
  tty: z.boolean(),
  /** Whether its input stays open for who attaches. */
  stdin: z.boolean(),
});

const life = z.strictObject({
  /** Absent: the sandbox runs until it is stopped. */
  main: command.optional(),
  /** What happens when the main command, or the machine, ends by itself. */
  restart: z.enum(["no", "on-failure", "always"]),
  /** Removed at its end. */
  remove: z.boolean(),
  /** Stopped when nobody has used it for so long. Absent: never. */
  idleTimeoutMs: count.optional(),
});

/** How long a sandbox is there. */
export type Life = Readonly<z.output<typeof life>>;

export const FOREVER: Life = { restart: "no", remove: false };

/** All that a start needs, but for what is a program's own. */
export const sandboxSpec = z.strictObject({
  hostname: z.string(),
  user: z.string().optional(),
  cpus: count,
  memoryMiB: count,
  /** Absent: the system of this machine. */
  root: z.string().optional(),
  /** Absent in what an older sbx wrote. */
  template: z.boolean().default(true),
  mounts: z.array(
    z.strictObject({
      host: z.string(),
      guest: z.string(),
      readOnly: z.boolean(),
      as: z.enum(["cached", "copy"]).optional(),
    }),
  ),
  env: z.record(z.string(), z.string()),
  workdir: z.string().optional(),
  timeoutMs: count.optional(),
  /** As a policy file would have it. */
  policy: z.record(z.string(), z.unknown()),
  publish: z.array(z.strictObject({
    bind: z.string().optional(),
    hostPort: count,
    guestPort: count,
    protocol: z.enum(["tcp", "udp"]),
  })),
  journal: z.string().optional(),
  command: z.string().optional(),
  /** `path`: of one that is kept elsewhere than with the sandbox. */
  disk: z.strictObject({ bytes: count, path: z.string().optional() }).optional(),
  inputs: z.array(z.string()),
  /** Absent: its machine cannot be saved while it runs. */
  savable: z.literal(true).optional(),
});

export type SandboxSpec = Readonly<z.output<typeof sandboxSpec>>;

/** What was changed of its network while it ran; its next starts have it in the place of what they are given. */
export const limaChanges = z.strictObject({
  policy: sandboxSpec.shape.policy.optional(),
  publish: sandboxSpec.shape.publish.optional(),
});

const lima = z.strictObject({
  /** Of the instance: it is the guest's, with its disk. */
  directory: z.string(),
  changed: limaChanges,
});

/** Of a guest that Lima starts: where its instance is. */
export type LimaRecord = Readonly<z.output<typeof lima>>;

const record = z.strictObject({
  format: z.literal(FORMAT),
  /** The sbx that wrote it. */
  sbx: z.string(),
  name: z.string(),
  createdMs: count,
  /** What relative paths are relative to. */
  directory: z.string(),
  life,
  spec: sandboxSpec,
  /** Absent: a sandbox of sbx's own. */
  lima: lima.optional(),
});

/** Of a format that is yet to come, this is known. */
const newerFormat = z.object({ format: z.number().gt(FORMAT), sbx: z.string() });

export type SandboxRecord = Readonly<z.output<typeof record>>;

/** @throws SbxError STATE_UNUSABLE */
export function parseRecord(name: string, text: string): SandboxRecord {
  const value = jsonOf(text);
  const read = record.safeParse(value);
  if (read.success && read.data.name === name) return read.data;
  const writer = newerFormat.safeParse(value).data;
  if (writer !== undefined) {
    throw new SbxError("STATE_UNUSABLE", `Cannot use sandbox ${name}: sbx ${writer.sbx} wrote it`, {
      hint: `use that version or a newer one, or remove it with 'sbx rm ${name}'`,
    });
  }
  throw new SbxError("STATE_UNUSABLE", `Cannot use sandbox ${name}: its record is damaged`, {
    hint: `it was written by another version of sbx, or changed: remove it with 'sbx rm ${name}'`,
  });
}

export function formatRecord(value: Omit<SandboxRecord, "format">): string {
  return `${JSON.stringify({ format: FORMAT, ...value }, null, 1)}\n`;
}

/** Descriptors that the process of a program's sandbox shares with it: its output and its errors. */
const SHARED = [1, 2];

/** `of`: whose sandbox it is. @throws SbxError USAGE for what only the program that made them could start again */
export function specOf(options: SandboxOptions, of: "itself" | "program" = "itself"): SandboxSpec {
  const { network, name, hostname, disk, from: _, onDenial: __, onNotice: ___, ...rest } = options;
  const { journal } = options;
  const stream = journal === undefined ? undefined : descriptorOf(journal);
  if (of === "program" && stream !== undefined && !SHARED.includes(stream)) {
    throw new SbxError(
      "USAGE",
      `Cannot write the journal to ${journal}: it is this program's alone`,
      {
        hint: "name a file, /dev/stdout or /dev/stderr",
      },
    );
  }
  if (of === "itself" && stream !== undefined) {
    throw new SbxError("USAGE", `Cannot write the journal of a named sandbox to ${journal}`, {
      hint: "it outlives this program and its streams: name a file",
    });
  }
  const program = network.secrets.secrets.find(({ source }) => source.kind === "program");
  if (program !== undefined) {
    throw new SbxError(
      "USAGE",
      `Cannot keep secret ${program.name} for a named sandbox: its value is this program's`,
      { hint: "name a source that sbx can read again: env, file, cmd or keychain" },
    );
  }
  return {
    ...rest,
    hostname: hostname ?? name,
    ...(disk === undefined ? {} : {
      disk: { bytes: disk.bytes, ...(disk.path === undefined ? {} : { path: disk.path }) },
    }),
    mounts: [...rest.mounts],
    inputs: [...rest.inputs],
    env: { ...rest.env },
    publish: network.publish.map((each) => ({ ...each })),
    policy: policyOf(network),
  };
}

/**
 * The options that a start takes. `ownDisk`: the file of its disk, where it has one and not elsewhere.
 *
 * @throws SbxError POLICY_INVALID for a policy that a newer sbx wrote
 */
export function optionsOf(
  record: Pick<SandboxRecord, "name" | "spec" | "createdMs">,
  ownDisk: string,
): SandboxOptions {
  const { name, spec } = record;
  const { policy, publish, disk, ...rest } = spec as Defined<SandboxSpec>;
  const { maxConnections, newFlowsPerSecond, ...network } = networkOf(name, policy);
  return {
    ...rest,
    name: rest.hostname,
    mounts: rest.mounts as SandboxOptions["mounts"],
    ...(disk === undefined ? {} : {
      disk: disk.path === undefined
        ? { bytes: disk.bytes, path: ownDisk, owner: ownerOf(record) }
        : { bytes: disk.bytes, path: disk.path },
    }),
    network: {
      ...network,
      publish: publish as NetworkOptions["publish"],
      ...(maxConnections === undefined ? {} : { maxConnections }),
      ...(newFlowsPerSecond === undefined ? {} : { newFlowsPerSecond }),
    },
  };
}

/** Whose its disk is: no other sandbox, of this name or another, has been the same. */
function ownerOf({ name, createdMs }: Pick<SandboxRecord, "name" | "createdMs">): string {
  return createHash("sha256").update(`${name}\0${createdMs}`).digest("hex").slice(0, 32);
}

/** JSON has no undefined: what is there has a value. */
type Defined<T> = { [K in keyof T]: Exclude<T[K], undefined> };

/** The settings of a network as the value that a policy file would hold. */
export function policyOf(network: NetworkOptions): Record<string, unknown> {
  const { policy, dns, tls, secrets, maxConnections, newFlowsPerSecond } = network;
  const limits = {
    ...(maxConnections === undefined ? {} : { maxConnections }),
    ...(newFlowsPerSecond === undefined ? {} : { newFlowsPerSecond }),
  };
  return policyFileValue({ policy, dns, tls, limits, secrets });
}

/** The value of a policy file, whose paths are good wherever it is read. */
export function policyFileValue(file: Omit<PolicyFile, "expect">): Record<string, unknown> {
  const { dns, tls } = file;
  const blockLists = dns.blockLists.map((list) => ({ ...list, path: resolve(list.path) }));
  const upstreamCa = tls.upstreamCa.map((path) => resolve(path));
  const whole = { ...file, dns: { ...dns, blockLists }, tls: { ...tls, upstreamCa }, expect: [] };
  return { ...policyValue(whole, "lines") };
}

/** What a running network takes. @throws SbxError POLICY_INVALID */
export function settingsOf(
  name: string,
  value: Readonly<Record<string, unknown>>,
): NetworkSettings {
  return parsePolicyFile(JSON.stringify(value), `policy of ${name}.json`);
}

/** The reverse, without what is published. @throws SbxError POLICY_INVALID */
export function networkOf(
  name: string,
  value: Readonly<Record<string, unknown>>,
): Omit<NetworkOptions, "publish"> {
  const file = parsePolicyFile(JSON.stringify(value), `policy of ${name}.json`);
  const { policy, dns, tls, secrets, limits } = file;
  return { policy, dns, tls, secrets, ...limits };
}

export function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
