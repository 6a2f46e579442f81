/**
 * The root that a sandbox's options ask for: this machine's own system, or a directory tree with another.
 *
 * @module
 */
import { realpath, stat } from "node:fs/promises";
import { resolve } from "node:path";
import { systemWords } from "../base/file_error.ts";
import type { Root } from "../guest/root/root.ts";
import { systemTree, unusable } from "../guest/root/system_tree.ts";
import { guestArchitecture } from "../host/guest_provider.ts";
import { ownRoot } from "../host/own_root.ts";
import { expandHome } from "../host/paths.ts";
import { lookAtTree } from "../host/tree_look.ts";

/** @throws SbxError REQUIREMENT_MISSING as `ownRoot`; FILE_UNREADABLE for a directory that cannot be read, or is no system's */
export async function guestRoot(tree: string | undefined): Promise<Root> {
  if (tree === undefined) return ownRoot();
  const cannot = (cause: unknown) =>
    unusable(tree, systemWords(cause), "name a directory with a system's tree in it");
  const path = await realpath(resolve(expandHome(tree))).catch((cause) => {
    throw cannot(cause);
  });
  if (path === "/") {
    throw unusable(
      path,
      "it holds all files of this machine",
      "without --root, a guest has its system",
    );
  }
  if (!(await stat(path)).isDirectory()) {
    const hint = "unpack an archive into a directory first, as root: 'tar -xpf FILE -C DIR'";
    throw unusable(path, "it is not a directory", hint);
  }
  const findings = await lookAtTree(path).catch((cause) => {
    throw cannot(cause);
  });
  return systemTree(path, findings, guestArchitecture());
}
