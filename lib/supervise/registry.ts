/**
 * The named sandboxes of a user: what there is, what has become of each, and how one is made and removed.
 *
 * @module
 */
import { randomBytes } from "node:crypto";
import { mkdir, readdir, rename, rm, utimes } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { SbxError } from "../base/errors.ts";
import { fileError, systemCode } from "../base/file_error.ts";
import { nearest } from "../base/nearest.ts";
import { readPrivate, writePrivate } from "../base/private_file.ts";
import { type FileLock, isLocked, lockFile } from "../host/file_lock.ts";
import { sweepHalfMade } from "./half_made.ts";
import { type Home, homeOf, isOwnDirectory, makeOwnDirectory, sandboxesDir } from "./home.ts";
import { formatRecord, parseRecord, type SandboxRecord } from "./record.ts";
import { requireName } from "./sandbox_name.ts";
import {
  formatState,
  parseState,
  type SandboxState,
  type SandboxStatus,
  statusOf,
} from "./state.ts";

/** Whoever looks whether the lock is held, has it for a moment. */
const LOCK_TRIES = 80;
const LOCK_MS = 25;

/** Of reading a state that changes meanwhile. */
const LOOK_TRIES = 5;

export interface KeptSandbox {
  readonly name: string;
  readonly home: Home;
  readonly status: SandboxStatus;
  readonly state: SandboxState;
  /** Or why it cannot be used. */
  readonly record: SandboxRecord | SbxError;
}

/** Names in order. @throws SbxError STATE_UNUSABLE, FILE_UNREADABLE */
export async function sandboxNames(): Promise<string[]> {
  const directory = sandboxesDir();
  if (!await isOwnDirectory(directory)) return [];
  const names = await readdir(directory).catch((cause) => {
    throw fileError("list sandboxes in", directory, cause);
  });
  return names.filter((name) => !name.startsWith(".")).toSorted();
}

/** All of them, by name. @throws SbxError STATE_UNUSABLE, FILE_UNREADABLE */
export async function keptSandboxes(): Promise<KeptSandbox[]> {
  const found = await Promise.all((await sandboxNames()).map((name) => look(homeOf(name))));
  return found.filter((each) => each !== null);
}

/** The one of that name. @throws SbxError SANDBOX_MISSING, STATE_UNUSABLE, USAGE */
export async function keptSandbox(name: string): Promise<KeptSandbox> {
  const found = await look(homeOf(requireName(name)));
  if (found !== null) return found;
  const near = nearest(name, await sandboxNames(), 2);
  throw new SbxError("SANDBOX_MISSING", `Cannot find sandbox ${name}: there is none`, {
    hint: near === null ? "see what there is with 'sbx ls -a'" : `did you mean ${near}?`,
  });
}

/** Its record, where that can be used. @throws SbxError STATE_UNUSABLE */
export function usableRecord({ record }: KeptSandbox): SandboxRecord {
  if (record instanceof SbxError) throw record;
  return record;
}

/**
 * Writes a new one down. `fill` puts into it what it begins with, before anybody can find it.
 *
 * @throws SbxError SANDBOX_EXISTS, STATE_UNUSABLE, FILE_UNREADABLE, and what `fill` throws
 */
export async function keepSandbox(
  record: Omit<SandboxRecord, "format">,
  fill: (home: Home) => Promise<void> = () => Promise.resolve(),
): Promise<Home> {
  const all = await makeOwnDirectory(sandboxesDir());
  const home = homeOf(requireName(record.name));
  const fresh = homeOf(record.name, join(all, `.new-${randomBytes(8).toString("hex")}`));
  // Before anybody waits for a copy. What else has the name is told by the rename.
  if (await isOwnDirectory(home.directory).catch(() => false)) throw taken(home.name);
  let lock: FileLock | null = null;
  try {
    await mkdir(fresh.directory, { mode: 0o700 });
    lock = lockFile(fresh.lock); // it is being made for as long as this is held
    await writePrivate(fresh.record, formatRecord(record), false);
    await writeState(fresh, { kind: "created", at: record.createdMs });
    await fill(fresh);
    const now = new Date();
    await utimes(fresh.directory, now, now); // nobody takes it for abandoned in between
    lock?.release();
    lock = null;
    await rename(fresh.directory, home.directory);
    return home;
  } catch (cause) {
    lock?.release();
    await rm(fresh.directory, { recursive: true, force: true });
    if (cause instanceof SbxError || systemCode(cause) === undefined) throw cause;
    if (["ENOTEMPTY", "EEXIST", "ENOTDIR"].includes(systemCode(cause) ?? "")) {
      throw taken(home.name);
    }
    throw fileError("keep a sandbox in", home.directory, cause);
  }
}

