/**
 * Makes chosen changes here, one path after the other, each in one step: a file is whole under another name before it
 * gets its own. Nothing is done to what is not as it was when it was looked at, and no link is followed.
 *
 * ```
 * what takes the place of another kind, made ready ─► directories, files and links, from above
 *   ─► each of another kind: what is in its way, itself, what is in it ─► the rest that goes, from below
 *   ─► permission bits of directories
 * ```
 *
 * From the second line on things are lost here, of which the guest may have moved the content to what is added. So
 * nothing goes any more once something has failed.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { type BigIntStats, mkdirSync } from "node:fs"; // Deno's promise of mkdir takes no bytes for a path
import { lchown, rmdir, symlink, unlink, writeFile } from "node:fs/promises";
import process from "node:process";
import { encodeOsString } from "../../base/os_string.ts";
import { systemCode, systemWords } from "../../base/file_error.ts";
import type { OpenDirectory } from "../../host/open_directory.ts";
import type { OpenTree, TreePlace } from "../../host/open_tree.ts";
import { stampOf } from "./base_tree.ts";
import type { FailedChange } from "./change.ts";
import { type FoundChange, OWNERS } from "./compare.ts";
import { byType } from "./order.ts";
import { putInPlace, putWhereNothingIs, setMode } from "./put.ts";

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
  const { types, others } = byType(changes);
  for (const { change } of types) await work.prepare(change);
  for (const change of others.made) await work.do(change);
  for (const { change, below } of types) {
    for (const each of [...below.gone.toReversed(), change]) await work.replace(each);
    for (const each of below.made) await work.do(each);
  }
  const isWhole = work.failed.size === 0;
  for (const change of others.gone.toReversed()) {
    if (isWhole) await work.do(change);
    else work.fail(change, NOT_REMOVED);
  }
  await work.finish();
  return {
    applied: changes.filter((change) => !work.failed.has(change)),
    failed: [...work.failed.values()],
    stamps: work.stamps,
  };
}

class Work {
  readonly failed = new Map<FoundChange, FailedChange>();
  readonly stamps = new Map<FoundChange, string | null>();
  readonly #commission: Commission;
  readonly #directories: FoundChange[] = [];
  /** Made already, in the stage. */
  readonly #ready = new Map<FoundChange, Buffer>();
  #made = 0;
  /** As root, what is made belongs to whom what it is in belongs to. */
  readonly #isRoot = process.geteuid?.() === 0;

  constructor(commission: Commission) {
    this.#commission = commission;
  }

  fail(change: FoundChange, message: string): void {
    this.failed.set(change, { change, message });
  }

  /** Does what something is lost by, if nothing has failed. */
  async replace(change: FoundChange): Promise<void> {
    if (this.failed.size === 0) await this.do(change);
    else if (!this.failed.has(change)) this.fail(change, NOT_REMOVED);
  }

  /** Makes what takes the place of another kind, since that would be lost if it could not be made afterwards. */
  async prepare(change: FoundChange): Promise<void> {
    await this.#try(change, async () => {
      const { directory } = await this.#look(change);
      await this.#fresh(change, directory);
    });
  }

  async do(change: FoundChange): Promise<void> {
    await this.#try(change, async () => {
      const { here, ...place } = await this.#look(change);
      if (change.kind === "deleted") await this.#remove(change, place);
      const placed = change.kind === "deleted" ? null : await this.#make(change, place, here);
      await this.#stamp(change, place, placed);
    });
  }

  /** Where the change is, and what is there. @throws Impossible where that is not what was looked at */
  async #look({ path, stamp }: FoundChange): Promise<TreePlace & { here: BigIntStats | null }> {
    const place = await this.#commission.tree.place(path);
    const here = await place?.directory.find(place.name) ?? null;
    if ((here === null ? undefined : stampOf(here)) !== stamp) throw new Impossible(MEANWHILE);
    if (place === null) throw new Impossible("the directory that it is in is not there");
    return { ...place, here };
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
      this.fail(change, message);
    }
  }

  async #remove({ before }: FoundChange, { directory, name }: TreePlace): Promise<void> {
    if (before?.kind !== "directory") return await unlink(directory.at(name));
    await rmdir(directory.at(name));
  }

  /** What got the name, as it was before; null for what was made there. */
  async #make(
    change: FoundChange,
    place: TreePlace,
    here: BigIntStats | null,
  ): Promise<BigIntStats | null> {
    if (change.after?.kind === "directory") {
      await this.#directory(change, place);
      return null;
    }
    if (change.kind === "mode") return await this.#mode(change, place, here);
    const { directory, name } = place;
    const at = directory.at(name);
    const isFree = change.before === undefined || change.before.kind === "directory";
    if (change.before === undefined && change.after?.kind === "symlink") {
      await symlink(targetOf(change), at); // which does not replace what came there meanwhile
      await this.#give(directory, at);
      return null;
    }
    const fresh = await this.#fresh(change, directory, change.kind === "modified" ? at : undefined);
    if (!isFree) return await putInPlace(fresh, directory, at);
    if (change.before !== undefined) await this.#remove(change, place);
    return await putWhereNothingIs(fresh, directory, at);
  }

  async #directory(change: FoundChange, place: TreePlace): Promise<void> {
    const { directory, name } = place;
    const at = directory.at(name);
    if (change.kind === "added") {
      mkdirSync(at, 0o700);
      await this.#give(directory, at);
    } else if (change.kind === "type") {
      const fresh = await this.#fresh(change, directory);
      await this.#remove(change, place);
      await putInPlace(fresh, directory, at);
    }
    this.#directories.push(change);
  }

  /** What the guest has, in the stage. `like`: what it takes the place of. */
  async #fresh(change: FoundChange, directory: OpenDirectory, like?: Buffer): Promise<Buffer> {
    const { stage, staged } = this.#commission;
    const ready = this.#ready.get(change);
    if (ready !== undefined) return ready;
    const content = staged.get(change);
    const fresh = content === undefined ? this.#inStage() : stage.at(content);
    switch (change.after?.kind) {
      case "directory":
        mkdirSync(fresh, 0o700);
        break;
      case "symlink":
        await symlink(targetOf(change), fresh);
        break;
      case "file":
        if (content === undefined) throw new Impossible("its content did not come");
        await setMode(fresh, change.after.mode);
        break;
      default:
        throw new Impossible("nobody knows what it is");
    }
    this.#ready.set(change, fresh);
    await this.#give(directory, fresh, like);
    return fresh;
  }

  /** A name that nothing has. */
  #inStage(): Buffer {
    return this.#commission.stage.at(Buffer.from(`made${this.#made++}`));
  }

  /** A file that has other names, of which some may be outside, leaves them: what they lead to stays as it is. */
  async #mode(
    change: FoundChange,
    { directory, name }: TreePlace,
    here: BigIntStats | null,
  ): Promise<BigIntStats | null> {
    const mode = change.after?.mode ?? 0o600;
    const file = await directory.read(name);
    try {
      const open = await file.stat({ bigint: true });
      if (open.ino !== here?.ino || open.dev !== here.dev) throw new Impossible(MEANWHILE);
      if (open.nlink === 1n) {
        await file.chmod(mode);
        return here;
      }
      const fresh = this.#inStage();
      await writeFile(fresh, file.createReadStream({ autoClose: false }), { flag: "wx" });
      await setMode(fresh, mode);
      const now = await directory.find(name);
      if (now === null || stampOf(now) !== stampOf(here)) throw new Impossible(MEANWHILE);
      const at = directory.at(name);
      await this.#give(directory, fresh, at);
      return await putInPlace(fresh, directory, at);
    } finally {
      await file.close();
    }
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

function targetOf({ after }: FoundChange): Buffer {
  return Buffer.from(encodeOsString(after?.target ?? ""));
}
