/**
 * Mounts as the user wrote them, turned into what the guest machine takes: absolute directories
 * that exist.
 *
 * @module
 */
import { realpath, stat } from "node:fs/promises";
import { homedir } from "node:os";
import { join, posix, resolve } from "node:path";
import { SbxError } from "../base/errors.ts";
import { fileError } from "../base/file_error.ts";
import type { Mount } from "./options.ts";

/** The kernel's own file systems: a mount over them would break the guest, not serve it. */
const RESERVED = ["/proc", "/sys", "/dev"];

/** Resolves `~`, relative and symbolic paths. @throws SbxError when a source is missing or no directory */
export async function resolveMounts(mounts: readonly Mount[]): Promise<Mount[]> {
  const resolved = await Promise.all(mounts.map(resolveMount));
  for (const [index, { guest }] of resolved.entries()) {
    if (resolved.findIndex((other) => other.guest === guest) < index) {
      throw new SbxError("USAGE", `Cannot mount twice at ${guest}: one directory hides the other`);
    }
  }
  return resolved;
}

async function resolveMount({ host, guest, readOnly }: Mount): Promise<Mount> {
  const target = posix.normalize(guest).replace(/(.)\/+$/, "$1");
  if (target === "/" || RESERVED.some((path) => target === path || target.startsWith(`${path}/`))) {
    throw new SbxError(
      "USAGE",
      `Cannot mount ${host} at ${target}: the guest needs that place itself`,
    );
  }
  const source = await realpath(resolve(expandHome(host))).catch((cause) => {
    throw fileError(
      "mount",
      host,
      cause,
      "the part before the colon is a directory of this machine",
    );
  });
  if (!(await stat(source)).isDirectory()) {
    throw new SbxError("FILE_UNREADABLE", `Cannot mount ${host}: not a directory`, {
      hint: "mount the directory that holds it",
    });
  }
  return { host: source, guest: target, readOnly };
}

function expandHome(path: string): string {
  return path === "~" || path.startsWith("~/") ? join(homedir(), path.slice(1)) : path;
}
