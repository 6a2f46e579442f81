/**
 * What a guest's copy has otherwise than the directory here: what the guest said, held against what is there. The
 * guest's word alone decides nothing about this machine's side.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import type { BigIntStats } from "node:fs";
import { readlink } from "node:fs/promises";
import { posix } from "node:path";
import { decodeOsString } from "../../base/os_string.ts";
import { systemCode, systemWords } from "../../base/file_error.ts";
import type { FileKind } from "../../guest/files.ts";
import { isStage } from "../../host/stage.ts";
import { OpenTree } from "../../host/open_tree.ts";
import { directoriesAbove, parentOf } from "./above.ts";
import { type BaseTree, identityOf, stampOf } from "./base_tree.ts";
import type { Change, ChangedFile, ChangeKind } from "./change.ts";
import { folded, isGitOwn, isHead } from "./executed.ts";
import { type Reasons, reasonsAgainst } from "./held_back.ts";
import { inTurns } from "./in_turns.ts";
import type { Reported } from "./reported.ts";

/** A change with what only this process needs to know. */
export interface FoundChange extends Change {
  /** What is here, as {@link stampOf} says it; undefined for nothing. */
  readonly stamp: string | undefined;
  readonly against: Reasons;
}

/** The two sides, and where they are. */
export interface Sides {
  readonly tree: OpenTree;
  /** Absolute. */
  readonly host: string;
  /** Absolute. */
  readonly guest: string;
  /** What the guest was given. */
  readonly base: BaseTree;
  /** Where other mounts of the guest are, below its copy: nothing at or below them is the copy's. */
  readonly mounted: readonly string[];
}

/** In the order of paths. @throws what the system says of the directory, and the signal's reason */
export async function compare(
  reported: ReadonlyMap<string, Reported>,
  sides: Sides,
  signal?: AbortSignal,
): Promise<FoundChange[]> {
  const comparison = new Comparison(reported, sides, signal);
  for (const each of reported.values()) await comparison.visit(each);
  return await comparison.changes();
}

/** What says that this process can look at nothing at all, rather than not at one path. */
const EXHAUSTED: ReadonlySet<string> = new Set(["EMFILE", "ENFILE", "ENOMEM", "EBADF"]);

/** All of a change but for what only the others say of it. */
interface Found {
  readonly change: Change;
  readonly stamp: string | undefined;
  readonly repositories: ReadonlySet<string>;
  readonly unseen?: string;
}

class Comparison {
  readonly #reported: ReadonlyMap<string, Reported>;
  readonly #sides: Sides;
  readonly #signal: AbortSignal | undefined;
  readonly #found: Found[] = [];
  /** Names in each directory of which all was said. */
  readonly #within = new Map<string, Set<string>>();
  readonly #repositories = new Map<string, boolean>();
  /** Where the guest adds, or has, what makes a repository of a directory. */
  readonly #heads = new Set<string>();
  /** Directories that were repositories' own, and are none in the guest any more. */
  readonly #lost = new Set<string>();
  /** By directory and folded name, what the guest has of it, and once it was looked for, what that is here. */
  #namesakes: Map<string, readonly string[] | ReadonlySet<string>> | undefined;

  constructor(
    reported: ReadonlyMap<string, Reported>,
    sides: Sides,
    signal: AbortSignal | undefined,
  ) {
    this.#reported = reported;
    this.#sides = sides;
    this.#signal = signal;
    for (const { path, isWhole, type } of reported.values()) {
      if (type === "directory" && isWhole) this.#within.set(path, new Set());
      this.#within.get(parentOf(path))?.add(path);
      if (type !== "gone" && isHead(path)) this.#heads.add(parentOf(path));
    }
  }

  async changes(): Promise<FoundChange[]> {
    const { mounted } = this.#sides;
    // What the guest's mounts needed to be mounted on is nobody's change.
    const found = this.#found.filter(({ change: { path, kind, after } }) =>
      kind !== "added" || after?.kind !== "directory" ||
      !mounted.some((at) => at.startsWith(`${path}/`)) ||
      this.#found.some(({ change }) => change.path.startsWith(`${path}/`))
    );
    const judged: FoundChange[] = [];
    for await (const each of inTurns(found)) judged.push(this.#judged(each));
    return judged.toSorted((a, b) => a.path < b.path ? -1 : 1);
  }

  #judged({ change, stamp, repositories, unseen }: Found): FoundChange {
    const { path, kind } = change;
    const known = this.#sides.base.get(path);
    const against = reasonsAgainst(change, {
      isConflict: stamp !== known,
      isGiven: known !== undefined,
      isRepository: (at) => repositories.size > 0 && repositories.has(at),
      isOfLostRepository: kind === "deleted" && this.#lost.size > 0 &&
        [path, ...directoriesAbove(path), ""].some((at) => this.#lost.has(at)),
      ...(unseen === undefined ? {} : { unseen }),
    });
    const reason = against.special ?? against.conflict ?? against.unsafe;
    return { ...change, ...reason, stamp, against };
  }

