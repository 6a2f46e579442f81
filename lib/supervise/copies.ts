/**
 * Copies of disks: a snapshot of a named sandbox, and other sandboxes that go on from one or the other.
 *
 * @module
 */
import { closeSync } from "node:fs";
import { dirname, join } from "node:path";
import { inSentence, SbxError } from "../base/errors.ts";
import { type PrivateFile, readPrivate, writePrivate } from "../base/private_file.ts";
import { buildInfo } from "../host/build_info.ts";
import { copyDisk, openStill } from "../host/disk_file.ts";
import { basesBeside } from "../sandbox/changes/given.ts";
import type { Disk } from "../sandbox/options.ts";
import type { FrozenDisk } from "../guest/guest.ts";
import type { HeldMachine } from "../guest/saved.ts";
import type { SandboxRecord, SandboxSpec } from "./record.ts";
import { type Home, homeOf } from "./home.ts";
import { whyDiskAlone } from "./disk_alone.ts";
import {
  keepSandbox,
  keptSandbox,
  sandboxNames,
  sweepSandboxes,
  usableRecord,
} from "./registry.ts";
import { copyMachine, keepMachine } from "./saved_machine.ts";
import { hostnameOf, inventName } from "./sandbox_name.ts";
import { keptPolicyOf } from "./snapshot_record.ts";
import { keepSnapshot, type KeptSnapshot } from "./snapshots.ts";
import { whileStill } from "./still_disk.ts";

export interface CopyOptions {
  /** Has a guest that runs stand still. Absent: it does not run. */
  readonly freeze?: () => Promise<FrozenDisk>;
  /** Has one stand still with its memory saved. Absent: it does not run. */
  readonly save?: () => Promise<HeldMachine>;
  /** Called with why a copy of one that runs has the disk alone, and no memory. */
  readonly onDiskAlone?: (why: string) => void;
  /** Whether there is to be no copy without the memory. */
  readonly needsMemory?: boolean;
  /** Aborting it leaves nothing. */
  readonly signal?: AbortSignal;
}

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

/** The memory of a sandbox beside its disk, where it can be kept. */
class MemoryOf {
  readonly #name: string;
  readonly #options: CopyOptions;
  #held: HeldMachine | undefined;
  /** As of {@link CopyOptions}. */
  readonly freeze: CopyOptions["freeze"];

  constructor(name: string, options: CopyOptions) {
    this.#name = name;
    this.#options = options;
    const { freeze } = options;
    if (freeze === undefined && options.needsMemory) this.#without("it does not run");
    this.freeze = freeze === undefined
      ? undefined
      : async () => await this.#hold() ?? await freeze();
  }

  /** Keeps it beside a copy of the disk; false where there is none. */
  async keep(to: { readonly disk: string; readonly machine: string }): Promise<boolean> {
    if (this.#held === undefined) return false;
    await keepMachine(homeOf(this.#name).saving, this.#held.facts, to, this.#options.signal);
    return true;
  }

  async #hold(): Promise<FrozenDisk | undefined> {
    const { save } = this.#options;
    const why = whyDiskAlone(usableRecord(await keptSandbox(this.#name)));
    if (why !== undefined || save === undefined) return this.#without(why ?? "it does not run");
    try {
      const held = this.#held = await save();
      return { thaw: () => held.release() };
    } catch (error) {
      if (!(error instanceof SbxError)) throw error;
      return this.#without(error.state ?? inSentence(error));
    }
  }

  /** @throws SbxError MEMORY_UNSAVABLE where it is needed */
  #without(why: string): undefined {
    const { needsMemory = false, onDiskAlone = () => {} } = this.#options;
    if (!needsMemory) return onDiskAlone(why) as undefined;
    const message = `Cannot keep the memory of sandbox ${this.#name}: ${why}`;
    throw new SbxError("MEMORY_UNSAVABLE", message, {
      hint: `'sbx snapshot ${this.#name} TAG' without --memory keeps what is on its disk`,
    });
  }
}

/** Makes the disk of a sandbox that begins with another one's. @throws SbxError FILE_NO_SPACE, FILE_UNREADABLE */
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
