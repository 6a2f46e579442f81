/**
 * Archives whose bytes depend on nothing but the files in them.
 *
 * @module
 */
import { execFileSync } from "node:child_process";
import { chmodSync, globSync, lstatSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { gzipSync } from "node:zlib";

/** `.tar.gz` of one directory, by its name; files have the given time, belong to root, and are 644 or 755. */
export function archive(directory: string, out: string, time: number): void {
  const [above, name] = [join(directory, ".."), directory.slice(directory.lastIndexOf("/") + 1)];
  normalise(directory);
  const tar = `${out}.tar`;
  execFileSync("tar", [
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
  writeFileSync(out, compressed(readFileSync(tar)));
  rmSync(tar);
}

/** gzip without a name and a time in its head. */
export function compressed(bytes: Uint8Array): Uint8Array {
  return gzipSync(bytes, { level: 9 });
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
