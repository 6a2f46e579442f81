/**
 * The authority that `sbx ca` keeps for the user.
 *
 * Certificate and key are in one file, so that no two of them are ever mixed up: the file appears
 * whole, by link(2) where none may be there yet and by rename(2) where one is replaced, and two
 * `sbx ca init` at once leave one authority and one error.
 *
 * @module
 */

import { randomBytes } from "node:crypto";
import { constants } from "node:fs";
import { chmod, link, lstat, mkdir, open, rename, rmdir, unlink } from "node:fs/promises";
import { dirname } from "node:path";
import process from "node:process";
import { SbxError } from "../base/errors.ts";
import { fileError, systemCode } from "../base/file_error.ts";
import type { Authority, FreshAuthority } from "./authority.ts";
import { parseAuthority } from "./authority_pem.ts";

/**
 * Keeps an authority. `replace` says whether one may be there already.
 *
 * @throws SbxError CA_EXISTS, FILE_UNREADABLE, TLS_INVALID for a directory that others can enter
 */
export async function keepAuthority(
  path: string,
  { authority, keyPem }: FreshAuthority,
  replace: boolean,
): Promise<void> {
  const directory = dirname(path);
  const fresh = `${path}.${randomBytes(6).toString("hex")}`;
  try {
    await mkdir(directory, { recursive: true, mode: 0o700 });
    requireOwn(directory, await lstat(directory));
    await chmod(directory, 0o700);
    await writeNew(fresh, authority.certificatePem + keyPem);
    if (replace) await rename(fresh, path);
    else await link(fresh, path);
    await sync(directory);
  } catch (cause) {
    if (systemCode(cause) === "EEXIST") throw alreadyKept(path);
    throw cause instanceof SbxError ? cause : fileError("write the authority", path, cause);
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

async function sync(directory: string): Promise<void> {
  const handle = await open(directory, "r");
  await handle.sync().finally(() => handle.close());
}

/**
 * The kept authority; null when there is none.
 *
 * @throws SbxError TLS_INVALID when it cannot be used: it expired, or others can read its key
 */
export async function keptAuthority(path: string, now = Date.now()): Promise<Authority | null> {
  const text = await readPrivate(path);
  return text === null ? null : await parseAuthority({ path, text }, { path, text }, now);
}

async function readPrivate(path: string): Promise<string | null> {
  try {
    const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW);
    try {
      requirePrivate(dirname(path), await lstat(dirname(path)));
      requirePrivate(path, await file.stat());
      return await file.readFile("utf8");
    } finally {
      await file.close();
    }
  } catch (cause) {
    if (systemCode(cause) === "ENOENT") return null;
    throw cause instanceof SbxError ? cause : fileError("read the authority", path, cause);
  }
}

interface FileState {
  readonly uid: number;
  readonly mode: number;
}

/** Whoever else can read the key, or put another one in its place, can speak for every server. */
function requirePrivate(path: string, state: FileState): void {
  requireOwn(path, state);
  if ((state.mode & 0o077) === 0) return;
  throw new SbxError("TLS_INVALID", `Cannot use the authority: others can get at ${path}`, {
    hint: `if nobody did, run 'chmod go= ${path}'; otherwise 'sbx ca rotate'`,
  });
}

function requireOwn(path: string, { uid }: FileState): void {
  const own = process.getuid?.();
  if (own === undefined || uid === own) return;
  throw new SbxError("TLS_INVALID", `Cannot use the authority: ${path} belongs to user ${uid}`, {
    hint: "run sbx as that user, or point XDG_DATA_HOME at a directory of your own",
  });
}

/** Removes the kept authority; false when there was none. */
export async function removeAuthority(path: string): Promise<boolean> {
  try {
    await unlink(path);
    await rmdir(dirname(path)).catch(() => {}); // somebody else keeps a file in it
    return true;
  } catch (cause) {
    if (systemCode(cause) === "ENOENT") return false;
    throw fileError("remove the authority", path, cause);
  }
}

function alreadyKept(path: string): SbxError {
  return new SbxError("CA_EXISTS", `Cannot make an authority: ${path} is one already`, {
    hint: "use it as it is, or replace it with 'sbx ca rotate'",
  });
}
