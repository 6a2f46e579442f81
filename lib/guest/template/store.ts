/**
 * Templates on disk: guests that were saved before anything of anybody was in them, one directory each.
 *
 * ```
 * claim() ── KEY.part, whose maker writes into it ── keep() ──► KEY ── discard(), evict() ──► gone
 * ```
 *
 * A template appears by rename, so that whoever looks sees all of it or nothing. A part is its maker's
 * for as long as he holds its lock; what he left behind goes with the next one.
 *
 * @module
 */
import { randomBytes } from "node:crypto";
import { constants } from "node:fs";
import {
  type FileHandle,
  mkdir,
  open,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  utimes,
  writeFile,
} from "node:fs/promises";
import { join } from "node:path";
import { systemCode, systemWords } from "../../base/file_error.ts";
import { type Manifest, parseManifest } from "./manifest.ts";
import { digestOf, identityOf, openOwn, readOwn, sparseDigest } from "./own_file.ts";

/** Where they are, below the directory of the cache. */
export function templatesBelow(cache: string): string {
  return join(cache, "templates");
}

/** Names of the files of one. */
export const MEMORY = "memory";
const STATE = "state";
const MANIFEST = "manifest.json";
const MARK = "mark";

/** What all of them together may take on disk. */
export const MOST_BYTES = 2 * 2 ** 30;

const KEY = /^[0-9a-f]{64}$/;
const PART = ".part";
const LOCK = ".lock";
/** Empty; its time says when it last failed to make one, or to go on from it. */
const FAILED = ".failed";

/** What failed, most likely fails again: nobody who was not asked to tries it before. */
const RETRY_MS = 24 * 3600 * 1000;
/** What is on its way out; where a removal was killed, the next one goes on. */
const GONE = ".gone";

/** Hundreds of kilobytes are usual. */
const MOST_STATE = 16 << 20;
const MOST_TEXT = 64 << 10;

/** A template that a guest can go on from. */
export interface Template {
  readonly key: string;
  readonly manifest: Manifest;
  /** Path of the memory. */
  readonly memory: string;
  readonly state: Uint8Array;
}

/** What is known of a template without a look at its memory. */
export interface KeptTemplate {
  /** What it is called: lower-case hexadecimal, of 64 digits. */
  readonly key: string;
  /** Absent: it cannot be used. */
  readonly manifest?: Manifest;
  /** What it takes on disk. */
  readonly bytes: number;
  /** Milliseconds since 1970. */
  readonly usedAt: number;
}

/** Whose the files are, and who may open them, once he is in a directory that only the owner can enter. */
export interface Owners {
  readonly own: number;
  /** What the mode of the memory gives to others than its owner, which QEMU can be. */
  readonly memory: number;
}

/**
 * Null when there is none. The memory is read when its times say that it may have changed, and once in
 * each `epoch`, which is a boot of this machine: what a disk lost shows then.
 *
 * @throws Error for one that is not what was kept, which is to be discarded
 */
export async function findTemplate(
  directory: string,
  key: string,
  owners: Owners,
  epoch: string,
): Promise<Template | null> {
  const place = join(directory, key);
  if (!await stat(place).then(() => true, () => false)) return null;
  const template = await readTemplate(place, key, owners);
  const marked = await readOwn(join(place, MARK), owners.own, MOST_TEXT).then(String, () => "");
  await openMemory(template.memory, owners, async (file) => {
    const mark = await markOf(file, epoch);
    if (mark === marked) return;
    await requireMemory(file, template.manifest);
    await writeMark(place, mark);
  });
  const now = new Date();
  await utimes(place, now, now).catch(() => {}); // the last time that it was used
  return template;
}

/** Why a template cannot be used, after a look at all of it; null: it can. */
export async function faultOf(
  directory: string,
  key: string,
  owners: Owners,
): Promise<string | null> {
  try {
    const { memory, manifest } = await readTemplate(join(directory, key), key, owners);
    await openMemory(memory, owners, (file) => requireMemory(file, manifest));
    return null;
  } catch (error) {
    if (systemCode(error) !== undefined || !(error instanceof Error)) return systemWords(error);
    return error.message;
  }
}

async function readTemplate(place: string, key: string, owners: Owners): Promise<Template> {
  const read = (name: string, most: number) => readOwn(join(place, name), owners.own, most);
  const [text, state] = await Promise.all([read(MANIFEST, MOST_TEXT), read(STATE, MOST_STATE)]);
  const manifest = parseManifest(String(text));
  if (manifest === null || manifest.state !== digestOf(state)) throw new Error("it is damaged");
  return { key, manifest, memory: join(place, MEMORY), state };
}

async function openMemory(
  path: string,
  { own, memory }: Owners,
  use: (file: FileHandle) => Promise<void>,
): Promise<void> {
  await openOwn(path, own, use, memory);
}

async function requireMemory(file: FileHandle, { memory }: Manifest): Promise<void> {
  if (await sparseDigest(file) !== memory) throw new Error("its memory is damaged");
}

async function markOf(file: FileHandle, epoch: string): Promise<string> {
  return `${await identityOf(file)} ${epoch}`;
}

/** Only a mark that is whole is one, so it may as well be written in place. */
async function writeMark(place: string, mark: string): Promise<void> {
  await writeFile(join(place, MARK), mark, { mode: 0o600 }).catch(() => {});
}

