/**
 * The snapshots of a user: copies of disks under tags, each in a directory that appears and disappears by one
 * rename.
 *
 * ```
 * snapshots/TAG/record.json   what it is
 *               disk          what the guest's disk had
 *               machine/      the machine with its memory, where it was saved with the disk
 *               lock          held while it is made
 * ```
 *
 * @module
 */
import { randomBytes } from "node:crypto";
import { mkdir, readdir, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { SbxError } from "../base/errors.ts";
import { fileError, systemCode } from "../base/file_error.ts";
import { nearest } from "../base/nearest.ts";
import { type PrivateFile, readPrivate, writePrivate } from "../base/private_file.ts";
import { lockFile } from "../host/file_lock.ts";
import { isOwnDirectory, makeOwnDirectory, snapshotsDir } from "./home.ts";
import { sweepHalfMade } from "./half_made.ts";
import { requireTag } from "./sandbox_name.ts";
import { formatSnapshot, parseSnapshot, type SnapshotRecord } from "./snapshot_record.ts";

export interface KeptSnapshot {
  readonly tag: string;
  /** The file. */
  readonly disk: string;
  /** Whether the memory of the machine was saved with it. */
  readonly memory: boolean;
  /** What that takes up on this machine, in bytes; what it shares with others is counted for each. */
  readonly taken: number;
  /** Or why it cannot be used. */
  readonly record: SnapshotRecord | SbxError;
}

/** Tags in order. @throws SbxError STATE_UNUSABLE, FILE_UNREADABLE */
async function tags(): Promise<string[]> {
  const directory = snapshotsDir();
  if (!await isOwnDirectory(directory)) return [];
  const names = await readdir(directory).catch((cause) => {
    throw fileError("list snapshots in", directory, cause);
  });
  return names.filter((name) => !name.startsWith(".")).toSorted();
}

/** All of them, by tag. @throws SbxError STATE_UNUSABLE, FILE_UNREADABLE */
export async function keptSnapshots(): Promise<KeptSnapshot[]> {
  const found = await Promise.all((await tags()).map(look));
  return found.filter((each) => each !== null);
}

/** The one of that tag. @throws SbxError SNAPSHOT_MISSING, STATE_UNUSABLE, USAGE */
export async function keptSnapshot(tag: string): Promise<KeptSnapshot> {
  const found = await look(requireTag(tag));
  if (found === null) throw await missing(tag);
  return found;
}

/** Its record, where that can be used. @throws SbxError STATE_UNUSABLE */
export function usableSnapshot({ record }: KeptSnapshot): SnapshotRecord {
  if (record instanceof SbxError) throw record;
  return record;
}

/**
 * Keeps a new one. `make` makes the disk at the path that it is given, and answers what else there is to say.
 *
 * @throws SbxError SNAPSHOT_EXISTS, STATE_UNUSABLE, FILE_UNREADABLE, and what `make` throws
 */
export async function keepSnapshot(
  tag: string,
  make: (disk: string) => Promise<Omit<SnapshotRecord, "format" | "tag">>,
): Promise<KeptSnapshot> {
  const directory = join(snapshotsDir(), requireTag(tag));
  await makeOwnDirectory(snapshotsDir());
  await sweepHalfMade(snapshotsDir());
  if (await look(tag) !== null) throw taken(tag); // before anybody waits for a copy
  const fresh = join(snapshotsDir(), `.new-${randomBytes(8).toString("hex")}`);
  await mkdir(fresh, { mode: 0o700 }).catch((cause) => {
    throw fileError("keep a snapshot in", snapshotsDir(), cause);
  });
  const lock = lockFile(join(fresh, "lock"));
  try {
    const facts = await make(join(fresh, "disk"));
    await writePrivate(recordFile(tag, fresh), formatSnapshot({ tag, ...facts }), false);
    await rename(fresh, directory);
  } catch (cause) {
    await rm(fresh, { recursive: true, force: true });
    if (["ENOTEMPTY", "EEXIST", "ENOTDIR"].includes(systemCode(cause) ?? "")) throw taken(tag);
    if (cause instanceof SbxError || systemCode(cause) === undefined) throw cause;
    throw fileError("keep a snapshot in", directory, cause);
  } finally {
    lock?.release();
  }
  return await keptSnapshot(tag);
}

/**
 * Removes it. Whoever has begun to copy it has its content to the end.
 *
 * @throws SbxError SNAPSHOT_MISSING, STATE_UNUSABLE, FILE_UNREADABLE, USAGE
 */
export async function removeSnapshot(tag: string): Promise<void> {
  const directory = join(snapshotsDir(), requireTag(tag));
  if (await look(tag) === null) throw await missing(tag);
  const away = join(snapshotsDir(), `.gone-${randomBytes(8).toString("hex")}`);
  try {
    await rename(directory, away);
    await rm(away, { recursive: true, force: true });
  } catch (cause) {
    if (systemCode(cause) === "ENOENT") throw await missing(tag);
    throw fileError("remove", directory, cause);
  }
  await sweepHalfMade(snapshotsDir());
}

async function look(tag: string): Promise<KeptSnapshot | null> {
  const directory = join(snapshotsDir(), tag);
  if (!await isOwnDirectory(snapshotsDir()) || !await isOwnDirectory(directory)) return null;
  const disk = join(directory, "disk");
  const blocksOf = (path: string) => stat(path).then(({ blocks }) => blocks, () => 0);
  const [record, blocks, state] = await Promise.all([
    readRecord(tag, directory),
    blocksOf(disk),
    blocksOf(join(directory, "machine", "state")),
  ]);
  return { tag, disk, memory: state > 0, record, taken: (blocks + state) * 512 };
}

async function readRecord(tag: string, directory: string): Promise<SnapshotRecord | SbxError> {
  try {
    return parseSnapshot(tag, await readPrivate(recordFile(tag, directory)) ?? "");
  } catch (error) {
    if (error instanceof SbxError) return error;
    throw error;
  }
}

function recordFile(tag: string, directory: string): PrivateFile {
  return {
    path: join(directory, "record.json"),
    what: `the record of snapshot ${tag}`,
    code: "STATE_UNUSABLE",
    otherwise: `'sbx snapshot rm ${tag}'`,
  };
}

function taken(tag: string): SbxError {
  return new SbxError("SNAPSHOT_EXISTS", `Cannot keep snapshot ${tag}: there is one`, {
    hint: `take another tag, or remove it with 'sbx snapshot rm ${tag}'`,
  });
}

async function missing(tag: string): Promise<SbxError> {
  const near = nearest(tag, await tags(), 2);
  return new SbxError("SNAPSHOT_MISSING", `Cannot find snapshot ${tag}: there is none`, {
    hint: near === null ? "see what there is with 'sbx snapshot ls'" : `did you mean ${near}?`,
  });
}
