/**
 * Snapshots: the disks of named sandboxes as they were, under tags, for others to begin with.
 *
 * @module
 */
import { randomBytes } from "node:crypto";
import { SbxError } from "../base/errors.ts";
import { formatSize } from "../base/size.ts";
import type { Disk, SandboxOptions } from "../sandbox/options.ts";
import type { PolicyFile } from "../policy/model/settings.ts";
import type { KeptSnapshot } from "../supervise/snapshots.ts";

/** A snapshot, and what begins with it. */
export interface SnapshotInfo {
  /** What it is called, as of `SandboxBuilder.from`. */
  readonly tag: string;
  /** Name of the sandbox whose disk it is a copy of; undefined where its record is damaged. */
  readonly sandbox: string | undefined;
  /** Milliseconds since 1970; undefined where its record is damaged. */
  readonly createdMs: number | undefined;
  /** What the disk has room for, in bytes; undefined where its record is damaged. */
  readonly bytes: number | undefined;
  /** Whether the memory and the processes of the sandbox were kept with its disk. */
  readonly memory: boolean;
  /**
   * What it takes up on this machine, in bytes. Where the file system shares blocks between files, what is shared
   * is counted for each of them.
   */
  readonly bytesOnDisk: number;
  /** Why it cannot be used; undefined where it can. */
  readonly error: { readonly code: string; readonly message: string } | undefined;
}

/** What is known of one. */
export function snapshotInfo({ tag, taken, memory, record }: KeptSnapshot): SnapshotInfo {
  const damaged = record instanceof SbxError;
  return {
    tag,
    sandbox: damaged ? undefined : record.sandbox,
    createdMs: damaged ? undefined : record.createdMs,
    bytes: damaged ? undefined : record.bytes,
    memory,
    bytesOnDisk: taken,
    error: damaged ? { code: record.code, message: record.message } : undefined,
  };
}

/** What a sandbox begins with. */
export interface Beginning {
  /** What judged the network of the sandbox that the snapshot is of, without its secrets. */
  readonly policy: PolicyFile;
  readonly disk: Disk;
  /** How large the machine is whose memory was kept with it. Absent: none was. */
  readonly machine?: Pick<SandboxOptions, "cpus" | "memoryMiB">;
}

/** `disk`: what else was said of it. @throws SbxError SNAPSHOT_MISSING, STATE_UNUSABLE, USAGE */
export async function beginningOf(tag: string, disk: Disk | undefined): Promise<Beginning> {
  const [{ keptSnapshot, usableSnapshot }, { policyOfSnapshot }] = await Promise.all([
    import("../supervise/snapshots.ts"),
    import("../supervise/snapshot_record.ts"),
  ]);
  const kept = await keptSnapshot(tag);
  const record = usableSnapshot(kept);
  const { bytes } = record;
  if (disk?.path !== undefined) {
    throw new SbxError(
      "USAGE",
      `Cannot begin with snapshot ${tag} on a disk that is kept elsewhere`,
      {
        hint: "name the sandbox, and it keeps its disk itself",
      },
    );
  }
  if (disk !== undefined && disk.bytes < bytes) {
    throw new SbxError(
      "USAGE",
      `Cannot begin with snapshot ${tag}: its disk has ${formatSize(bytes)}`,
      {
        hint: "a disk can be made larger, not smaller",
      },
    );
  }
  const owner = randomBytes(16).toString("hex");
  return {
    policy: policyOfSnapshot(record),
    disk: { bytes: disk?.bytes ?? bytes, from: kept.disk, owner },
    ...(record.machine === undefined ? {} : { machine: record.machine }),
  };
}
