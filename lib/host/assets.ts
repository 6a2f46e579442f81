/**
 * The files sbx carries: netstack, Lima's driver, the kernel and first file system of the guest, what a
 * guest with a disk needs beyond them, and the notices of all of these. In the compiled binary they are
 * embedded, compressed, and where a path is needed, unpacked once into the user's cache; from a checkout they
 * are in vendor/bin.
 *
 * @module
 */
import type { Buffer } from "node:buffer";
import { randomBytes } from "node:crypto";
import { chmod, open, readdir, readFile, rename, rm, stat } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import process from "node:process";
import { promisify } from "node:util";
import { zstdDecompress } from "node:zlib";
import { SbxError } from "../base/errors.ts";
import { fileError, systemCode } from "../base/file_error.ts";
import { type Content, digestOf, isContent, isMarked, mark } from "./asset_file.ts";
import { requirePrivate } from "./private_place.ts";
import { cacheDir } from "./paths.ts";

const ASSET_NAMES = [
  "netstack",
  "lima-driver",
  "sshd",
  "vmlinux",
  "initramfs",
  "disk",
  "disk_modules",
] as const;

export type AssetName = typeof ASSET_NAMES[number];

/** Those that run on the host. */
export const PROGRAMS: ReadonlySet<string> = new Set(["netstack", "lima-driver"]);

/** Builds change their files; what was unpacked longer ago than this is most likely of one that is gone. */
const KEPT_MS = 30 * 24 * 3600 * 1000;

/** A file half unpacked for this long has lost its unpacker: it was killed, or the machine went down. */
const ABANDONED_MS = 10 * 60 * 1000;
const PARTIAL = /\.[0-9a-f]{12}$/;

/** What was embedded, by name; scripts/binary/compile.ts defines it. A checkout uses what it built. */
declare const SBX_CONTENTS:
  | Readonly<Record<AssetName, Pick<Content, "size" | "digest">>>
  | undefined;

const decompress = promisify(zstdDecompress);

const paths = new Map<AssetName, Promise<string>>();

/** What is being unpacked, each settled when it left nothing half done. */
const underway = new Set<Promise<unknown>>();

/** Once a process. */
let swept: Promise<void> | undefined;

/** Told when a file of the cache was not what it should have been. */
type Notice = (line: string) => void;

/**
 * A path that holds the asset.
 *
 * What runs on the host was compared with what was built in a moment ago. The guest's files
 * were when they last changed; {@link requireSound} does it again while the guest boots.
 *
 * @throws SbxError FILE_UNREADABLE when the cache cannot be written or is not ours, REQUIREMENT_MISSING
 * in a checkout that is not built.
 */
export function assetPath(name: AssetName, notice: Notice = () => {}): Promise<string> {
  let path = paths.get(name);
  if (path === undefined) {
    path = locate(name, notice);
    paths.set(name, path);
    path.catch(() => paths.delete(name));
  }
  return path;
}

/**
 * Reads the guest's files to their end, which takes too long to wait for before a start.
 *
 * @throws SbxError REQUIREMENT_MISSING when one is not what was built in, after removing it
 */
export async function requireSound(names: readonly AssetName[]): Promise<void> {
  for (const name of names) {
    const file = embedded(name);
    if (file === undefined) continue;
    const path = await assetPath(name);
    const digest = await digestOf(path).catch(() => "none");
    if (digest === contentOf(name).digest) continue;
    paths.delete(name);
    await rm(path, { force: true });
    throw new SbxError(
      "REQUIREMENT_MISSING",
      `Cannot trust ${path}: somebody changed it, and made it look unchanged`,
      { hint: "it was removed; run sbx again, and look who else can write there" },
    );
  }
}

function contentOf(name: AssetName): Content {
  if (typeof SBX_CONTENTS === "undefined") throw new TypeError("embedded files without digests");
  return { ...SBX_CONTENTS[name], executable: PROGRAMS.has(name) };
}

/**
 * The licences of what this build carries, and where the source of the guest's kernel is.
 *
 * @throws SbxError REQUIREMENT_MISSING in a checkout that is not built.
 */
export async function notices(): Promise<string> {
  const file = embedded("notices");
  return file === undefined ? await builtNotices() : (await contentsOf(file)).toString("utf8");
}

async function builtNotices(): Promise<string> {
  const path = await inCheckout("notices");
  if (path !== null) return await readFile(path, "utf8");
  throw unbuilt("notices");
}