  async visit(each: Reported): Promise<void> {
    this.#signal?.throwIfAborted();
    try {
      await this.#look(each);
    } catch (error) {
      // No system here can have a file of a name that is too long for it, and the guest has none to remove.
      if (each.type === "gone" && systemCode(error) === "ENAMETOOLONG") return;
      const after = each.type === "gone" ? undefined : fileThere(each);
      await this.#addUnseen(each.path, after, error);
    }
  }

  async #look(each: Reported): Promise<void> {
    const { path } = each;
    if (this.#sides.mounted.some((at) => path === at || path.startsWith(`${at}/`))) return;
    if (path.split("/").some((step) => isStage(Buffer.from(step)))) {
      const after = each.type === "gone" ? undefined : fileThere(each);
      const kind = after === undefined ? "deleted" : "added";
      return await this.#add({ path, kind, before: undefined, after, unseen: STAGED });
    }
    const { tree } = this.#sides;
    const here = await tree.find(path);
    if (each.type === "gone") {
      if (here !== null) await this.#deleted(path, here);
      return;
    }
    const before = here === null ? undefined : await this.#fileHere(path, here, each);
    const after = fileThere(each);
    const kind = changeOf(before, after);
    if (here?.isDirectory() === true) {
      if (each.type !== "directory") await this.#deletedBelow(path);
      else if (each.isWhole) {
        await this.#deletedBelow(path, this.#within.get(path));
      }
    }
    if (kind !== undefined) await this.#add({ path, kind, here, before, after });
  }

  /** All of it, whatever it is, unless the guest has it under a name that is the same one here. */
  async #deleted(path: string, here: BigIntStats): Promise<void> {
    this.#signal?.throwIfAborted();
    if (await this.#isRenamed(path, here)) return;
    try {
      if (here.isDirectory()) await this.#deletedBelow(path);
      const before = await this.#fileHere(path, here);
      if (isHead(path)) await this.#lose(parentOf(path));
      await this.#add({ path, kind: "deleted", here, before, after: undefined });
    } catch (error) {
      await this.#addUnseen(path, undefined, error);
    }
  }

  /** File systems that know no case find a file by its old name as well, which is none to be removed then. */
  async #isRenamed(path: string, here: BigIntStats): Promise<boolean> {
    this.#namesakes ??= Map.groupBy(
      [...this.#reported.values()].filter(({ type }) => type !== "gone").map(({ path }) => path),
      foldedName,
    );
    const key = foldedName(path);
    const known = this.#namesakes.get(key);
    if (known === undefined) return false;
    const identities = known instanceof Set ? known : await this.#identitiesOf(known);
    this.#namesakes.set(key, identities);
    return identities.has(identityOf(here));
  }

  async #identitiesOf(paths: Iterable<string>): Promise<ReadonlySet<string>> {
    const identities = new Set<string>();
    for (const path of paths) {
      this.#signal?.throwIfAborted();
      const found = await this.#sides.tree.find(path);
      if (found !== null) identities.add(identityOf(found));
    }
    return identities;
  }

  /** What is left of a repository without its head would be none, and what is held back of it would stay. */
  async #lose(at: string): Promise<void> {
    const { tree } = this.#sides;
    const within = at === "" ? "" : `${at}/`;
    const isOne = folded(at.slice(at.lastIndexOf("/") + 1)) === ".git" ||
      await tree.find(`${within}objects`) !== null ||
      await tree.find(`${within}commondir`) !== null;
    if (isOne) this.#lost.add(at);
  }

  /** What is in a directory here, but for what the guest has as well. */
  async #deletedBelow(path: string, but: ReadonlySet<string> = new Set()): Promise<void> {
    const { tree, mounted } = this.#sides;
    const directory = await tree.directory(path.split("/"));
    for (const name of await directory?.names() ?? []) {
      const below = `${path}/${decodeOsString(name)}`;
      if (but.has(below) || isStage(name) || mounted.includes(below)) continue;
      const here = await tree.find(below);
      if (here !== null) await this.#deleted(below, here);
    }
  }

  async #add({ path, kind, here, before, after, unseen }: {
    readonly path: string;
    readonly kind: ChangeKind;
    readonly here?: BigIntStats | null;
    readonly before: ChangedFile | undefined;
    readonly after: ChangedFile | undefined;
    readonly unseen?: string;
  }): Promise<void> {
    const { host, guest } = this.#sides;
    this.#found.push({
      change: {
        path,
        guestPath: posix.join(guest, path),
        hostPath: posix.join(host, path),
        kind,
        ...(before === undefined ? {} : { before }),
        ...(after === undefined ? {} : { after }),
      },
      stamp: here === null || here === undefined ? undefined : stampOf(here),
      repositories: unseen === undefined && isGitOwn(path)
        ? await this.#repositoriesAbove(path)
        : new Set<string>(),
      ...(unseen === undefined ? {} : { unseen }),
    });
  }

  /** One path that cannot be looked at here takes none of the others along. */
  async #addUnseen(path: string, after: ChangedFile | undefined, error: unknown): Promise<void> {
    const code = systemCode(error);
    if (code === undefined || EXHAUSTED.has(code) || this.#signal?.aborted === true) throw error;
    const unseen = `it cannot be looked at here: ${systemWords(error)}`;
    const kind = after === undefined ? "deleted" : "added";
    await this.#add({ path, kind, before: undefined, after, unseen });
  }

  async #fileHere(path: string, here: BigIntStats, other?: Reported): Promise<ChangedFile> {
    const mode = Number(here.mode & 0o777n);
    if (here.isDirectory()) return { kind: "directory", mode, size: 0 };
    const place = await this.#sides.tree.place(path);
    if (here.isSymbolicLink()) {
      const target = place === null
        ? ""
        : decodeOsString(await readlink(place.directory.at(place.name), { encoding: "buffer" }));
      return { kind: "symlink", mode, size: 0, target };
    }
    if (!here.isFile()) return { kind: "other", mode, size: 0 };
    const size = Number(here.size);
    if (other?.type !== "file" || other.size !== size || other.sha256 === undefined) {
      return { kind: "file", mode, size };
    }
    const sha256 = place === null
      ? undefined
      : await digestOf(place.directory.read(place.name), this.#signal);
    return { kind: "file", mode, size, ...(sha256 === undefined ? {} : { sha256 }) };
  }

  /** Directories above that are repositories' own, here or with what the guest adds. "" is the topmost. */
  async #repositoriesAbove(path: string): Promise<ReadonlySet<string>> {
    const found = new Set<string>();
    for (const at of [...directoriesAbove(path), ""].reverse()) {
      let isOne = this.#repositories.get(at);
      if (isOne === undefined) {
        isOne = this.#heads.has(at) || await this.#hasHead(at);
        this.#repositories.set(at, isOne);
      }
      if (isOne) found.add(at);
    }
    return found;
  }

  async #hasHead(at: string): Promise<boolean> {
    const directory = await this.#sides.tree.directory(at === "" ? [] : at.split("/"));
    return (await directory?.names() ?? []).some((name) => isHead(decodeOsString(name)));
  }
}

