/**
 * Mounts as the user wrote them, turned into what the guest machine takes: absolute directories
 * that exist.
 *
 * @module
 */
import { lstat, realpath, stat } from "node:fs/promises";
import { homedir } from "node:os";
import { posix, resolve } from "node:path";
import process from "node:process";
import { type ErrorCode, SbxError } from "../base/errors.ts";
import { escapeText } from "../base/escape.ts";
import { fileError } from "../base/file_error.ts";
import { expandHome } from "../host/paths.ts";
import { placesOnTheWay } from "./directory_tree.ts";
import type { Mount } from "./options.ts";

/** The kernel's own file systems: a mount over them would break the guest, not serve it. */
const RESERVED = ["/proc", "/sys", "/dev"];

/** Where the guest's own programs and settings lie: a mount there hides them, and nothing starts. */
const SYSTEM = ["/usr", "/bin", "/sbin", "/lib", "/lib64", "/etc", "/run"];

/** A mount whose source was looked at, and is not written to when it is `readOnly`. */
export interface FoundMount extends Mount {
  /** The source is a single file. */
  readonly file?: true;
}

/**
 * Resolves `~`, relative and symbolic paths.
 *
 * @throws SbxError when a source is missing, or nothing that can be mounted as it was asked for
 */
export async function resolveMounts(mounts: readonly Mount[]): Promise<FoundMount[]> {
  const resolved = await Promise.all(mounts.map(resolveMount));
  for (const [index, { guest }] of resolved.entries()) {
    if (resolved.findIndex((other) => other.guest === guest) < index) {
      throw new SbxError(
        "USAGE",
        `Cannot mount twice at ${escapeText(guest)}: one hides the other`,
      );
    }
  }
  return resolved;
}

async function resolveMount({ host, guest, readOnly, as }: Mount): Promise<FoundMount> {
  const target = posix.normalize(guest).replace(/(.)\/$/, "$1");
  if (target === "/" || RESERVED.some((path) => target === path || target.startsWith(`${path}/`))) {
    throw new SbxError(
      "USAGE",
      `Cannot mount ${escapeText(host)} at ${
        escapeText(target)
      }: the guest needs that place itself`,
    );
  }
  if (SYSTEM.includes(target)) {
    throw new SbxError(
      "USAGE",
      `Cannot mount ${escapeText(host)} at ${target}: it would hide the guest's own`,
      { hint: `mount it below, like ${target}/local, or elsewhere, like /work` },
    );
  }
  const source = await realpath(resolve(mountSource(host))).catch((cause) => {
    throw fileError(
      "mount",
      host,
      cause,
      "the part before the colon is a directory or file of this machine",
    );
  });
  const found = await stat(source);
  if (found.isDirectory()) {
    // Of a copy, what is on this machine is only read.
    return {
      host: source,
      guest: target,
      readOnly: readOnly || as === "copy",
      ...(as === undefined ? {} : { as }),
    };
  }
  const refuse = (code: ErrorCode, state: string, hint: string) =>
    new SbxError(code, `Cannot mount ${escapeText(host)}: ${state}`, { hint });
  if (!found.isFile()) {
    const hint = "mount the directory that holds it";
    throw refuse("FILE_UNREADABLE", "neither a directory nor a regular file", hint);
  }
  if (!readOnly) {
    const hint = "mount it with :ro, or the directory that holds it";
    throw refuse("USAGE", "a single file can only be mounted read-only", hint);
  }
  return { host: source, guest: target, readOnly, file: true };
}

/**
 * What to tell of mounts whose source is somewhere else than it says. In a directory that a guest once
 * could write to, a link can be the guest's.
 */
export async function linkNotices(
  given: readonly Mount[],
  resolved: readonly Mount[],
): Promise<string[]> {
  const notices = await Promise.all(given.map(async ({ host }, index) => {
    const links = (await placesOnTheWay(mountSource(host))).slice(0, -1);
    const own = await Promise.all(links.map(async (link) => {
      return (await lstat(link)).uid === process.geteuid?.();
    }));
    const source = resolved[index]?.host ?? host;
    return own.includes(true)
      ? [`a link leads from ${escapeText(host)} to ${escapeText(source)}, which the guest gets`]
      : [];
  }));
  return notices.flat();
}

/** The home directory by itself can be mounted, too. */
function mountSource(path: string): string {
  return path === "~" ? homedir() : expandHome(path);
}