async function locate(name: AssetName, notice: Notice): Promise<string> {
  const file = embedded(name);
  if (file === undefined) return await built(name);
  const unpacking = unpack(name, file, notice);
  const settled = unpacking.catch(() => {});
  underway.add(settled);
  try {
    return await unpacking;
  } catch (error) {
    // Whoever hears of this ends the process, and what another is writing would stay behind.
    await Promise.all(underway);
    throw error;
  } finally {
    underway.delete(settled);
  }
}

type EmbeddedFile = Blob & { readonly name: string };

function embedded(name: string): EmbeddedFile | undefined {
  return (Bun.embeddedFiles as readonly EmbeddedFile[])
    .find((file) => file.name.startsWith(`${name}-`));
}

async function contentsOf(file: EmbeddedFile): Promise<Buffer> {
  return await decompress(await file.arrayBuffer());
}

function unpackedName({ name }: EmbeddedFile): string {
  return name.replace(/\.zst$/, "");
}

/** What carries no files itself is a checkout. */
async function built(name: AssetName): Promise<string> {
  const path = await inCheckout(name);
  if (path !== null) return path;
  throw unbuilt(name);
}

/** Where a build of this checkout puts the file; null when there is none. */
async function inCheckout(name: string): Promise<string | null> {
  const path = buildPath(name);
  return await sizeOf(path) === null ? null : path;
}

function buildPath(name: string): string {
  const system = PROGRAMS.has(name) ? process.platform : "linux";
  return resolve(import.meta.dirname, `../../vendor/bin/${system}-${process.arch}`, name);
}

function unbuilt(name: string): SbxError {
  return new SbxError("REQUIREMENT_MISSING", `Cannot use ${buildPath(name)}: it is missing`, {
    hint: "run 'scripts/build' first",
  });
}

/**
 * Unpacks under the embedded name, which holds a digest of the content: the files of one build never
 * serve another. The file appears by rename, so a reader sees all of it or nothing, and two first
 * runs do no harm to each other.
 */
async function unpack(name: AssetName, file: EmbeddedFile, notice: Notice): Promise<string> {
  const dir = join(cacheDir(), "assets");
  await requirePrivate(dir);
  const path = join(dir, unpackedName(file));
  const content = contentOf(name);
  const sound = await isSound(path, content);
  if (!sound) await write(path, content, await contentsOf(file));
  if (sound === false) notice(`${path} was not what this sbx had unpacked, and was replaced`);
  swept ??= evict(dir, Date.now() - KEPT_MS);
  await swept;
  return path;
}

/** Null when there is no file. */
async function isSound(path: string, content: Content): Promise<boolean | null> {
  // What runs on the host is read each time; a mark is as easily forged as the file is changed.
  if (!content.executable && await isMarked(path, content)) return true;
  const sound = await isContent(path, content);
  if (sound === true && !content.executable) await mark(path);
  return sound;
}

async function write(path: string, { executable }: Content, bytes: Uint8Array): Promise<void> {
  const fresh = `${path}.${randomBytes(6).toString("hex")}`;
  const mode = executable ? 0o755 : 0o644;
  try {
    const file = await open(fresh, "wx", mode);
    try {
      await file.writeFile(bytes);
      await file.sync();
    } finally {
      await file.close();
    }
    await chmod(fresh, mode); // whatever the umask
    await rename(fresh, path);
  } catch (cause) {
    await rm(fresh, { force: true }).catch(() => {});
    const hint = systemCode(cause) === "ENOSPC"
      ? "free some space there, or point XDG_CACHE_HOME at another directory"
      : "make that directory writable, or point XDG_CACHE_HOME at another one";
    throw fileError(`unpack ${basename(path).split("-")[0]} into`, dirname(path), cause, hint);
  }
  if (!executable) await mark(path);
}

/**
 * Removes what other builds unpacked before a time, and what was left half done. A sandbox that runs
 * holds its files open and loses nothing; a build that is still in use unpacks its own again.
 */
export async function evict(dir: string, before: number): Promise<void> {
  const abandoned = Date.now() - ABANDONED_MS;
  const own = (Bun.embeddedFiles as readonly EmbeddedFile[]).map(unpackedName);
  for (const name of await readdir(dir).catch(() => [])) {
    const path = join(dir, name);
    if (own.some((kept) => name === kept || name === `${kept}.mark`)) continue;
    const limit = PARTIAL.test(name) ? Math.max(before, abandoned) : before;
    const unpacked = await stat(path).then(({ mtimeMs }) => mtimeMs, () => limit);
    if (unpacked < limit) await rm(path, { force: true }).catch(() => {});
  }
}

async function sizeOf(path: string): Promise<number | null> {
  try {
    return (await stat(path)).size;
  } catch {
    return null;
  }
}
