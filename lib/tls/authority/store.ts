/**
 * The authority that `sbx ca` keeps for the user.
 *
 * Certificate and key are in one private file, so that no two of them are ever mixed up, and two
 * `sbx ca init` at once leave one authority and one error.
 *
 * @module
 */

import { rmdir, unlink } from "node:fs/promises";
import { dirname } from "node:path";
import { SbxError } from "../../base/errors.ts";
import { fileError, systemCode } from "../../base/file_error.ts";
import { type PrivateFile, readPrivate, writePrivate } from "../../base/private_file.ts";
import type { Authority, FreshAuthority } from "./authority.ts";
import { parseAuthority } from "./pem.ts";

/** Whose it is: what is done about one that others could get at. */
export type AuthorityPlace = Pick<PrivateFile, "otherwise" | "sheltered">;

const USERS: AuthorityPlace = { otherwise: "'sbx ca rotate'" };

/** Whoever else can read the key, or put another one in its place, can speak for every server. */
function fileAt(path: string, place = USERS): PrivateFile {
  return { path, what: "the authority", code: "TLS_INVALID", ...place };
}

/**
 * Keeps an authority. `replace` says whether one may be there already.
 *
 * @throws SbxError CA_EXISTS, FILE_UNREADABLE, TLS_INVALID for a directory of somebody else
 */
export async function keepAuthority(
  path: string,
  { authority, keyPem }: FreshAuthority,
  replace: boolean,
): Promise<void> {
  const isKept = await writePrivate(fileAt(path), authority.certificatePem + keyPem, replace);
  if (!isKept) {
    throw new SbxError("CA_EXISTS", `Cannot make an authority: ${path} is one already`, {
      hint: "use it as it is, or replace it with 'sbx ca rotate'",
    });
  }
}

/**
 * The kept authority; null when there is none.
 *
 * @throws SbxError TLS_INVALID when it cannot be used: it expired, or others can read its key
 */
export async function keptAuthority(
  path: string,
  now = Date.now(),
  place = USERS,
): Promise<Authority | null> {
  const text = await readPrivate(fileAt(path, place));
  return text === null ? null : await parseAuthority({ path, text }, { path, text }, now);
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
