/**
 * A saved machine as it is kept beside the disk that it was saved with: in a snapshot, and in a sandbox that is to go
 * on from it. It is gone on from once: a guest that does so changes the disk, first of all whose it is.
 *
 * ```
 * machine/state        what QEMU wrote
 *         facts.json   what is known of it, and whether it and the disk are still what they were
 * ```
 *
 * @module
 */
import { closeSync, existsSync, fstatSync } from "node:fs";
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { z } from "zod";
import { SbxError } from "../base/errors.ts";
import { type PrivateFile, readPrivate, writePrivate } from "../base/private_file.ts";
import type { SavedFacts, SavedMachine } from "../guest/saved.ts";
import { identityOf, openOwn, sparseDigest } from "../guest/template/own_file.ts";
import { copyDisk, openStill } from "../host/disk_file.ts";
import { jsonOf } from "./record.ts";
import { savedFacts } from "./stillness_call.ts";

const FORMAT = 1;

const facts = z.strictObject({
  format: z.literal(FORMAT),
  ...savedFacts,
  /** Of the state: lower-case SHA-256 of what is not zero in it. */
  state: z.string(),
  /** Which file the disk is, and when it last changed. */
  disk: z.string(),
});

/** Where a saved machine is kept, and the disk beside it. */
interface Place {
  readonly machine: string;
  readonly disk: string;
}

/** Keeps one beside a disk that is there already. @throws SbxError FILE_NO_SPACE, FILE_UNREADABLE */
export async function keepMachine(
  state: string,
  { key, calls, tscKHz }: SavedFacts,
  to: Place,
  signal?: AbortSignal,
): Promise<void> {
  await mkdir(to.machine, { mode: 0o700 });
  const from = openStill(state);
  try {
    const bytes = fstatSync(from).size;
    await copyDisk(from, stateOf(to), { bytes, ...(signal === undefined ? {} : { signal }) });
  } finally {
    closeSync(from);
  }
  const known = {
    format: FORMAT,
    key,
    calls,
    tscKHz,
    state: await openOwn(stateOf(to), own(), (file) => sparseDigest(file, signal)),
    disk: await openOwn(to.disk, own(), identityOf),
  };
  await writePrivate(factsFile(to), `${JSON.stringify(known)}\n`, false);
}

/**
 * The same of one that is kept elsewhere; false where there is none. Of one that cannot be used the place alone is
 * copied, so that the start which was to go on from it says so.
 *
 * @throws SbxError FILE_NO_SPACE, FILE_UNREADABLE; the signal's reason
 */
export async function copyMachine(from: Place, to: Place, signal?: AbortSignal): Promise<boolean> {
  if (!existsSync(from.machine)) return false;
  const known = await readMachine(from, signal).catch((error) => {
    if (error instanceof SbxError) return null;
    throw error;
  });
  if (known === null) await mkdir(to.machine, { mode: 0o700 });
  else await keepMachine(known.state, known, to, signal);
  return known !== null;
}

/**
 * The one that a start is to go on from; null without one. It is forgotten once the start is done: one that fails
 * before its guest runs leaves it to the next.
 *
 * @throws SbxError MEMORY_UNSAVABLE for one that is not what was kept, which is forgotten at once
 */
export async function machineFor(
  place: Place,
  signal?: AbortSignal,
): Promise<{ readonly from: SavedMachine; readonly forget: () => Promise<void> } | null> {
  if (!existsSync(place.machine)) return null;
  const forget = async () => await rm(place.machine, { recursive: true, force: true });
  try {
    return { from: await readMachine(place, signal), forget };
  } catch (error) {
    if (error instanceof SbxError) await forget();
    throw error;
  }
}

/** @throws SbxError MEMORY_UNSAVABLE, and the signal's reason */
async function readMachine(place: Place, signal?: AbortSignal): Promise<SavedMachine> {
  const text = await readPrivate(factsFile(place)).catch(() => null);
  const known = facts.safeParse(jsonOf(text ?? "")).data;
  if (known === undefined) throw damaged();
  const state = stateOf(place);
  const [digest, disk] = await Promise.all([
    openOwn(state, own(), (file) => sparseDigest(file, signal)),
    openOwn(place.disk, own(), identityOf),
  ]).catch(() => {
    signal?.throwIfAborted();
    throw damaged();
  });
  if (digest !== known.state) throw damaged();
  if (disk !== known.disk) throw unusable("the disk has changed since");
  const { key, calls, tscKHz } = known;
  return { key, calls, tscKHz, state };
}

function stateOf({ machine }: Pick<Place, "machine">): string {
  return join(machine, "state");
}

function factsFile({ machine }: Pick<Place, "machine">): PrivateFile {
  return {
    path: join(machine, "facts.json"),
    what: "what is known of a saved machine",
    code: "STATE_UNUSABLE",
    otherwise: "a start without it",
  };
}

function own(): number {
  return process.geteuid?.() ?? -1;
}

function damaged(): SbxError {
  return unusable("it is damaged");
}

function unusable(state: string): SbxError {
  return new SbxError("MEMORY_UNSAVABLE", `Cannot go on from the saved memory: ${state}`, {
    state,
  });
}
