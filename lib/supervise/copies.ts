/**
 * Copies of disks: a snapshot of a named sandbox, and other sandboxes that go on from one or the other.
 *
 * @module
 */
import { closeSync } from "node:fs";
import { dirname, join } from "node:path";
import { SbxError } from "../base/errors.ts";
import { type PrivateFile, readPrivate, writePrivate } from "../base/private_file.ts";
import { buildInfo } from "../host/build_info.ts";
import { copyDisk, openStill } from "../host/disk_file.ts";
import { basesBeside } from "../sandbox/changes/given.ts";
import type { Disk } from "../sandbox/options.ts";
import type { SandboxRecord, SandboxSpec } from "./record.ts";
import { type Home, homeOf } from "./home.ts";
import { type CopyOptions, MemoryOf } from "./memory_of.ts";
import { keepSandbox, sandboxNames, sweepSandboxes } from "./registry.ts";
import { copyMachine } from "./saved_machine.ts";
import { hostnameOf, inventName } from "./sandbox_name.ts";
import { keptPolicyOf } from "./snapshot_record.ts";
import { keepSnapshot, type KeptSnapshot } from "./snapshots.ts";
import { whileStill } from "./still_disk.ts";

/** @throws SbxError SNAPSHOT_EXISTS, DISK_MISSING, FILE_NO_SPACE, FILE_UNREADABLE, SANDBOX_RUNNING */
export async function takeSnapshot(
  name: string,
  tag: string,
  options: CopyOptions,
): Promise<KeptSnapshot> {
  const { signal } = options;
  const memory = new MemoryOf(name, options);
  return await keepSnapshot(
    tag,
    async (path) =>
      await whileStill(name, {
        doing: "take a snapshot of sandbox",
        freeze: memory.freeze,
      }, async (disk) => {
        const { fd, record } = disk;
        if (fd === null || record.spec.disk === undefined) throw unused(name);
        const { bytes } = record.spec.disk;
        await copyDisk(fd, path, { bytes, ...(signal === undefined ? {} : { signal }) });
        const { cpus, memoryMiB } = record.spec;
        const to = { disk: path, machine: join(dirname(path), "machine") };
        const machine = await memory.keep(to) ? { machine: { cpus, memoryMiB } } : {};
        return {
          ...machine,
          sbx: buildInfo()["sbx"] ?? "",
          createdMs: Date.now(),
          sandbox: name,
          bytes,
          policy: keptPolicyOf(record),
        };
      }),
  );
}

/**
 * Writes a fork down, and answers its name, which is found where none is given.
 *
 * @throws SbxError SANDBOX_EXISTS, and as {@link takeSnapshot}
 */
export async function makeFork(
  name: string,
  wanted: string | undefined,
  options: CopyOptions,
): Promise<string> {
  const { signal } = options;
  const memory = new MemoryOf(name, options);
  await sweepSandboxes();
  const fork = wanted ?? inventName(new Set(await sandboxNames()), Math.random);
  const doing = { doing: "fork sandbox", freeze: memory.freeze };
  await whileStill(name, doing, async ({ fd, record }) => {
    await keepSandbox(forkOf(record, fork), async ({ disk, machine }) => {
      if (fd === null || record.spec.disk === undefined) return;
      const { bytes } = record.spec.disk;
      await copyDisk(fd, disk, { bytes, ...(signal === undefined ? {} : { signal }) });
      await copyBases(basesBeside(homeOf(name).disk), basesBeside(disk));
      await memory.keep({ disk, machine });
    });
  });
  return fork;
}

/** What copies on a disk were made of goes with it. */
async function copyBases(from: PrivateFile, to: PrivateFile): Promise<void> {
  const text = await readPrivate(from);
  if (text !== null) await writePrivate(to, text, false);
}

/** The same sandbox under another name, with a disk of its own. Pure. */
export function forkOf(
  { name, directory, life, spec }: SandboxRecord,
  fork: string,
): Omit<SandboxRecord, "format"> {
  const { hostname, disk, publish } = spec;
  const own: SandboxSpec = {
    ...spec,
    hostname: hostname === hostnameOf(name) ? hostnameOf(fork) : hostname,
    // Two cannot listen on one port of this machine: the system chooses another.
    publish: publish.map((each) => ({ ...each, hostPort: 0 })),
    ...(disk === undefined ? {} : { disk: { bytes: disk.bytes } }),
  };
  return {
    sbx: buildInfo()["sbx"] ?? "",
    name: fork,
    createdMs: Date.now(),
    directory,
    life,
    spec: own,
  };
}

/** Makes the disk of a sandbox that begins with a snapshot's. @throws SbxError FILE_NO_SPACE, FILE_UNREADABLE */
export async function fillDisk(
  home: Home,
  disk: Disk | undefined,
  signal?: AbortSignal,
  withMemory = false,
): Promise<void> {
  if (disk?.from === undefined) return;
  const original = openStill(disk.from);
  try {
    await copyDisk(original, home.disk, {
      bytes: disk.bytes,
      ...(signal === undefined ? {} : { signal }),
    });
  } finally {
    closeSync(original);
  }
  if (!withMemory) return;
  const from = { disk: disk.from, machine: join(dirname(disk.from), "machine") };
  await copyMachine(from, home, signal);
}

function unused(name: string): SbxError {
  return new SbxError(
    "DISK_MISSING",
    `Cannot take a snapshot of sandbox ${name}: it was never started, and its disk is empty`,
    { hint: `start it with 'sbx start ${name}'` },
  );
}
