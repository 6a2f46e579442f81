/**
 * Files that were put away, and whether they are still what they were. Whoever could write to the place
 * may have put anything there; who writes to a file later shows in its times, which the kernel sets.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { constants } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";

const CHUNK = 1 << 20;
const BLOCK = 1 << 16;
const ZEROS = Buffer.alloc(BLOCK);

/**
 * Opens a regular file that belongs to the user and has no second name. `others` is what its mode gives to
 * others, nothing by default.
 */
export async function openOwn<T>(
  path: string,
  owner: number,
  use: (file: FileHandle) => Promise<T>,
  others = 0,
): Promise<T> {
  const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = constants;
  const file = await open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  try {
    const { uid, mode, nlink } = await file.stat();
    const isOwn = (mode & constants.S_IFMT) === constants.S_IFREG && uid === owner &&
      nlink === 1 && (mode & 0o077) === others;
    if (!isOwn) throw new Error("a file of it is not of its owner alone");
    return await use(file);
  } finally {
    await file.close();
  }
}

/** The content of such a file, of bounded size. */
export async function readOwn(path: string, owner: number, most: number): Promise<Uint8Array> {
  return await openOwn(path, owner, async (file) => {
    if ((await file.stat()).size > most) throw new Error("a file of it is too large");
    return await file.readFile();
  });
}

/** Which file it is, and when it last changed. */
export async function identityOf(file: FileHandle): Promise<string> {
  const { dev, ino, size, mtimeNs, ctimeNs } = await file.stat({ bigint: true });
  return [dev, ino, size, mtimeNs, ctimeNs].join(" ");
}

/**
 * Lower-case SHA-256 of what is not zero in a file, and where it is: most of a memory was never touched. Aborting the
 * signal gives it up, with its reason.
 */
export async function sparseDigest(file: FileHandle, signal?: AbortSignal): Promise<string> {
  const hash = createHash("sha256");
  const chunk = Buffer.allocUnsafe(CHUNK);
  for (let at = 0;;) {
    signal?.throwIfAborted();
    const { bytesRead } = await file.read(chunk, 0, CHUNK, at);
    if (bytesRead === 0) return hash.update(`${at}`).digest("hex");
    for (let from = 0; from < bytesRead; from += BLOCK) {
      const block = chunk.subarray(from, Math.min(from + BLOCK, bytesRead));
      if (block.equals(ZEROS.subarray(0, block.length))) continue;
      hash.update(`${at + from} `).update(block);
    }
    at += bytesRead;
  }
}

/** Lower-case SHA-256. */
export function digestOf(bytes: Uint8Array | string): string {
  return createHash("sha256").update(bytes).digest("hex");
}
