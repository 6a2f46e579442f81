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
import { systemCode } from "../../base/file_error.ts";
import type { FileKind } from "../../guest/files.ts";
import { isStage } from "../../host/stage.ts";
import { OpenTree } from "../../host/open_tree.ts";
import { type BaseTree, stampOf } from "./base_tree.ts";
import type { Change, ChangedFile, ChangeKind } from "./change.ts";
import { isGitOwn } from "./executed.ts";
import { type Reasons, reasonsAgainst } from "./held_back.ts";
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

/** In the order of paths. @throws what the system says of files */
export async function compare(
  reported: ReadonlyMap<string, Reported>,
  sides: Sides,
): Promise<FoundChange[]> {
  const comparison = new Comparison(reported, sides);
  for (const each of reported.values()) await comparison.visit(each);
  return comparison.changes();
}

class Comparison {
  readonly #reported: ReadonlyMap<string, Reported>;
  readonly #sides: Sides;
  readonly #found: FoundChange[] = [];
  /** Names in each directory of which all was said. */
  readonly #within = new Map<string, Set<string>>();
  readonly #repositories = new Map<string, boolean>();

  constructor(reported: ReadonlyMap<string, Reported>, sides: Sides) {
    this.#reported = reported;
    this.#sides = sides;
    for (const { path, isWhole, type } of reported.values()) {
      if (type === "directory" && isWhole) this.#within.set(path, new Set());
      this.#within.get(parentOf(path))?.add(path);
    }
  }

  changes(): FoundChange[] {
    const { mounted } = this.#sides;
    // What the guest's mounts needed to be mounted on is nobody's change.
    return this.#found.filter(({ path, kind, after }) =>
      kind !== "added" || after?.kind !== "directory" ||
      !mounted.some((at) => at.startsWith(`${path}/`)) ||
      this.#found.some((other) => other.path.startsWith(`${path}/`))
    ).toSorted((a, b) => a.path < b.path ? -1 : 1);
  }

  async visit(each: Reported): Promise<void> {
    const { path } = each;
    if (this.#sides.mounted.some((at) => path === at || path.startsWith(`${at}/`))) return;
    if (path.split("/").some((step) => isStage(Buffer.from(step)))) return;
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

  /** All of it, whatever it is. */
  async #deleted(path: string, here: BigIntStats): Promise<void> {
    if (here.isDirectory()) await this.#deletedBelow(path);
    const before = await this.#fileHere(path, here);
    await this.#add({ path, kind: "deleted", here, before, after: undefined });
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

  async #add({ path, kind, here, before, after }: {
    readonly path: string;
    readonly kind: ChangeKind;
    readonly here: BigIntStats | null;
    readonly before: ChangedFile | undefined;
    readonly after: ChangedFile | undefined;
  }): Promise<void> {
    const { base, host, guest } = this.#sides;
    const stamp = here === null ? undefined : stampOf(here);
    const known = base.get(path);
    const repositories = isGitOwn(path) ? await this.#repositoriesAbove(path) : new Set<string>();
    const change: Change = {
      path,
      guestPath: posix.join(guest, path),
      hostPath: posix.join(host, path),
      kind,
      ...(before === undefined ? {} : { before }),
      ...(after === undefined ? {} : { after }),
    };
    const against = reasonsAgainst(change, {
      isConflict: stamp !== known,
      isGiven: known !== undefined,
      isRepository: (at) => repositories.has(at),
    });
    const reason = against.special ?? against.conflict ?? against.unsafe;
    this.#found.push({ ...change, ...reason, stamp, against });
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
    const sha256 = place === null ? undefined : await digestOf(place.directory.read(place.name));
    return { kind: "file", mode, size, ...(sha256 === undefined ? {} : { sha256 }) };
  }

  /** Directories above that are repositories' own, here or with what the guest adds. */
  async #repositoriesAbove(path: string): Promise<ReadonlySet<string>> {
    const steps = path.split("/");
    const found = new Set<string>();
    for (let depth = 1; depth < steps.length; depth++) {
      const at = steps.slice(0, depth).join("/");
      let isOne = this.#repositories.get(at);
      if (isOne === undefined) {
        const head = `${at}/HEAD`;
        const added = this.#reported.get(head);
        isOne = (added !== undefined && added.type !== "gone") ||
          await this.#sides.tree.find(head) !== null;
        this.#repositories.set(at, isOne);
      }
      if (isOne) found.add(at);
    }
    return found;
  }
}

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
      return modeChange(before, after);
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
async function digestOf(opening: ReturnType<OpenTree["top"]["read"]>): Promise<string | undefined> {
  try {
    const file = await opening;
    try {
      if (!(await file.stat()).isFile()) return undefined;
      const hash = createHash("sha256");
      const room = Buffer.alloc(256 * 1024);
      for (;;) {
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

function parentOf(path: string): string {
  return path.slice(0, Math.max(0, path.lastIndexOf("/")));
}
