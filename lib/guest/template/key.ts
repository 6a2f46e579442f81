/**
 * What a template depends on, as the name that it is kept under: where anything of it is another, it is
 * another template. Pure, but for the look at the files.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { realpath, stat } from "node:fs/promises";
import type { TarEntry } from "../root/tar.ts";
import { digestOf } from "./own_file.ts";

/** To be raised when what is kept, or how it is gone on from, changes. */
const FORMAT = 2;

export interface Ingredients {
  /** The sbx that makes it. */
  readonly build: string;
  /** Of the machine, without what differs from run to run. */
  readonly argv: readonly string[];
  /** Files that the machine is made of: QEMU, the kernel and the first file system. */
  readonly files: readonly string[];
  /** Whom QEMU runs as. */
  readonly user: number;
  /** The processor's own kind, where the guest sees it. */
  readonly processor: string;
  /** What its root was prepared with, or what was loaded where it has none yet. */
  readonly preparation: unknown;
  readonly entries: readonly TarEntry[];
}

export async function templateKey(
  { files, entries, ...plain }: Ingredients,
): Promise<string> {
  const identities = await Promise.all(files.map(async (path) => {
    const real = await realpath(path);
    const { dev, ino, size, mtimeNs, ctimeNs } = await stat(real, { bigint: true });
    return [real, ...[dev, ino, size, mtimeNs, ctimeNs].map(String)];
  }));
  return digestOf(JSON.stringify([FORMAT, plain, identities, entriesDigest(entries)]));
}

function entriesDigest(entries: readonly TarEntry[]): string {
  const hash = createHash("sha256");
  const none = new Uint8Array();
  hash.update(JSON.stringify(
    entries.map(({ data = none, ...plain }) => ({ ...plain, length: data.length })),
  ));
  for (const { data = none } of entries) hash.update(data);
  return hash.digest("hex");
}
