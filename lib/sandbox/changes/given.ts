/**
 * What a sandbox is given copies of: looked at while it starts, and kept with its disk, where what the guest wrote
 * outlives one life of it.
 *
 * @module
 */
import { inSentence, SbxError } from "../../base/errors.ts";
import { escapeText } from "../../base/escape.ts";
import { type PrivateFile, readPrivate, writePrivate } from "../../base/private_file.ts";
import { type FileAccess, FileOperation } from "../file_operation.ts";
import type { FoundMount } from "../mounts.ts";
import type { Disk } from "../options.ts";
import { directoriesAbove } from "./above.ts";
import { continued, formatBases, type KeptBase, type KeptBases, parseBases } from "./base_tree.ts";
import { walkBase } from "./base_walk.ts";
import { Copies, type GivenCopy } from "./copies.ts";
import { readReported } from "./reported.ts";

/** The file beside a disk that has what copies on it were made of. */
export function basesBeside(disk: string): PrivateFile {
  return {
    path: `${disk}.copies`,
    what: "what copies were made of",
    code: "STATE_UNUSABLE",
    otherwise: "remove it",
  };
}

/** Begins to look; the guest writes nothing before that is done. */
export function lookAtCopied(
  mounts: readonly FoundMount[],
): Promise<readonly KeptBase[]> {
  const looking = Promise.all(copied(mounts).map(({ host }) => walkBase(host)));
  looking.catch(() => {}); // awaited when the guest is there
  return looking;
}

/** @throws SbxError what can be wrong with a guest and its files */
export async function givenCopies(
  mounts: readonly FoundMount[],
  looking: Promise<readonly KeptBase[]>,
  disk: Disk | undefined,
  access: FileAccess,
  notice: (line: string) => void,
): Promise<Copies> {
  const looked = await looking;
  const isKept = disk?.path !== undefined;
  const file = disk?.path === undefined || disk.owner === undefined
    ? undefined
    : basesBeside(disk.path);
  const before = file === undefined ? null : parseBases(await readPrivate(file));
  const copies = await Promise.all(
    copied(mounts).map(async ({ host, guest }, at): Promise<GivenCopy> => {
      const now = looked[at] ?? { identity: "", tree: new Map() };
      const base = isKept ? await goneOn(now, before?.[guest], guest, access, notice) : now;
      return { host, guest, base, mounted: mountedIn(guest, mounts) };
    }),
  );
  const keep = async () => {
    if (file === undefined || copies.length === 0) return;
    const bases: KeptBases = Object.fromEntries(copies.map(({ guest, base }) => [guest, base]));
    await writePrivate(file, formatBases(bases), true);
  };
  await keep();
  return new Copies({ ...access, copies, keep });
}

/**
 * What the guest has of its own from before, was made of what was here then. Where that cannot be found out, since the
 * guest wrote more than is looked at, nothing is known of what it was given: it starts all the same.
 */
async function goneOn(
  now: KeptBase,
  before: KeptBase | undefined,
  guest: string,
  access: FileAccess,
  notice: (line: string) => void,
): Promise<KeptBase> {
  const operation = new FileOperation(access, { method: "changes", path: guest, digests: false });
  const reported = await readReported(operation.stream()).catch((error) => {
    if (!(error instanceof SbxError && /^(?:FILE_|PROTOCOL$)/.test(error.code))) throw error;
    notice(
      `each change in ${escapeText(guest)} counts as a conflict: ${inSentence(error)}`,
    );
    return null;
  });
  if (reported === null) return { identity: now.identity, tree: new Map() };
  const own = new Set(
    [...reported.values()].filter(({ type, isWhole }) => type !== "directory" || isWhole)
      .map(({ path }) => path),
  );
  const isOwn = (path: string) => own.has(path) || directoriesAbove(path).some((at) => own.has(at));
  const known = before?.identity === now.identity ? before.tree : undefined;
  return { identity: now.identity, tree: continued(now.tree, known, isOwn) };
}

function copied(mounts: readonly FoundMount[]): readonly FoundMount[] {
  return mounts.filter(({ as, file }) => as === "copy" && file !== true);
}

/** The paths of other mounts, below a copy. */
function mountedIn(guest: string, mounts: readonly FoundMount[]): readonly string[] {
  return mounts.filter((other) => other.guest.startsWith(`${guest}/`))
    .map((other) => other.guest.slice(guest.length + 1));
}
