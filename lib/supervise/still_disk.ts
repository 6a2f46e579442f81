/**
 * The disk of a named sandbox while nobody writes to it: one that runs is asked to stand still, one that does not
 * run is not started meanwhile.
 *
 * @module
 */
import { closeSync, existsSync } from "node:fs";
import { resolve } from "node:path";
import { SbxError } from "../base/errors.ts";
import { shareLock } from "../host/file_lock.ts";
import { openStill } from "../host/disk_file.ts";
import { expandHome } from "../host/paths.ts";
import type { FrozenDisk } from "../guest/guest.ts";
import type { SandboxRecord } from "./record.ts";
import { type KeptSandbox, keptSandbox, usableRecord } from "./registry.ts";

export interface StillDisk {
  /** Open for reading; null for a disk that no guest has had yet. */
  readonly fd: number | null;
  /** What the sandbox was when it stood still. */
  readonly record: SandboxRecord;
}

/** What is done with it, in words: `fork sandbox`. */
export interface Doing {
  readonly doing: string;
  /** Has a guest that runs stand still. */
  readonly freeze: (() => Promise<FrozenDisk>) | undefined;
}

/**
 * Whatever `use` answers, once the guest goes on.
 *
 * @throws SbxError DISK_MISSING, SANDBOX_RUNNING when it is being started, and what `use` throws
 */
export async function whileStill<T>(
  name: string,
  { doing, freeze }: Doing,
  use: (disk: StillDisk) => Promise<T>,
): Promise<T> {
  const before = await keptSandbox(name);
  requireDisk(usableRecord(before), doing);
  const held = freeze === undefined ? holdStopped(before, doing) : await freeze();
  let used: T;
  try {
    // What was applied to it meanwhile is part of it.
    const kept = await keptSandbox(name);
    const record = usableRecord(kept);
    const path = diskOf(kept, record);
    const fd = existsSync(path) ? openStill(path) : null;
    try {
      used = await use({ fd, record });
    } finally {
      if (fd !== null) closeSync(fd);
    }
  } catch (error) {
    await held.thaw().catch(() => {}); // what failed first says more
    throw error;
  }
  await held.thaw();
  return used;
}

/** @throws SbxError SANDBOX_RUNNING when somebody starts it */
function holdStopped({ home, name }: KeptSandbox, doing: string): FrozenDisk {
  const lock = shareLock(home.lock);
  if (lock === null) {
    throw new SbxError("SANDBOX_RUNNING", `Cannot ${doing} ${name}: it is being started or ended`, {
      hint: "try again in a moment",
    });
  }
  // deno-lint-ignore require-await -- the interface wants a promise
  return { thaw: async () => lock.release() };
}

function requireDisk({ name, spec, lima }: SandboxRecord, doing: string): void {
  if (lima !== undefined) {
    throw new SbxError("DISK_MISSING", `Cannot ${doing} ${name}: its disk is Lima's`, {
      hint: "'sbx cp' takes files out of it",
    });
  }
  if (spec.disk !== undefined) return;
  throw new SbxError(
    "DISK_MISSING",
    `Cannot ${doing} ${name}: it has no disk, and what it writes is in its memory`,
    { hint: "make it with one, as by 'sbx create --disk 20G'; 'sbx cp' takes files out of it" },
  );
}

function diskOf({ home }: KeptSandbox, { directory, spec }: SandboxRecord): string {
  const path = spec.disk?.path;
  return path === undefined ? home.disk : resolve(directory, expandHome(path));
}
