/**
 * The bytes of a file, and where wanted those that are added to it later.
 *
 * @module
 */
import { type FileHandle, open, stat } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { fileError } from "../base/file_error.ts";
import { untilAborted } from "../base/until.ts";

const CHUNK = 64 << 10;

/** How long after the last look a file is looked at again. */
const LOOK_MS = 200;

export interface FollowOptions {
  /** Go on at the end of the file, until the caller stops asking. */
  readonly follow: boolean;
  /** Gives it up, also while a pipe is waited for. */
  readonly signal?: AbortSignal;
}

/**
 * Chunks of the file; each is good until the next one is asked for. A file that is cut short or
 * replaced while it is followed is read again from its start.
 *
 * @throws SbxError FILE_UNREADABLE, and the signal's reason
 */
export async function* fileBytes(
  path: string,
  { follow, signal }: FollowOptions,
): AsyncGenerator<Uint8Array, void> {
  let file = await opened(path, signal);
  try {
    const chunk = new Uint8Array(CHUNK);
    let seen = 0;
    while (true) {
      const reading = file.read(chunk, 0, CHUNK, null).catch((cause) => {
        throw fileError("read the journal", path, cause);
      });
      const { bytesRead } = await untilAborted(reading, signal);
      seen += bytesRead;
      if (bytesRead > 0) yield chunk.subarray(0, bytesRead);
      else if (!follow) return;
      else {
        await untilAborted(sleep(LOOK_MS), signal);
        if (await isSame(file, path, seen)) continue;
        await file.close();
        file = await opened(path, signal);
        seen = 0;
      }
    }
  } finally {
    const closing = file.close(); // which waits for a read, and that for who writes to a pipe
    if (signal?.aborted) closing.catch(() => {});
    else await closing;
  }
}

async function opened(path: string, signal: AbortSignal | undefined): Promise<FileHandle> {
  const opening = open(path, "r").catch((cause) => {
    throw fileError("read the journal", path, cause);
  });
  try {
    return await untilAborted(opening, signal);
  } catch (error) {
    opening.then((file) => file.close()).catch(() => {}); // a pipe that somebody opens later
    throw error;
  }
}

/** Whether the path still leads to this file, with what was read of it still there. */
async function isSame(file: FileHandle, path: string, seen: number): Promise<boolean> {
  const here = await file.stat();
  if (!here.isFile()) return true; // a pipe has no size
  const there = await stat(path).catch(() => here); // between two writers there may be none
  return there.ino === here.ino && there.dev === here.dev && here.size >= seen;
}
