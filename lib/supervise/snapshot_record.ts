/**
 * What a snapshot is, as it is written down. Pure.
 *
 * @module
 */
import { resolve } from "node:path";
import { z } from "zod";
import { SbxError } from "../base/errors.ts";
import { expandHome } from "../host/paths.ts";
import { parsePolicyFile } from "../policy/file/load.ts";
import { NO_SECRETS } from "../policy/model/secret.ts";
import type { PolicyFile } from "../policy/model/settings.ts";
import { jsonOf, networkOf, policyFileValue, type SandboxRecord } from "./record.ts";

/** Raised when an older sbx could not read a snapshot any more. */
const FORMAT = 1;

const record = z.strictObject({
  format: z.literal(FORMAT),
  /** The sbx that wrote it. */
  sbx: z.string(),
  tag: z.string(),
  createdMs: z.number().int().nonnegative(),
  /** Whose disk it is a copy of. */
  sandbox: z.string(),
  /** What the disk has room for. */
  bytes: z.number().int().positive(),
  /** What judged its network, as a policy file would have it, without secrets. */
  policy: z.record(z.string(), z.unknown()),
  /** How large the machine is whose memory was saved with it. Absent: none was. */
  machine: z.strictObject({
    cpus: z.number().int().positive(),
    memoryMiB: z.number().int().positive(),
  }).exactOptional(),
});

const newerFormat = z.object({ format: z.number().gt(FORMAT), sbx: z.string() });

export type SnapshotRecord = Readonly<z.output<typeof record>>;

/** @throws SbxError STATE_UNUSABLE */
export function parseSnapshot(tag: string, text: string): SnapshotRecord {
  const value = jsonOf(text);
  const read = record.safeParse(value);
  if (read.success && read.data.tag === tag) return read.data;
  const writer = newerFormat.safeParse(value).data;
  const state = writer === undefined ? "its record is damaged" : `sbx ${writer.sbx} wrote it`;
  throw new SbxError("STATE_UNUSABLE", `Cannot use snapshot ${tag}: ${state}`, {
    hint: writer === undefined
      ? `remove it with 'sbx snapshot rm ${tag}'`
      : `use that version or a newer one, or remove it with 'sbx snapshot rm ${tag}'`,
  });
}

export function formatSnapshot(value: Omit<SnapshotRecord, "format">): string {
  return `${JSON.stringify({ format: FORMAT, ...value }, null, 1)}\n`;
}

/** @throws SbxError POLICY_INVALID for a policy that a newer sbx wrote */
export function policyOfSnapshot({ tag, policy }: SnapshotRecord): PolicyFile {
  return parsePolicyFile(JSON.stringify(policy), `policy of snapshot ${tag}.json`);
}

/** The policy of a sandbox as its snapshots have it: whoever begins with one has not been given its secrets. */
export function keptPolicyOf({ name, directory, spec }: SandboxRecord): Record<string, unknown> {
  const { policy, dns, tls: own, maxConnections, newFlowsPerSecond } = networkOf(name, spec.policy);
  const limits = {
    ...(maxConnections === undefined ? {} : { maxConnections }),
    ...(newFlowsPerSecond === undefined ? {} : { newFlowsPerSecond }),
  };
  const { authority } = own;
  // A guest may begin with it in another directory.
  const found = (path: string) => resolve(directory, expandHome(path));
  const tls = authority === undefined
    ? own
    : { ...own, authority: { cert: found(authority.cert), key: found(authority.key) } };
  return policyFileValue({ policy, dns, tls, limits, secrets: NO_SECRETS });
}
