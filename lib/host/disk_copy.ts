/**
 * Copies a sparse file, as disks are. Where the file system can (Btrfs, XFS, bcachefs), the copy shares its
 * blocks with the original until one of them is written to; elsewhere it takes its own, and none for holes.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { fstatSync, fsync, ftruncateSync, read, write } from "node:fs";
import { promisify } from "node:util";
import { ownSystem } from "./own_system.ts";

const CHUNK = 4 << 20;

/** A part of a chunk that is nothing but zeros is left a hole. */
const BLOCK = 64 << 10;
const ZEROS = new Uint8Array(BLOCK);

const readAt = promisify(read);
const writeAt = promisify(write);

export interface CopyOptions {
  /** The copy's size in bytes: at least the original's, beyond which it is empty. */
  readonly bytes: number;
  /** Aborting it gives the copy up, with the signal's reason. */
  readonly signal?: AbortSignal;
}

/**
 * Copies an open file into one that is empty; all of it is on the disk then. `requireRoom` is called before
 * blocks are taken that the original does not share.
 *
 * @throws the system's error, and what `requireRoom` throws
 */
export async function copySparse(
  from: number,
  to: number,
  { bytes, signal }: CopyOptions,
  requireRoom: () => void = () => {},
): Promise<void> {
  signal?.throwIfAborted();
  const { size } = fstatSync(from);
  if (!ownSystem().files.cloneFile(to, from)) {
    requireRoom();
    ftruncateSync(to, size); // a clone has the size
    await copyExtents(from, to, size, signal);
  }
  if (size < bytes) ftruncateSync(to, bytes);
  await promisify(fsync)(to);
}

async function copyExtents(from: number, to: number, size: number, signal?: AbortSignal) {
  const room = new Uint8Array(CHUNK);
  for (let at = 0; at < size;) {
    const extent = ownSystem().files.extentAt(from, at);
    if (extent === null) return;
    const { from: begin, to: end } = extent ?? { from: at, to: size };
    for (at = begin; at < end;) {
      signal?.throwIfAborted();
      const { bytesRead } = await readAt(from, room, 0, Math.min(CHUNK, end - at), at);
      if (bytesRead === 0) return; // it has become smaller
      for (let block = 0; block < bytesRead; block += BLOCK) {
        const content = room.subarray(block, Math.min(block + BLOCK, bytesRead));
        if (!isEmpty(content)) await writeAll(to, content, at + block);
      }
      at += bytesRead;
    }
  }
}

async function writeAll(to: number, content: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < content.length;) {
    const { bytesWritten } = await writeAt(
      to,
      content,
      done,
      content.length - done,
      position + done,
    );
    done += bytesWritten;
  }
}

function isEmpty(content: Uint8Array): boolean {
  return Buffer.compare(content, ZEROS.subarray(0, content.length)) === 0;
}