/** Notes that a template could not be made, or not be gone on from. */
export async function noteFailure(directory: string, key: string): Promise<void> {
  await writeFile(join(directory, key + FAILED), "", { mode: 0o600 }).catch(() => {});
}

/** Whether that was noted not long ago. */
export async function failedLately(directory: string, key: string): Promise<boolean> {
  const noted = await stat(join(directory, key + FAILED)).then(({ mtimeMs }) => mtimeMs, () => 0);
  return Date.now() - noted < RETRY_MS;
}

/** Takes the lock at a path, which ends with whoever holds it; null when somebody has it. */
export type TryLock = (path: string) => { release(): void } | null;

/** A directory to make a template in, which nobody else makes meanwhile. */
export interface Claim {
  readonly part: string;
  /** Removes what was not kept. */
  release(): Promise<void>;
}

/** Null when somebody else makes it. @throws Error of the file system */
export async function claim(
  directory: string,
  key: string,
  tryLock: TryLock,
): Promise<Claim | null> {
  const lockPath = join(directory, key + LOCK);
  const lock = tryLock(lockPath);
  if (lock === null) return null;
  const part = join(directory, key + PART);
  const release = async () => {
    await remove(directory, key + PART);
    await rm(lockPath, { force: true }).catch(() => {});
    lock.release();
  };
  try {
    await remove(directory, key + PART); // of one who was killed
    await mkdir(part, { mode: 0o700 });
    return { part, release };
  } catch (error) {
    await release();
    throw error;
  }
}

/**
 * Makes a template of what was claimed: the part has the memory already, which nobody writes to any
 * more. All of it is on the disk before it can be found.
 */
export async function keep(
  part: string,
  manifest: Omit<Manifest, "state" | "memory">,
  state: Uint8Array,
  epoch: string,
): Promise<Manifest> {
  const memory = await open(join(part, MEMORY), constants.O_RDONLY | constants.O_NOFOLLOW);
  try {
    await memory.sync();
    const whole = { ...manifest, state: digestOf(state), memory: await sparseDigest(memory) };
    await writeSynced(join(part, STATE), state);
    await writeSynced(join(part, MANIFEST), JSON.stringify(whole, null, 2));
    await writeMark(part, await markOf(memory, epoch));
    const place = part.slice(0, -PART.length);
    await rm(place + FAILED, { force: true });
    await rename(part, place);
    return whole;
  } finally {
    await memory.close();
  }
}

async function writeSynced(path: string, content: Uint8Array | string): Promise<void> {
  const file = await open(path, "wx", 0o600);
  try {
    await file.writeFile(content);
    await file.sync();
  } finally {
    await file.close();
  }
}

/** Everything that is kept, the last used first. */
export async function listTemplates(directory: string): Promise<readonly KeptTemplate[]> {
  const names = (await readdir(directory).catch(() => [])).filter((name) => KEY.test(name));
  const kept = await Promise.all(names.map(async (key) => {
    const place = join(directory, key);
    const manifest = parseManifest(await readFile(join(place, MANIFEST), "utf8").catch(() => ""));
    const { mtimeMs } = await stat(place);
    return {
      key,
      ...(manifest === null ? {} : { manifest }),
      bytes: await bytesOf(place),
      usedAt: mtimeMs,
    };
  }));
  return kept.sort((a, b) => b.usedAt - a.usedAt);
}

async function bytesOf(place: string): Promise<number> {
  const names = await readdir(place).catch(() => []);
  const blocks = await Promise.all(
    names.map((name) => stat(join(place, name)).then(({ blocks }) => blocks, () => 0)),
  );
  return blocks.reduce((sum, count) => sum + count, 0) * 512;
}

/** Guests that go on from it are not disturbed. False when there was none. */
export async function discard(directory: string, key: string): Promise<boolean> {
  return await remove(directory, key);
}

/**
 * Removes those that were used the longest ago, until the others take no more than `most` bytes, and
 * whatever was left half made or half removed. Answers with the keys of what it removed.
 */
export async function evict(
  directory: string,
  most: number,
  tryLock: TryLock,
): Promise<readonly string[]> {
  for (const name of await readdir(directory).catch(() => [])) {
    if (name.endsWith(GONE)) await rm(join(directory, name), { recursive: true, force: true });
    if (name.endsWith(FAILED) && !await failedLately(directory, name.slice(0, -FAILED.length))) {
      await rm(join(directory, name), { force: true });
    }
    // Whoever may claim it releases it at once, and with it what is left of it.
    if (name.endsWith(PART)) {
      await (await claim(directory, name.slice(0, -PART.length), tryLock))?.release();
    }
  }
  let left = most;
  const gone: string[] = [];
  for (const { key, manifest, bytes } of await listTemplates(directory)) {
    left -= bytes;
    if (manifest !== undefined && left >= 0) continue;
    if (await remove(directory, key)) gone.push(key);
  }
  return gone;
}

/** By another name first, so that nobody finds half of it. */
async function remove(directory: string, name: string): Promise<boolean> {
  const gone = join(directory, `${randomBytes(8).toString("hex")}${GONE}`);
  try {
    await rename(join(directory, name), gone);
  } catch {
    return false;
  }
  await rm(gone, { recursive: true, force: true });
  return true;
}
