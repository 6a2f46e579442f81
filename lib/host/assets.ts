/**
 * The files sbx carries: netstack, the kernel and first file system of the guest, and the notices of
 * all of these. In the compiled binary they are embedded and, where a path is needed, unpacked once
 * into the user's cache; from a checkout they are in vendor/bin.
 *
 * @module
 */
import { randomBytes } from "node:crypto";
import { chmod, mkdir, open, readdir, readFile, rename, rm, stat } from "node:fs/promises";
import { join, resolve } from "node:path";
import process from "node:process";
import { SbxError } from "../base/errors.ts";
import { fileError, systemCode } from "../base/file_error.ts";
import { cacheDir } from "./paths.ts";

export type AssetName = "netstack" | "vmlinux" | "initramfs";

/** Builds change their files; what was unpacked longer ago than this is most likely of one that is gone. */
const KEPT_MS = 30 * 24 * 3600 * 1000;

const paths = new Map<AssetName, Promise<string>>();

/**
 * A path that holds the asset, readable by the user that QEMU runs as.
 *
 * @throws SbxError FILE_UNREADABLE when the cache cannot be written, REQUIREMENT_MISSING in a
 * checkout that is not built.
 */
export function assetPath(name: AssetName): Promise<string> {
  let path = paths.get(name);
  if (path === undefined) {
    path = locate(name);
    paths.set(name, path);
    path.catch(() => paths.delete(name));
  }
  return path;
}

/**
 * The licences of what this build carries, and where the source of the guest's kernel is.
 *
 * @throws SbxError REQUIREMENT_MISSING in a checkout that is not built.
 */
export async function notices(): Promise<string> {
  return await embedded("notices")?.text() ?? await readFile(await built("notices"), "utf8");
}

async function locate(name: AssetName): Promise<string> {
  const file = embedded(name);
  return file === undefined ? await built(name) : await unpack(name, file);
}

type EmbeddedFile = Blob & { readonly name: string };

function embedded(name: string): EmbeddedFile | undefined {
  return (Bun.embeddedFiles as readonly EmbeddedFile[])
    .find((file) => file.name.startsWith(`${name}-`));
}

/** Where a build of this checkout puts the file. */
async function built(name: string): Promise<string> {
  const path = resolve(import.meta.dirname, `../../vendor/bin/linux-${process.arch}`, name);
  if (await sizeOf(path) === null) {
    throw new SbxError("REQUIREMENT_MISSING", `Cannot use ${path}: it is missing`, {
      hint: "run 'scripts/build' first",
    });
  }
  return path;
}

/**
 * Unpacks under the embedded name, which holds a digest of the content: the files of one build never
 * serve another. The file appears by rename, so a reader sees all of it or nothing, and two first
 * runs do no harm to each other.
 */
async function unpack(
  name: AssetName,
  embedded: EmbeddedFile,
): Promise<string> {
  const dir = join(cacheDir(), "assets");
  const path = join(dir, embedded.name.replace(/\.$/, ""));
  if (await sizeOf(path) === embedded.size) return path;
  const fresh = `${path}.${randomBytes(6).toString("hex")}`;
  try {
    await mkdir(dir, { recursive: true, mode: 0o755 });
    const file = await open(fresh, "wx", name === "netstack" ? 0o755 : 0o644);
    try {
      await file.writeFile(new Uint8Array(await embedded.arrayBuffer()));
      await file.sync();
    } finally {
      await file.close();
    }
    await chmod(fresh, name === "netstack" ? 0o755 : 0o644); // whatever the umask
    await rename(fresh, path);
  } catch (cause) {
    await rm(fresh, { force: true }).catch(() => {});
    const hint = systemCode(cause) === "ENOSPC"
      ? "free some space there, or point XDG_CACHE_HOME at another directory"
      : "make that directory writable, or point XDG_CACHE_HOME at another one";
    throw fileError(`unpack ${name} into`, dir, cause, hint);
  }
  await evict(dir, Date.now() - KEPT_MS);
  return path;
}

/**
 * Removes what was unpacked before a time. A sandbox that runs holds its files open and loses nothing;
 * a build that is still in use unpacks its own again.
 */
export async function evict(dir: string, before: number): Promise<void> {
  for (const name of await readdir(dir).catch(() => [])) {
    const path = join(dir, name);
    const unpacked = await stat(path).then(({ mtimeMs }) => mtimeMs, () => before);
    if (unpacked < before) await rm(path, { force: true }).catch(() => {});
  }
}

async function sizeOf(path: string): Promise<number | null> {
  try {
    return (await stat(path)).size;
  } catch {
    return null;
  }
}
