/**
 * Makes chosen changes here, one path after the other, each in one step: a file is whole under another name before it
 * gets its own. Nothing is done to what is not as it was when it was looked at, and no link is followed.
 *
 * ```
 * what is in the way of another kind ─► directories, files and links, from above ─► the rest that goes, from below
 *   ─► permission bits of directories
 * ```
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { randomBytes } from "node:crypto";
import { type BigIntStats, constants, mkdirSync } from "node:fs"; // Deno's promise of mkdir takes no bytes for a path
import {
  copyFile,
  lchown,
  link,
  lstat,
  open,
  readlink,
  rename,
  rmdir,
  symlink,
  unlink,
} from "node:fs/promises";
import process from "node:process";
import { encodeOsString } from "../../base/os_string.ts";
import { systemCode, systemWords } from "../../base/file_error.ts";
import type { OpenDirectory } from "../../host/open_directory.ts";
import type { OpenTree, TreePlace } from "../../host/open_tree.ts";
import { nameOfStage } from "../../host/stage.ts";
import { directoriesAbove } from "./above.ts";
import { stampOf } from "./base_tree.ts";
import type { FailedChange } from "./change.ts";
import { type FoundChange, OWNERS } from "./compare.ts";

/** What is to be done, and with what. */
export interface Commission {
  readonly tree: OpenTree;
  /** Of the tree's file system, and empty but for the files of `staged`. */
  readonly stage: OpenDirectory;
  /** The names there of files that came. */
  readonly staged: ReadonlyMap<FoundChange, Buffer>;
}

export interface Committed {
  readonly applied: readonly FoundChange[];
  readonly failed: readonly FailedChange[];
  /** What is here now of what was applied; null for what is not the guest's any more, or is gone. */
  readonly stamps: ReadonlyMap<FoundChange, string | null>;
}

/** Why one change cannot be made, in words. */
class Impossible extends Error {}

const MEANWHILE = "it was changed here meanwhile";

/** What is removed here may be what the guest has elsewhere, in a file that did not come. */
export const NOT_REMOVED = "nothing is removed while something else did not come";

/** `changes` are in the order of paths. */
export async function commit(
  changes: readonly FoundChange[],
  commission: Commission,
): Promise<Committed> {
  const work = new Work(commission);
  const types = new Set(changes.filter(({ kind }) => kind === "type").map(({ path }) => path));
  const isType = (path: string) => directoriesAbove(path).some((at) => types.has(at));
  const removed = changes.filter(({ kind }) => kind === "deleted").toReversed();
  for (const change of removed) if (isType(change.path)) await work.do(change);
  for (const change of changes) if (change.kind !== "deleted") await work.do(change);
  const isWhole = work.failed.length === 0;
  for (const change of removed.filter(({ path }) => !isType(path))) {
    if (isWhole) await work.do(change);
    else work.failed.push({ change, message: NOT_REMOVED });
  }
  await work.finish();
  const failed = new Map(work.failed.map((each) => [each.change, each]));
  return {
    applied: changes.filter((change) => !failed.has(change)),
    failed: [...failed.values()],
    stamps: work.stamps,
  };
}

class Work {
  readonly failed: FailedChange[] = [];
  readonly stamps = new Map<FoundChange, string | null>();
  readonly #commission: Commission;
  readonly #directories: FoundChange[] = [];
  /** As root, what is made belongs to whom what it is in belongs to. */
  readonly #isRoot = process.geteuid?.() === 0;

  constructor(commission: Commission) {
    this.#commission = commission;
  }

