/**
 * A directory beside the place that a copy is for, in which it is put together. When it is whole, one
 * rename or, into directories that are there, one for each file moves it into place. A copy that fails
 * leaves nothing; one whose process is killed leaves a directory `.sbx-copy-…` that may be removed.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { randomBytes } from "node:crypto";
import { mkdirSync } from "node:fs"; // Deno's promise of it takes no bytes for a path
import { rename, rmdir, unlink } from "node:fs/promises";
import { OpenDirectory } from "./open_directory.ts";

/** The name of the tree in its stage. */
export const TREE: Buffer = Buffer.from("tree");

/** Nobody copies these: a tree could otherwise be copied to below itself without an end. */
const PREFIX = Buffer.from(".sbx-copy-");

/** Whether the name is that of a copy under way. */
export function isStage(name: Buffer): boolean {
  return name.subarray(0, PREFIX.length).equals(PREFIX);
}

/** A name for what is not whole yet. */
export function nameOfStage(unique: string): Buffer {
  return Buffer.concat([PREFIX, Buffer.from(unique)]);
}

/** Has `use` work in an empty directory in `beside`, of which nothing is left afterwards. */
export async function withStage<T>(
  beside: OpenDirectory,
  use: (stage: OpenDirectory) => Promise<T>,
): Promise<T> {
  const name = nameOfStage(randomBytes(6).toString("hex"));
  mkdirSync(beside.at(name), 0o700);
  try {
    const stage = await beside.enter(name);
    return await use(stage).finally(() => stage.close());
  } finally {
    await removeTree(beside, name).catch(() => {}); // what is left is named so that it can be told
  }
}

/** A kind of file in the way of another kind. `path` has the names below the target. */
export class InTheWay extends Error {
  /** What is there: false for anything but a directory. */
  readonly isDirectory: boolean;
  readonly path: readonly Buffer[];

  constructor(isDirectory: boolean, path: readonly Buffer[]) {
    super("another kind of file is there");
    this.isDirectory = isDirectory;
    this.path = path;
  }
}

/** Where a tree belongs: with a name in a directory, or, without one, merged with the directory itself. */
export interface Place {
  readonly directory: OpenDirectory;
  readonly name?: Buffer;
}

/**
 * Has `fill` make a tree in an empty directory in `beside`, and moves it to its place.
 *
 * @throws InTheWay before anything is moved, whatever `fill` throws, what the system says of files
 */
export async function throughStage<T>(
  beside: OpenDirectory,
  place: Place,
  fill: (stage: OpenDirectory) => Promise<T>,
): Promise<T> {
  return await withStage(beside, async (stage) => {
    const result = await fill(stage);
    await refuseInTheWay(stage, TREE, place, []);
    await move(stage, TREE, place, []);
    return result;
  });
}

/** Looks for what cannot be merged. */
async function refuseInTheWay(
  from: OpenDirectory,
  name: Buffer,
  to: Place,
  path: readonly Buffer[],
): Promise<void> {
  await merging(from, name, to, path, async (here, there, inside) => {
    await refuseInTheWay(here, inside, { directory: there, name: inside }, [...path, inside]);
  });
}

async function move(
  from: OpenDirectory,
  name: Buffer,
  to: Place,
  path: readonly Buffer[],
): Promise<void> {
  const merged = await merging(from, name, to, path, async (here, there, inside) => {
    await move(here, inside, { directory: there, name: inside }, [...path, inside]);
  });
  if (merged || to.name === undefined) return;
  await rename(from.at(name), to.directory.at(to.name));
}

/** Visits each name of a directory that meets another one; false when it does not. */
async function merging(
  from: OpenDirectory,
  name: Buffer,
  to: Place,
  path: readonly Buffer[],
  visit: (here: OpenDirectory, there: OpenDirectory, name: Buffer) => Promise<void>,
): Promise<boolean> {
  const here = await from.find(name);
  const found = to.name === undefined ? null : await to.directory.find(to.name);
  if (here === null || (found === null && to.name !== undefined)) return false;
  const isThere = found?.isDirectory() ?? true;
  if (here.isDirectory() !== isThere) throw new InTheWay(isThere, path);
  if (!isThere) return false;
  const own = await from.enter(name);
  try {
    const other = to.name === undefined ? to.directory : await to.directory.enter(to.name);
    try {
      for (const inside of await own.names()) await visit(own, other, inside);
    } finally {
      if (other !== to.directory) await other.close();
    }
  } finally {
    await own.close();
  }
  return true;
}

async function removeTree(directory: OpenDirectory, name: Buffer): Promise<void> {
  const found = await directory.find(name);
  if (found === null) return;
  if (!found.isDirectory()) return await unlink(directory.at(name));
  const inside = await directory.enter(name);
  try {
    for (const each of await inside.names()) await removeTree(inside, each);
  } finally {
    await inside.close();
  }
  await rmdir(directory.at(name));
}