/** Changes what its next start goes by. @throws SbxError FILE_UNREADABLE */
export async function rewriteRecord(
  home: Home,
  record: Omit<SandboxRecord, "format">,
): Promise<void> {
  await writePrivate(home.record, formatRecord(record), true);
}

/** @throws SbxError FILE_UNREADABLE */
export async function writeState(home: Home, state: SandboxState): Promise<void> {
  await writePrivate(home.state, formatState(state), true);
}

/** Forgets it and all that is kept of it; whoever calls holds its lock. @throws SbxError FILE_UNREADABLE */
export async function forgetSandbox({ directory }: Home): Promise<void> {
  const away = join(sandboxesDir(), `.gone-${randomBytes(8).toString("hex")}`);
  try {
    await rename(directory, away); // from here on its name is free, whatever happens
    await rm(away, { recursive: true, force: true });
  } catch (cause) {
    if (systemCode(cause) !== "ENOENT") throw fileError("remove", directory, cause);
  }
}

/** Its lock; null while its supervisor, or whoever else changes it, has it. @throws SbxError SANDBOX_MISSING */
export async function lockSandbox({ name, lock }: Home): Promise<FileLock | null> {
  try {
    for (let tries = 1; tries < LOCK_TRIES; tries++) {
      const held = lockFile(lock);
      if (held !== null) return held;
      await delay(LOCK_MS);
    }
    return lockFile(lock);
  } catch (cause) {
    if (systemCode(cause) !== "ENOENT") throw fileError("lock", lock, cause);
    throw new SbxError("SANDBOX_MISSING", `Cannot find sandbox ${name}: there is none`);
  }
}

/** Why its lock cannot be had. */
export function busy(doing: string, { name, lock }: Home, hint: string): SbxError {
  // Whoever copies its disk has the lock beside others.
  const [state, otherwise] = isLocked(lock)
    ? ["it is running", hint]
    : ["its disk is being copied", "try again when that is done"];
  return new SbxError("SANDBOX_RUNNING", `Cannot ${doing} sandbox ${name}: ${state}`, {
    hint: otherwise,
  });
}

/**
 * Removes what a killed process left: sandboxes that were half made or half removed, and those that were to be
 * removed at their end and whose supervisor was ended. What cannot be removed stays for the next time.
 */
export async function sweepSandboxes(): Promise<void> {
  const all = sandboxesDir();
  if (!await isOwnDirectory(all)) return;
  await sweepHalfMade(all);
  for (const { status, record, home } of await keptSandboxes()) {
    if (status !== "lost" || record instanceof SbxError || !record.life.remove) continue;
    const lock = await lockSandbox(home).catch(() => null);
    if (lock === null) continue;
    await forgetSandbox(home).catch(() => {});
    lock.release();
  }
}

async function look(home: Home): Promise<KeptSandbox | null> {
  if (!await isOwnDirectory(home.directory)) return null;
  const record = await readRecord(home);
  for (let tries = 1;; tries++) {
    const held = isHeld(home);
    const state = await readState(home);
    // What was read while a supervisor came or went belongs to neither.
    if (isHeld(home) !== held && tries < LOOK_TRIES) continue;
    return { name: home.name, home, state, record, status: statusOf(state, held) };
  }
}

async function readRecord(home: Home): Promise<SandboxRecord | SbxError> {
  try {
    const text = await readPrivate(home.record);
    return parseRecord(home.name, text ?? "");
  } catch (error) {
    if (error instanceof SbxError) return error;
    throw error;
  }
}

async function readState(home: Home): Promise<SandboxState> {
  try {
    return parseState(await readPrivate(home.state));
  } catch (error) {
    if (error instanceof SbxError) return parseState(null);
    throw error;
  }
}

function isHeld(home: Home): boolean {
  try {
    return isLocked(home.lock);
  } catch {
    return false; // it is no file, so nobody holds it
  }
}

function taken(name: string): SbxError {
  return new SbxError("SANDBOX_EXISTS", `Cannot create sandbox ${name}: there is one`, {
    hint: `take another name, or remove it with 'sbx rm ${name}'`,
  });
}