  async do(change: FoundChange): Promise<void> {
    await this.#try(change, async () => {
      const { tree } = this.#commission;
      const place = await tree.place(change.path);
      const here = await place?.directory.find(place.name) ?? null;
      if ((here === null ? undefined : stampOf(here)) !== change.stamp) {
        throw new Impossible(MEANWHILE);
      }
      if (place === null) throw new Impossible("the directory that it is in is not there");
      if (change.kind === "deleted" || change.kind === "type") await this.#remove(change, place);
      const placed = change.kind === "deleted" ? null : await this.#make(change, place, here);
      await this.#stamp(change, place, placed);
    });
  }

  /** `placed`: what got the name, as it was before. Whoever wrote to it since then did so here. */
  async #stamp(
    change: FoundChange,
    { directory, name }: TreePlace,
    placed: BigIntStats | null,
  ): Promise<void> {
    const found = await directory.find(name);
    const isOther = placed !== null &&
      !(found?.ino === placed.ino && found.size === placed.size &&
        found.mtimeNs === placed.mtimeNs);
    this.stamps.set(change, found === null || isOther ? null : stampOf(found));
  }

  /** Permission bits of directories, which could be in the way of what is made in them. */
  async finish(): Promise<void> {
    for (const change of this.#directories.toReversed()) {
      await this.#try(change, async () => {
        const { tree } = this.#commission;
        const directory = await tree.directory(change.path.split("/"));
        if (directory === null) throw new Impossible(MEANWHILE);
        // Its owner must be able to move and remove what is in it.
        await directory.chmod((change.after?.mode ?? 0) | OWNERS);
        const own = await directory.find(Buffer.from("."));
        this.stamps.set(change, own === null ? null : stampOf(own));
      });
    }
  }

  async #try(change: FoundChange, act: () => Promise<void>): Promise<void> {
    try {
      await act();
    } catch (error) {
      const isKnown = error instanceof Impossible || systemCode(error) !== undefined;
      if (!isKnown) throw error;
      const message = error instanceof Impossible
        ? error.message
        : systemCode(error) === "EEXIST"
        ? MEANWHILE
        : systemCode(error) === "ENOTEMPTY"
        ? "something else is in it"
        : systemWords(error);
      this.failed.push({ change, message });
    }
  }

  async #remove({ before }: FoundChange, { directory, name }: TreePlace): Promise<void> {
    if (before?.kind !== "directory") return await unlink(directory.at(name));
    await rmdir(directory.at(name));
  }

  /** What got the name, as it was before; null for what was made there. */
  async #make(
    change: FoundChange,
    { directory, name }: TreePlace,
    here: BigIntStats | null,
  ): Promise<BigIntStats | null> {
    const { after, kind } = change;
    const at = directory.at(name);
    switch (after?.kind) {
      case "directory":
        if (kind !== "mode") {
          mkdirSync(at, 0o700);
          await this.#give(directory, at);
        }
        this.#directories.push(change);
        return null;
      case "symlink":
        return await this.#link(change, directory, at);
      case "file":
        if (kind !== "mode") return await this.#file(change, directory, at);
        await setMode(at, after.mode);
        return here;
      default:
        throw new Impossible("nobody knows what it is");
    }
  }

  async #link(
    change: FoundChange,
    directory: OpenDirectory,
    at: Buffer,
  ): Promise<BigIntStats | null> {
    const target = Buffer.from(encodeOsString(change.after?.target ?? ""));
    let placed: BigIntStats | null = null;
    if (change.kind !== "modified") await symlink(target, at);
    else {
      const fresh = this.#commission.stage.at(Buffer.from("link"));
      await symlink(target, fresh);
      placed = await putInPlace(fresh, directory, at);
    }
    await this.#give(directory, at);
    return placed;
  }

  async #file(change: FoundChange, directory: OpenDirectory, at: Buffer): Promise<BigIntStats> {
    const { stage, staged } = this.#commission;
    const name = staged.get(change);
    if (name === undefined) throw new Impossible("its content did not come");
    const fresh = stage.at(name);
    await setMode(fresh, change.after?.mode ?? 0o600);
    await this.#give(directory, fresh, change.kind === "modified" ? at : undefined);
    if (change.kind === "modified") return await putInPlace(fresh, directory, at);
    const placed = await lstat(fresh, { bigint: true });
    try {
      await link(fresh, at); // which does not replace what came there meanwhile
    } catch (error) {
      if (systemCode(error) === "EEXIST") throw error;
      return await putInPlace(fresh, directory, at); // a file system without a second name
    }
    await unlink(fresh);
    return placed;
  }

  /** To the owner of what it takes the place of, or of the directory that it is in. */
  async #give(directory: OpenDirectory, what: Buffer, like?: Buffer): Promise<void> {
    if (!this.#isRoot) return;
    const owner = like === undefined
      ? await directory.find(Buffer.from("."))
      : await directory.find(like.subarray(like.lastIndexOf(SLASH) + 1));
    if (owner !== null) await lchown(what, Number(owner.uid), Number(owner.gid));
  }
}

const SLASH = 0x2f;

/**
 * Gives a name to what is staged, and answers with what that was. Where the two are on different file systems, the
 * copy is whole before it gets its name as well.
 */
async function putInPlace(
  from: Buffer,
  directory: OpenDirectory,
  to: Buffer,
): Promise<BigIntStats> {
  const staged = await lstat(from, { bigint: true });
  try {
    await rename(from, to);
    return staged;
  } catch (error) {
    if (systemCode(error) !== "EXDEV") throw error;
  }
  const beside = directory.at(nameOfStage(randomBytes(6).toString("hex")));
  try {
    if (staged.isSymbolicLink()) {
      await symlink(await readlink(from, { encoding: "buffer" }), beside);
    } else await copyFile(from, beside, constants.COPYFILE_EXCL);
    const copied = await lstat(beside, { bigint: true });
    await rename(beside, to);
    return copied;
  } catch (error) {
    await unlink(beside).catch(() => {});
    throw error;
  }
}

async function setMode(at: Buffer, mode: number): Promise<void> {
  const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = constants;
  const file = await open(at, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  try {
    await file.chmod(mode);
  } finally {
    await file.close();
  }
}
