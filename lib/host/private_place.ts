/**
 * Directories for files that later runs go by: ours, and nobody else's to change.
 *
 * @module
 */
import { chmod, lstat, mkdir, realpath, stat } from "node:fs/promises";
import { dirname } from "node:path";
import process from "node:process";
import { SbxError } from "../base/errors.ts";
import { fileError } from "../base/file_error.ts";

/** What sbx uses a directory for. */
export interface Place {
  /** As a message says it. */
  readonly what: string;
  /** What moves it elsewhere. */
  readonly variable: string;
}

const CACHE: Place = { what: "the cache", variable: "XDG_CACHE_HOME" };

export const STATE: Place = { what: "the state directory", variable: "XDG_STATE_HOME" };

const STICKY = 0o1000;

/**
 * Makes the directory where it is missing, and takes from others what they could write there.
 *
 * @throws SbxError FILE_UNREADABLE when it belongs to another user, or anybody can put another one in
 * its place
 */
export async function requirePrivate(directory: string, of = CACHE): Promise<void> {
  const place = await made(directory, of);
  const own = process.geteuid?.();
  const { uid, mode } = await stat(place);
  if (own !== undefined && uid !== own && uid !== 0) {
    throw unsafe(place, of, `it belongs to user ${uid}`);
  }
  if ((mode & 0o022) !== 0) {
    await chmod(place, mode & 0o7755).catch((cause) => {
      throw fileError(`use ${of.what}`, place, cause);
    });
  }
  for (let dir = dirname(place);; dir = dirname(dir)) {
    const { mode } = await stat(dir);
    if ((mode & 0o002) !== 0 && (mode & STICKY) === 0) {
      throw unsafe(place, of, `anybody can write to ${dir}`);
    }
    if (dir === dirname(dir)) return;
  }
}

/**
 * The same for a directory that nobody else may look into, either, and that is not root's where we are
 * not.
 *
 * @throws SbxError FILE_UNREADABLE
 */
export async function requireOwn(directory: string, of = CACHE): Promise<void> {
  await requirePrivate(directory, of);
  const { uid, mode } = await lstat(directory);
  const own = process.geteuid?.();
  if (own !== undefined && uid !== own) throw unsafe(directory, of, `it belongs to user ${uid}`);
  if ((mode & 0o7777) === 0o700) return;
  await chmod(directory, 0o700).catch((cause) => {
    throw fileError(`use ${of.what}`, directory, cause);
  });
}

async function made(directory: string, { what, variable }: Place): Promise<string> {
  try {
    await mkdir(directory, { recursive: true, mode: 0o755 });
    return await realpath(directory);
  } catch (cause) {
    const hint = `make that directory writable, or point ${variable} at another one`;
    throw fileError(`use ${what}`, directory, cause, hint);
  }
}

function unsafe(place: string, { what, variable }: Place, state: string): SbxError {
  return new SbxError("FILE_UNREADABLE", `Cannot use ${what} ${place}: ${state}`, {
    hint: `point ${variable} at a directory of your own`,
  });
}
