/**
 * Looks into a tree that is to be a guest's root, as the guest will see it: a link of the tree leads to a
 * place in the tree, never to one of this machine, and above its top is its top (chroot(2)).
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { readlink } from "node:fs/promises";
import { join } from "node:path";
import { systemCode } from "../base/file_error.ts";
import { ELF_HEAD, type TreeFindings } from "../guest/root/system_tree.ts";
import {
  CACERTS,
  JAVA_HOMES,
  type JavaStore,
  OPENSSL,
  trustStores,
} from "../guest/root/trust_stores.ts";
import { OpenDirectory } from "./open_directory.ts";

/** Rejects with the system's error when the tree itself cannot be opened. */
export async function lookAtTree(tree: string): Promise<TreeFindings> {
  const shell = await lookUp(tree, "/bin/sh", "follow", headOf);
  const openssl = await lookUp(tree, OPENSSL, "follow", () => true);
  const stores = trustStores(openssl ?? false, await javaStores(tree));
  return { trustStores: stores, ...(shell === null ? {} : { shell }) };
}

/** A tree with more is no system's, and each of them is looked at. */
const MOST_HOMES = 100;

async function javaStores(tree: string): Promise<JavaStore[]> {
  const found: JavaStore[] = [];
  for (const parent of JAVA_HOMES) {
    const names = await lookUp(tree, parent, "follow", namesOf) ?? [];
    for (const name of names.slice(0, MOST_HOMES)) {
      const path = join(parent, name.toString(), CACERTS);
      const kind = await lookUp(tree, path, "stay", ({ isFile }) => isFile ? "file" : "other");
      if (kind !== null) found.push({ path, kind });
    }
  }
  return found;
}

/** Where a path ends. */
interface Place {
  readonly directory: OpenDirectory;
  /** Absent: the directory itself. */
  readonly name?: Buffer;
  readonly isFile: boolean;
}

async function headOf({ directory, name, isFile }: Place): Promise<Uint8Array> {
  if (name === undefined || !isFile) return new Uint8Array();
  const file = await directory.read(name);
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(ELF_HEAD), 0, ELF_HEAD, 0);
    return new Uint8Array(buffer.subarray(0, bytesRead));
  } finally {
    await file.close();
  }
}

async function namesOf({ directory, name }: Place): Promise<Buffer[]> {
  return name === undefined ? await directory.names() : [];
}

/** As many as the kernel follows. */
const MAX_LINKS = 40;

/** What would stand in the way of the guest as well: nothing is there for either. */
const NOTHING: readonly unknown[] = ["ENOENT", "ENOTDIR", "ELOOP", "EACCES", "ENAMETOOLONG"];

/** Null where the path leads nowhere. `atEnd`: whether a link there is followed as well. */
async function lookUp<T>(
  tree: string,
  path: string,
  atEnd: "follow" | "stay",
  use: (place: Place) => T | Promise<T>,
): Promise<T | null> {
  const top = await OpenDirectory.open(tree);
  const below: OpenDirectory[] = [];
  const leave = async () => await below.pop()?.close();
  try {
    let links = 0;
    const rest = partsOf(Buffer.from(path));
    for (let name = rest.shift(); name !== undefined; name = rest.shift()) {
      const directory = below.at(-1) ?? top;
      const text = name.toString("latin1");
      if (text === "" || text === ".") continue;
      if (text === "..") {
        await leave();
        continue;
      }
      const status = await directory.find(name);
      if (status === null) return null;
      if (status.isDirectory()) {
        below.push(await directory.enter(name));
        continue;
      }
      if (status.isSymbolicLink() && (rest.length > 0 || atEnd === "follow")) {
        if (++links > MAX_LINKS) return null;
        const target = await readlink(directory.at(name), { encoding: "buffer" });
        if (target[0] === SLASH) { while (below.length > 0) await leave(); }
        rest.unshift(...partsOf(target));
        continue;
      }
      return rest.length > 0 ? null : await use({ directory, name, isFile: status.isFile() });
    }
    return await use({ directory: below.at(-1) ?? top, isFile: false });
  } catch (error) {
    if (NOTHING.includes(systemCode(error))) return null;
    throw error;
  } finally {
    while (below.length > 0) await leave();
    await top.close();
  }
}

const SLASH = 0x2f;

/** In bytes: a name need not be text. */
function partsOf(path: Buffer): Buffer[] {
  return path.toString("latin1").split("/").map((part) => Buffer.from(part, "latin1"));
}
