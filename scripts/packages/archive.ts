/**
 * Archives whose bytes depend on nothing but the files in them.
 *
 * @module
 */
import { execFile } from "node:child_process";
import { chmodSync, globSync, lstatSync } from "node:fs";
import { readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { promisify } from "node:util";
import { gzip, gzipSync } from "node:zlib";
import type { Target } from "../binary/target.ts";

const GZIP = { level: 9 };

/** Of a binary for x64, whose jumps it first makes absolute. The filter for arm64 is known to xz since 5.4 only. */
const XZ_OF_X64 = ["--x86", "--lzma2=preset=6"];
const XZ = ["-6"];

const command = promisify(execFile);

/**
 * A tar archive of one directory, by its name, compressed as each name in `outs` ends; files have the given time,
 * belong to root, and are 644 or 755. Most of it is code for `machine`, if any. Others can work meanwhile.
 */
export async function archive(
  directory: string,
  outs: readonly string[],
  time: number,
  machine?: Target["machine"],
): Promise<void> {
  const [above, name] = [join(directory, ".."), directory.slice(directory.lastIndexOf("/") + 1)];
  normalise(directory);
  const tar = `${directory}.tar`;
  await command("tar", [
    "--create",
    `--file=${tar}`,
    "--format=ustar",
    "--sort=name",
    `--mtime=@${time}`,
    "--owner=0",
    "--group=0",
    "--numeric-owner",
    name,
  ], { cwd: above, env: { ...process.env, LC_ALL: "C" } });
  const xz = machine === "x64" ? XZ_OF_X64 : XZ;
  await Promise.all(outs.map((out) => out.endsWith(".xz") ? byXz(tar, out, xz) : byGzip(tar, out)));
  await rm(tar);
}

async function byGzip(tar: string, out: string): Promise<void> {
  await writeFile(out, await promisify(gzip)(await readFile(tar), GZIP));
}

async function byXz(tar: string, out: string, how: readonly string[]): Promise<void> {
  // What several threads compress depends on how many they are; what somebody prefers stands in XZ_OPT.
  const { XZ_OPT: _, XZ_DEFAULTS: __, ...env } = process.env;
  await command("xz", ["--keep", "--force", "--threads=1", ...how, tar], { env });
  await rename(`${tar}.xz`, out);
}

/** A small file by gzip, without a name and a time in its head. */
export function compressed(bytes: Uint8Array): Uint8Array {
  return gzipSync(bytes, GZIP);
}

/** Takes the umask of whoever builds out of the modes. */
export function normalise(directory: string): void {
  for (const path of [".", ...globSync("**", { cwd: directory })]) {
    const file = join(directory, path);
    const stat = lstatSync(file);
    if (!stat.isDirectory() && !stat.isFile()) throw new Error(`Cannot archive ${file}: no file`);
    const isOpen = stat.isDirectory() || (stat.mode & 0o100) !== 0;
    chmodSync(file, isOpen ? 0o755 : 0o644);
  }
}
