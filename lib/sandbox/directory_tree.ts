/**
 * Which directories hold which files, whatever they are called: the same directory can be reached by
 * links, by bind mounts of itself or of a part of it, and on other file systems mounted below it.
 *
 * A path is looked at in two ways. By the device and inode of each directory above it, which sees
 * through names; and by its place inside its file system as the mount table has it, which sees a
 * directory that is mounted a second time without those above it.
 *
 * @module
 */
import { readFile, readlink, realpath, stat } from "node:fs/promises";
import { basename, dirname, isAbsolute, join } from "node:path";
import process from "node:process";

/** A place inside a file system. */
interface Place {
  readonly device: string;
  readonly path: string;
}

interface MountPoint extends Place {
  readonly at: string;
}

/** What the mount table says now. Empty where there is none, and inodes have to do. */
export type MountTable = readonly MountPoint[];

export async function readMountTable(): Promise<MountTable> {
  return parseMountTable(await readFile("/proc/self/mountinfo", "utf8").catch(() => ""));
}

/** proc(5): identifier, parent, device, root within the file system, mount point, … */
export function parseMountTable(text: string): MountTable {
  return text.split("\n").flatMap((line) => {
    const [, , device, path, at] = line.split(" ");
    if (device === undefined || path === undefined || at === undefined) return [];
    return [{ device, path: unescaped(path), at: unescaped(at) }];
  });
}

/** Blanks, line ends and backslashes stand as octal numbers. */
function unescaped(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, octal) => String.fromCharCode(parseInt(octal, 8)));
}

/** A path, which need not exist, as it can be compared. */
export interface Location {
  /** Without links, as far as it exists. */
  readonly path: string;
  /** Of the nearest directory that exists and all above it, as "device inode". */
  readonly above: readonly string[];
  /** Whether all of the path exists, so that `above` begins with the path itself. */
  readonly exists: boolean;
}

/** More links than the kernel follows. */
const MAX_LINKS = 40;

/**
 * Every place that decides what the path leads to: each link on the way, then the end. Directories
 * above these are not among them, as they are above them.
 */
export async function placesOnTheWay(path: string): Promise<readonly string[]> {
  const links: string[] = [];
  let real = "/";
  // Not normalised: behind a link, ".." is above what the link leads to.
  const whole = isAbsolute(path) ? path : `${process.cwd()}/${path}`;
  let rest = whole.split("/");
  for (let name = rest.shift(); name !== undefined; name = rest.shift()) {
    if (name === "" || name === ".") continue;
    if (name === "..") {
      real = dirname(real);
      continue;
    }
    const here = join(real, name);
    const target = links.length < MAX_LINKS ? await readlink(here).catch(() => null) : null;
    if (target === null) real = here;
    else {
      links.push(here);
      rest = [...target.split("/"), ...rest];
      if (isAbsolute(target)) real = "/";
    }
  }
  return [...links, real];
}

/** A link counts as itself here, not as what it leads to. */
export async function locateEach(path: string): Promise<readonly Location[]> {
  return await Promise.all(
    (await placesOnTheWay(path)).map(async (place) => {
      const directory = await locate(dirname(place));
      return { ...directory, path: join(directory.path, basename(place)), exists: false };
    }),
  );
}

export async function locate(path: string): Promise<Location> {
  const missing: string[] = [];
  let known = path;
  for (;;) {
    const real = await realpath(known).catch(() => null);
    if (real !== null) {
      const above: string[] = [];
      for (let dir = real;; dir = dirname(dir)) {
        const { dev, ino } = await stat(dir, { bigint: true });
        above.push(`${dev} ${ino}`);
        if (dir === dirname(dir)) break;
      }
      return { path: join(real, ...missing), above, exists: missing.length === 0 };
    }
    if (known === dirname(known)) return { path, above: [], exists: false };
    missing.unshift(basename(known));
    known = dirname(known);
  }
}

/** Whether the directory holds the other path, or is it. */
export function holds(directory: Location, other: Location, table: MountTable): boolean {
  const [own] = directory.above;
  if (directory.exists && own !== undefined && other.above.includes(own)) return true;
  const place = placeOf(other.path, table);
  return treesOf(directory.path, table).some((tree) =>
    tree.device === place?.device && isBelow(place.path, tree.path)
  );
}

/** The directory's own place, and that of every file system mounted below it. */
function treesOf(path: string, table: MountTable): Place[] {
  const own = placeOf(path, table);
  const below = table.filter(({ at }) => at !== path && isBelow(at, path));
  return own === undefined ? below : [own, ...below];
}

function placeOf(path: string, table: MountTable): Place | undefined {
  // Of mounts over each other the last one is seen.
  const mount = table.reduce<MountPoint | undefined>((best, candidate) => {
    const nearer = best === undefined || candidate.at.length >= best.at.length;
    return nearer && isBelow(path, candidate.at) ? candidate : best;
  }, undefined);
  if (mount === undefined) return undefined;
  return { device: mount.device, path: join(mount.path, path.slice(mount.at.length)) };
}

function isBelow(path: string, directory: string): boolean {
  return path === directory || directory === "/" || path.startsWith(`${directory}/`);
}
