/**
 * Which entries of a root can be put into the layer over a share before the share is there: in a layer
 * the directories above them are made anew, and would hide what the share has in their place, and their
 * owners and modes.
 *
 * @module
 */
import { lstatSync } from "node:fs";
import { dirname, join } from "node:path";
import { systemCode } from "../../base/file_error.ts";
import type { RootShare } from "./root.ts";

/** As a directory is made in the layer. */
const DIRECTORY_MODE = 0o755;

/** True for what is below no share, or below directories of one that are as they would be made anew. */
export function fitsLayer(path: string, shares: readonly RootShare[]): boolean {
  const share = shares.filter(({ at }) => path.startsWith(below(at)))
    .reduce<RootShare | undefined>(
      (inner, each) => inner === undefined || each.at.length > inner.at.length ? each : inner,
      undefined,
    );
  if (share === undefined) return true;
  let directory = share.path;
  for (const name of dirname(path.slice(below(share.at).length)).split("/")) {
    if (name === ".") break;
    directory = join(directory, name);
    const kind = kindOf(directory);
    if (kind !== "plain") return kind === "none";
  }
  return true;
}

function below(at: string): string {
  return at.endsWith("/") ? at : `${at}/`;
}

function kindOf(path: string): "plain" | "other" | "none" {
  try {
    const status = lstatSync(path);
    const isPlain = status.isDirectory() && (status.mode & 0o7777) === DIRECTORY_MODE &&
      status.uid === 0 && status.gid === 0;
    return isPlain ? "plain" : "other";
  } catch (error) {
    return systemCode(error) === "ENOENT" ? "none" : "other";
  }
}
