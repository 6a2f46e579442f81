/**
 * Which changes are meant, and which of those are taken over.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { posix } from "node:path";
import { SbxError } from "../../base/errors.ts";
import { escapeText } from "../../base/escape.ts";
import { directoriesAbove, parentOf } from "./above.ts";
import type { ApplyChangesOptions, Change, HeldReason } from "./change.ts";
import type { FoundChange } from "./compare.ts";
import { executedBy, isOnlyAbove } from "./executed.ts";
import type { Reason } from "./held_back.ts";
import { inTurns } from "./in_turns.ts";

/** Paths as somebody named them, without what means nothing. @throws SbxError USAGE */
export function namedPaths(paths: readonly string[] | undefined): readonly string[] {
  return (paths ?? []).map((path) => {
    const plain = posix.normalize(path).replace(/(.)\/$/, "$1");
    if (path === "" || plain === ".." || plain.startsWith("../") || path.includes("\0")) {
      throw new SbxError("USAGE", `Cannot look for changes of ${escapeText(path)}: no such path`, {
        hint: "name a path of the guest, or one below the directory that was copied",
      });
    }
    return plain;
  });
}

/** Those at or below the paths, in their order, and the directories that those need to be in. */
export function meantOf(
  changes: readonly FoundChange[],
  paths: readonly string[],
): readonly FoundChange[] {
  return withParents(changes, changes.filter((change) => isMeant(change, paths)));
}

/** Whether the change is at or below one of the paths. */
export function isMeant(change: Change, paths: readonly string[]): boolean {
  return paths.length === 0 || paths.some((path) => isNamed(change, path));
}

function isNamed({ path, guestPath }: Change, named: string): boolean {
  if (named === "." || named === "/") return true;
  const own = named.startsWith("/") ? guestPath : path;
  return own === named || own.startsWith(`${named}/`);
}

/** What is taken over, and what is not. */
export interface Choice {
  readonly chosen: readonly FoundChange[];
  readonly held: readonly FoundChange[];
}

/** Of all that there are. */
export function choose(
  changes: readonly FoundChange[],
  options: Pick<ApplyChangesOptions, "force" | "includeUnsafe">,
  paths: readonly string[],
): Choice {
  const meant = meantOf(changes, paths);
  const left = new Map<FoundChange, Reason>();
  for (const change of meant) {
    const reason = reasonLeft(change, options, paths);
    if (reason !== undefined) left.set(change, reason);
  }
  const held = withDependents(meant, left);
  return {
    chosen: meant.filter((change) => !held.has(change)),
    held: meant.flatMap((change) => {
      const reason = held.get(change);
      return reason === undefined ? [] : [{ ...change, ...reason }];
    }),
  };
}

/** What is left out with why, and what cannot be done without it, for the same reason. */
function withDependents(
  changes: readonly FoundChange[],
  left: ReadonlyMap<FoundChange, Reason>,
): ReadonlyMap<FoundChange, Reason> {
  const all = new Map(left);
  const kept = new Map<string, HeldReason>();
  for (const change of changes.toReversed()) {
    const own = removesDirectory(change) ? kept.get(change.hostPath) : undefined;
    if (own !== undefined && !all.has(change)) {
      all.set(change, { held: own, why: "something in it is not taken over" });
    }
    const reason = all.get(change);
    if (reason === undefined || change.before === undefined) continue;
    for (const path of directoriesAbove(change.hostPath)) {
      if (kept.has(path)) break; // as are all above
      kept.set(path, reason.held);
    }
  }
  const missing = new Map<string, HeldReason>();
  for (const change of changes) {
    // Directories in one that is missing are new as well, and were looked at before what is in them.
    const above = missing.get(parentOf(change.hostPath));
    if (above !== undefined && !all.has(change)) {
      all.set(change, { held: above, why: "the directory that it is in is not taken over" });
    }
    const reason = all.get(change);
    if (reason !== undefined && makesDirectory(change)) missing.set(change.hostPath, reason.held);
  }
  return all;
}

function reasonLeft(
  change: FoundChange,
  { force = false, includeUnsafe = false }: Pick<ApplyChangesOptions, "force" | "includeUnsafe">,
  paths: readonly string[],
): Reason | undefined {
  const { special, conflict, unsafe } = change.against;
  if (special !== undefined) return special;
  if (conflict !== undefined && !force) return conflict;
  const isCome = isNew(change) && !isMeant(change, paths);
  return includeUnsafe || isCome || isNamedItself(change, paths) ? undefined : unsafe;
}

/** With new directories that those are in. */
function withParents(
  changes: readonly FoundChange[],
  meant: readonly FoundChange[],
): readonly FoundChange[] {
  if (meant.length === changes.length) return meant;
  const wanted = new Set(meant.map(({ hostPath }) => hostPath));
  const needed = new Set(meant.flatMap(({ hostPath }) => [...directoriesAbove(hostPath)]));
  return changes.filter((change) =>
    wanted.has(change.hostPath) || (needed.has(change.hostPath) && makesDirectory(change))
  );
}

function makesDirectory({ before, after }: Change): boolean {
  return after?.kind === "directory" && before?.kind !== "directory";
}

function removesDirectory({ before, after }: Change): boolean {
  return before?.kind === "directory" && after?.kind !== "directory";
}

/** A directory where nothing was: with what is named in it and nothing else, it is as good as that. */
function isNew({ before, after }: Change): boolean {
  return before === undefined && after?.kind === "directory";
}

/** Whether somebody named the path, or a directory above that is such a thing itself. */
function isNamedItself(change: Change, paths: readonly string[]): boolean {
  return paths.some((named) => {
    if (!isNamed(change, named)) return false;
    const own = named.startsWith("/") ? change.guestPath : change.path;
    if (own === named) return true;
    // Where the copy lies in the guest, and what that is called, says nothing of what is in it.
    const mount = own.length - change.path.length;
    const below = named.slice(mount);
    return executedBy(below) !== undefined && !isOnlyAbove(below);
  });
}

/** Stands for the changes and both of their sides. */
export async function digestOf(changes: readonly FoundChange[]): Promise<string> {
  const hash = createHash("sha256");
  for await (const { guestPath, hostPath, kind, stamp, after, held } of inTurns(changes)) {
    hash.update(`${JSON.stringify([guestPath, hostPath, kind, stamp, after, held])}\n`);
  }
  return hash.digest("hex");
}
