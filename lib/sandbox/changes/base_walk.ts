/**
 * Looks at all of a directory, to know later what has changed in it.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { lstatSync } from "node:fs";
import { setImmediate as turn } from "node:timers/promises";
import { decodeOsString } from "../../base/os_string.ts";
import { systemCode } from "../../base/file_error.ts";
import { type BaseTree, identityOf, stampOf } from "./base_tree.ts";
import { OpenDirectory } from "../../host/open_directory.ts";
import { isStage } from "../../host/stage.ts";

/** Files that are looked at before others have their turn. */
const BATCH = 500;

/** @throws what the system says of the directory itself */
export async function walkBase(
  path: string,
): Promise<{ readonly identity: string; readonly tree: BaseTree }> {
  const top = await OpenDirectory.open(path);
  const tree: BaseTree = new Map();
  try {
    const own = await top.find(Buffer.from("."));
    if (own === null) throw Object.assign(new Error("it is gone"), { code: "ENOENT" });
    await walk(top, "", tree);
    return { identity: identityOf(own), tree };
  } finally {
    await top.close();
  }
}

async function walk(directory: OpenDirectory, above: string, tree: BaseTree): Promise<void> {
  const below: [name: Buffer, path: string][] = [];
  for (const name of await directory.names()) {
    if (isStage(name)) continue;
    const found = unlessUnreadable(() =>
      lstatSync(directory.at(name), { bigint: true, throwIfNoEntry: false })
    );
    if (found === undefined) continue;
    const path = above + decodeOsString(name);
    tree.set(path, stampOf(found));
    if (found.isDirectory()) below.push([name, path]);
    if (tree.size % BATCH === 0) await turn();
  }
  for (const [name, path] of below) {
    try {
      const inside = await directory.enter(name);
      await walk(inside, `${path}/`, tree).finally(() => inside.close());
    } catch (error) {
      if (systemCode(error) === undefined) throw error;
    }
  }
}

/** What cannot be looked at stays unknown, and a conflict when the guest changes it: that is no reason not to start. */
function unlessUnreadable<T>(look: () => T): T | undefined {
  try {
    return look();
  } catch (error) {
    if (systemCode(error) === undefined) throw error;
    return undefined;
  }
}
