/**
 * A file of the cache against what it should hold. Whoever could write to the cache once may have put
 * anything there, with any size and time of change that pleased him.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { constants } from "node:fs";
import { type FileHandle, open, rename, rm, writeFile } from "node:fs/promises";
import process from "node:process";
import { systemCode } from "../base/file_error.ts";

/** What a file should be. */
export interface Content {
  readonly size: number;
  /** SHA-256, lower-case hexadecimal. */
  readonly digest: string;
  readonly executable: boolean;
}

const CHUNK = 1 << 20;

/** Lower-case SHA-256 of a file. */
export function digestOf(path: string): Promise<string> {
  return opened(path, digest);
}

/**
 * Whether the file has the content, and nobody but its owner, who is us or root, can change that. Null
 * when there is no file.
 */
export async function isContent(path: string, content: Content): Promise<boolean | null> {
  try {
    return await opened(path, async (file) => {
      return await fits(file, content) && await digest(file) === content.digest;
    });
  } catch (error) {
    return systemCode(error) === "ENOENT" ? null : false;
  }
}

/** Remembers that the file has its content. */
export async function mark(path: string): Promise<void> {
  const fresh = `${path}.mark.${process.pid}`;
  try {
    await writeFile(fresh, await opened(path, identity), { flag: "wx", mode: 0o600 });
    await rename(fresh, `${path}.mark`);
  } catch {
    await rm(fresh, { force: true }).catch(() => {}); // the next run reads it again
  }
}

/** Whether the file is the one that was marked, unchanged. */
export async function isMarked(path: string, content: Content): Promise<boolean> {
  try {
    const [now, marked] = await Promise.all([
      opened(path, async (file) => await fits(file, content) ? await identity(file) : null),
      opened(`${path}.mark`, (file) => file.readFile("utf8")),
    ]);
    return now === marked;
  } catch {
    return false;
  }
}

async function opened<T>(path: string, use: (file: FileHandle) => Promise<T>): Promise<T> {
  const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = constants;
  const file = await open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  try {
    return await use(file);
  } finally {
    await file.close();
  }
}

async function fits(file: FileHandle, { size, executable }: Content): Promise<boolean> {
  const stat = await file.stat();
  const owned = stat.uid === 0 || stat.uid === process.geteuid?.();
  const needed = executable ? 0o500 : 0o400;
  return stat.isFile() && owned && stat.nlink === 1 && stat.size === size &&
    (stat.mode & 0o022) === 0 && (stat.mode & needed) === needed;
}

/** The kernel sets the time of the last change itself, so that writing shows whatever else was set. */
async function identity(file: FileHandle): Promise<string> {
  const { dev, ino, size, mtimeNs, ctimeNs } = await file.stat({ bigint: true });
  return [dev, ino, size, mtimeNs, ctimeNs].join(" ");
}

async function digest(file: FileHandle): Promise<string> {
  const hash = createHash("sha256");
  const chunk = Buffer.allocUnsafe(CHUNK);
  for (let at = 0;;) {
    const { bytesRead } = await file.read(chunk, 0, CHUNK, at);
    if (bytesRead === 0) return hash.digest("hex");
    hash.update(chunk.subarray(0, bytesRead));
    at += bytesRead;
  }
}