/** Of names that another copy on its way here may have. */
const STAGED = "copies that sbx makes here have such names";

/** Bits of a directory that its owner keeps whatever the guest says. */
export const OWNERS = 0o700;

function changeOf(
  before: ChangedFile | undefined,
  after: ChangedFile,
): ChangeKind | undefined {
  if (before === undefined) return "added";
  if (before.kind !== after.kind) return "type";
  switch (after.kind) {
    case "file":
      if (before.size !== after.size || before.sha256 !== after.sha256) return "modified";
      return before.sha256 === undefined ? "modified" : modeChange(before, after);
    case "symlink":
      return before.target === after.target ? undefined : "modified";
    case "directory":
      // As much as is taken over of it: its owner must be able to change what is in it.
      return before.mode === (after.mode | OWNERS) ? undefined : modeChange(before, after);
    case "other":
      return undefined;
  }
}

function modeChange(before: ChangedFile, after: ChangedFile): "mode" | undefined {
  return before.mode === after.mode ? undefined : "mode";
}

const KINDS: Readonly<Record<Exclude<Reported["type"], "gone">, FileKind>> = {
  file: "file",
  directory: "directory",
  symlink: "symlink",
  other: "other",
};

function fileThere({ type, mode, size, sha256, target }: Reported): ChangedFile {
  return {
    kind: type === "gone" ? "other" : KINDS[type],
    mode,
    size,
    ...(sha256 === undefined ? {} : { sha256 }),
    ...(target === undefined ? {} : { target }),
  };
}

/** Undefined for what is no file that can be read. */
async function digestOf(
  opening: ReturnType<OpenTree["top"]["read"]>,
  signal: AbortSignal | undefined,
): Promise<string | undefined> {
  try {
    const file = await opening;
    try {
      if (!(await file.stat()).isFile()) return undefined;
      const hash = createHash("sha256");
      const room = Buffer.alloc(256 * 1024);
      for (;;) {
        signal?.throwIfAborted();
        const { bytesRead } = await file.read(room, 0, room.length, null);
        if (bytesRead === 0) return hash.digest("hex");
        hash.update(room.subarray(0, bytesRead));
      }
    } finally {
      await file.close();
    }
  } catch (error) {
    if (systemCode(error) === undefined) throw error;
    return undefined;
  }
}

/** As {@link folded}, in the directory as it is called. */
function foldedName(path: string): string {
  const above = parentOf(path);
  return `${above}/${folded(path.slice(above === "" ? 0 : above.length + 1))}`;
}
