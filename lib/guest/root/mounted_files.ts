/**
 * Single files of the host in the guest. A machine shares directories only, and to share a file's directory
 * would show its neighbours; so the guest gets a copy, made before it boots, that it cannot change.
 *
 * @module
 */
import type { Buffer } from "node:buffer";
import { constants } from "node:fs";
import { open } from "node:fs/promises";
import { SbxError } from "../../base/errors.ts";
import { escapeText } from "../../base/escape.ts";
import { fileError } from "../../base/file_error.ts";
import type { TarEntry } from "./tar.ts";

/** The copy lies in the guest's memory. */
const MAX_MOUNTED_FILE = 64 * 1024 * 1024;

/** Absolute paths, that of the host without links. */
export interface SingleFile {
  readonly host: string;
  readonly guest: string;
}

/** A copy, and where the guest is to have it. */
export interface MountedFile {
  readonly entry: TarEntry;
  readonly at: string;
}

/** @throws SbxError FILE_UNREADABLE for a file that cannot be read, is none any more, or is too large */
export async function mountedFiles(mounts: readonly SingleFile[]): Promise<MountedFile[]> {
  return await Promise.all(mounts.map(async ({ host, guest }, index) => {
    const { data, mode } = await contentOf(host);
    // Nobody writes to it; whether it can be executed is the file's own.
    return { entry: { path: `/run/sbx/file${index}`, data, mode: mode & 0o555 }, at: guest };
  }));
}

async function contentOf(path: string): Promise<{ data: Buffer; mode: number }> {
  const refused = (state: string, hint: string) =>
    new SbxError("FILE_UNREADABLE", `Cannot mount ${escapeText(path)}: ${state}`, { hint });
  const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = constants;
  // What the user named was looked at before: a link that has taken its place since is not meant.
  const file = await open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK).catch((cause) => {
    throw fileError("mount", path, cause);
  });
  try {
    const info = await file.stat();
    const hint = "mount the directory that holds it";
    if (!info.isFile()) throw refused("neither a directory nor a regular file", hint);
    if (info.size > MAX_MOUNTED_FILE) {
      throw refused("a file that is mounted by itself may have 64 MiB", hint);
    }
    return { data: await file.readFile(), mode: info.mode };
  } finally {
    await file.close();
  }
}
