/**
 * What a directory was when a guest got its copy: by path, what tells each file from every other that could take its
 * place. Pure.
 *
 * @module
 */
import type { BigIntStats } from "node:fs";

/** By path below the directory. */
export type BaseTree = Map<string, string>;

/**
 * Tells what is there from what was there before or comes after. The time of change cannot be set by programs, so
 * that a file which was put back or written in place differs. Of a directory, what is in it is told by itself.
 */
export function stampOf(found: BigIntStats): string {
  if (found.isDirectory()) return `d ${found.mode & 0o777n}`;
  return `${
    found.isFile() ? "f" : found.isSymbolicLink() ? "l" : "o"
  } ${found.ino} ${found.size} ` +
    `${found.mtimeNs} ${found.ctimeNs} ${found.mode & 0o7777n}`;
}

/** The directory itself, wherever its path leads later. */
export function identityOf({ dev, ino }: BigIntStats): string {
  return `${dev} ${ino}`;
}

/** What is known of the trees that a sandbox was given copies of, by where the copies are. */
export interface KeptBases {
  readonly [guest: string]: KeptBase;
}

/** Of one copy. */
export interface KeptBase {
  /** See {@link identityOf}. */
  readonly identity: string;
  readonly tree: BaseTree;
}

/**
 * What a guest was given that goes on with what it wrote in an earlier life: for what it has of its own, what was
 * known then; for all else, what is there now. What nobody knew then stays unknown.
 */
export function continued(
  now: BaseTree,
  before: BaseTree | undefined,
  isOwn: (path: string) => boolean,
): BaseTree {
  const own = [...before ?? []].filter(([path]) => isOwn(path));
  return new Map([...[...now].filter(([path]) => !isOwn(path)), ...own]);
}

/** As text that {@link parseBases} reads. */
export function formatBases(bases: KeptBases): string {
  const plain = Object.entries(bases).map(([guest, { identity, tree }]) => ({
    guest,
    identity,
    tree: [...tree].flat(),
  }));
  return `${JSON.stringify({ format: 1, bases: plain })}\n`;
}

/** Null for what was written by nobody or another sbx. */
export function parseBases(text: string | null): KeptBases | null {
  try {
    const value = JSON.parse(text ?? "");
    if (value.format !== 1) return null;
    const bases: Record<string, KeptBase> = {};
    for (const { guest, identity, tree } of value.bases) {
      bases[String(guest)] = { identity: String(identity), tree: pairs(tree) };
    }
    return bases;
  } catch {
    return null;
  }
}

function pairs(flat: readonly unknown[]): BaseTree {
  const tree: BaseTree = new Map();
  for (let at = 0; at + 1 < flat.length; at += 2) tree.set(String(flat[at]), String(flat[at + 1]));
  return tree;
}
