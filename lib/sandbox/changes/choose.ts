/**
 * Which changes are meant, and which of those are taken over. Pure.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { posix } from "node:path";
import { SbxError } from "../../base/errors.ts";
import { escapeText } from "../../base/escape.ts";
import type { ApplyChangesOptions, Change } from "./change.ts";
import type { FoundChange } from "./compare.ts";
import { executedBy } from "./executed.ts";
import type { Reason } from "./held_back.ts";

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

/** Of all that there are. A directory that what is meant needs to be in comes along. */
export function choose(
  changes: readonly FoundChange[],
  options: Pick<ApplyChangesOptions, "force" | "includeUnsafe">,
  paths: readonly string[],
): Choice {
  const meant = withParents(changes, changes.filter((change) => isMeant(change, paths)));
  const held = new Map<FoundChange, Reason>();
  for (const change of meant) {
    const reason = reasonLeft(change, options, paths);
    if (reason !== undefined) held.set(change, reason);
  }
  const below = { held: "conflict", why: "something in it is not taken over" } as const;
  for (const change of dependents(meant.toReversed(), (each) => held.has(each), "above")) {
    held.set(change, below);
  }
  const above = { held: "conflict", why: "the directory that it is in is not taken over" } as const;
  for (const change of dependents(meant, (each) => held.has(each), "below")) {
    held.set(change, above);
  }
  return {
    chosen: meant.filter((change) => !held.has(change)),
    held: meant.flatMap((change) => {
      const reason = held.get(change);
      return reason === undefined ? [] : [{ ...change, ...reason }];
    }),
  };
}

function reasonLeft(
  change: FoundChange,
  { force = false, includeUnsafe = false }: Pick<ApplyChangesOptions, "force" | "includeUnsafe">,
  paths: readonly string[],
): Reason | undefined {
  const { special, conflict, unsafe } = change.against;
  if (special !== undefined) return special;
  if (conflict !== undefined && !force) return conflict;
  return includeUnsafe || isNamedItself(change, paths) ? undefined : unsafe;
}

/** With new directories that those are in. */
function withParents(
  changes: readonly FoundChange[],
  meant: readonly FoundChange[],
): readonly FoundChange[] {
  if (meant.length === changes.length) return meant;
  const wanted = new Set(meant.map(({ hostPath }) => hostPath));
  const needed = new Set(meant.flatMap(({ hostPath }) => directoriesAbove(hostPath)));
  return changes.filter((change) =>
    wanted.has(change.hostPath) || (needed.has(change.hostPath) && makesDirectory(change))
  );
}

/** What cannot be done without another change: to remove what keeps something, to be where nothing is. */
function* dependents(
  ordered: readonly FoundChange[],
  isHeld: (change: FoundChange) => boolean,
  which: "above" | "below",
): Generator<FoundChange, void> {
  const kept = new Set<string>();
  for (const change of ordered) {
    const { hostPath } = change;
    const removesDirectory = change.before?.kind === "directory" &&
      change.after?.kind !== "directory";
    const depends = which === "above"
      ? removesDirectory && kept.has(hostPath)
      : directoriesAbove(hostPath).some((path) => kept.has(path));
    const stays = isHeld(change) || depends;
    if (depends && !isHeld(change)) yield change;
    if (!stays) continue;
    if (which === "below") { if (makesDirectory(change)) kept.add(hostPath); }
    else if (change.before !== undefined) {
      for (const path of directoriesAbove(hostPath)) kept.add(path);
    }
  }
}

function makesDirectory({ before, after }: Change): boolean {
  return after?.kind === "directory" && before?.kind !== "directory";
}

function directoriesAbove(path: string): string[] {
  const above: string[] = [];
  for (let at = posix.dirname(path); at.length > 1; at = posix.dirname(at)) above.push(at);
  return above;
}

/** Whether somebody named the path, or a directory above that is such a thing itself. */
function isNamedItself(change: Change, paths: readonly string[]): boolean {
  return paths.some((named) => {
    if (!isNamed(change, named)) return false;
    const own = named.startsWith("/") ? change.guestPath : change.path;
    return own === named || executedBy(named) !== undefined;
  });
}

/** Stands for the changes and both of their sides. */
export function digestOf(changes: readonly FoundChange[]): string {
  const hash = createHash("sha256");
  for (const { guestPath, hostPath, kind, stamp, after, held } of changes) {
    hash.update(`${JSON.stringify([guestPath, hostPath, kind, stamp, after, held])}\n`);
  }
  return hash.digest("hex");
}
