/**
 * Files that nobody but their owner may read or replace: keys and secrets that sbx keeps.
 *
 * Such a file appears whole, by link(2) where none may be there yet and by rename(2) where one is
 * replaced. One that another user owns, or could have got at, is not used.
 *
 * @module
 */
import { randomBytes } from "node:crypto";
import { constants } from "node:fs";
import { chmod, link, lstat, mkdir, open, rename, unlink } from "node:fs/promises";
import { dirname } from "node:path";
import process from "node:process";
import { type ErrorCode, SbxError } from "./errors.ts";
import { escapeText } from "./escape.ts";
import { fileError, systemCode } from "./file_error.ts";

export interface PrivateFile {
  /** In a directory of its own, or one with others of its kind. */
  readonly path: string;
  /** What is kept in it, as a message says it: "the authority". */
  readonly what: string;
  /** Of a file that may not be used. */
  readonly code: ErrorCode;
  /** What to do about one that others could get at: "'sbx ca rotate'". */
  readonly otherwise: string;
  /** Its directory was made for its owner alone: a copy of it there that stands open, as others make them, is closed. */
  readonly sheltered?: true;
}

/**
 * Writes the file. `replace` says whether one may be there already; false when it may not and is.
 *
 * @throws SbxError FILE_UNREADABLE, and the file's own code for a directory of somebody else
 */
export async function writePrivate(
  file: PrivateFile,
  text: string,
  replace: boolean,
): Promise<boolean> {
  const { path, what } = file;
  const directory = dirname(path);
  const fresh = `${path}.${randomBytes(6).toString("hex")}`;
  try {
    await mkdir(directory, { recursive: true, mode: 0o700 });
    requireOwn(file, directory, await lstat(directory));
    await chmod(directory, 0o700);
    await writeNew(fresh, text);
    if (replace) await rename(fresh, path);
    else await link(fresh, path);
    await syncDirectory(directory);
    return true;
  } catch (cause) {
    if (systemCode(cause) === "EEXIST" && !replace) return false;
    throw cause instanceof SbxError ? cause : fileError(`write ${what}`, path, cause);
  } finally {
    await unlink(fresh).catch(() => {}); // gone already after a rename
  }
}

/** "wx" follows no link that somebody put there, and the mode holds from the first byte on. */
async function writeNew(path: string, text: string): Promise<void> {
  const file = await open(path, "wx", 0o600);
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
}

async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, "r");
  await handle.sync().finally(() => handle.close());
}

/**
 * The text of the file; null when there is none.
 *
 * @throws SbxError FILE_UNREADABLE, and the file's own code when others own it or can get at it
 */
export async function readPrivate(file: PrivateFile): Promise<string | null> {
  const { path, what } = file;
  try {
    const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = constants;
    const opened = await open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
    try {
      requirePrivate(file, dirname(path), await lstat(dirname(path)));
      const state = await opened.stat();
      if (file.sheltered !== true) requirePrivate(file, path, state);
      else {
        requireOwn(file, path, state);
        if ((state.mode & 0o077) !== 0) await opened.chmod(0o600);
      }
      return await opened.readFile("utf8");
    } finally {
      await opened.close();
    }
  } catch (cause) {
    if (systemCode(cause) === "ENOENT") return null;
    throw cause instanceof SbxError ? cause : fileError(`read ${what}`, path, cause);
  }
}

interface FileState {
  readonly uid: number;
  readonly mode: number;
}

function requirePrivate(file: PrivateFile, path: string, state: FileState): void {
  requireOwn(file, path, state);
  if ((state.mode & 0o077) === 0) return;
  const { what, code, otherwise } = file;
  throw new SbxError(code, `Cannot use ${what}: others can get at ${escapeText(path)}`, {
    hint: `if nobody did, run 'chmod go= ${escapeText(path)}'; otherwise ${otherwise}`,
  });
}

function requireOwn({ what, code }: PrivateFile, path: string, { uid }: FileState): void {
  const own = process.getuid?.();
  if (own === undefined || uid === own) return;
  throw new SbxError(code, `Cannot use ${what}: ${escapeText(path)} belongs to user ${uid}`, {
    hint: "run sbx as that user, or point XDG_DATA_HOME at a directory of your own",
  });
}
