/**
 * What people expect in a guest that is not there: images, and files of this machine that nobody mounted.
 * Asked after a command has failed, so that no run pays for it.
 *
 * @module
 */
import { existsSync } from "node:fs";
import { homedir } from "node:os";
import { basename, delimiter, join, relative, resolve } from "node:path";
import { escapeText } from "../base/escape.ts";
import type { Mount } from "../mod.ts";

/** What was run, and from where. */
export interface Attempt {
  readonly argv: readonly string[];
  readonly mounts: readonly Mount[];
  readonly workdir?: string;
  /** The directory that sbx runs in. */
  readonly cwd: string;
  /** Where this machine looks for programs. */
  readonly path: string;
}

/** The first word of most lines that were written for a tool with images. */
const IMAGES: ReadonlySet<string> = new Set([
  "alpine",
  "archlinux",
  "busybox",
  "centos",
  "debian",
  "fedora",
  "golang",
  "node",
  "openjdk",
  "php",
  "postgres",
  "python",
  "redis",
  "ruby",
  "rust",
  "ubuntu",
]);

/** What to do about a command that the guest does not have; undefined when nothing is known. */
export function absentHint(attempt: Attempt): string | undefined {
  const [program = ""] = attempt.argv;
  const [image = ""] = basename(program).split(/[:@]/);
  if (IMAGES.has(image) && !existsSync(program)) {
    return "there are no images: the guest uses this machine's /usr; begin with the command itself";
  }
  const here = program.includes("/") ? fileHere(program, attempt) : onPath(program, attempt);
  return here === undefined ? undefined : unseen(here, attempt);
}

/** The same for a command that ran and failed, by the files that it was given. */
export function unseenHint(attempt: Attempt): string | undefined {
  for (const word of attempt.argv.slice(1)) {
    const file = word.startsWith("-") ? undefined : fileHere(word, attempt);
    if (file !== undefined && isPrivate(file, attempt)) return unseen(file, attempt);
  }
  return undefined;
}

/** A path that the guest was given, if it is one of this machine's and not of the guest's. */
function fileHere(path: string, { cwd, mounts, workdir }: Attempt): string | undefined {
  const file = resolve(cwd, path);
  if (!existsSync(file)) return undefined;
  const inGuest = path.startsWith("/") ? path : workdir === undefined ? null : join(workdir, path);
  const isMounted = inGuest !== null && mounts.some(({ guest }) => isBelow(inGuest, guest));
  return isMounted ? undefined : file;
}

function onPath(program: string, { path }: Attempt): string | undefined {
  return path.split(delimiter).filter((directory) => directory.startsWith("/"))
    .map((directory) => join(directory, program)).find((file) => existsSync(file));
}

/** Below the working directory or the home: other places the guest may have of its own. */
function isPrivate(file: string, { cwd }: Attempt): boolean {
  return cwd !== "/" && isBelow(file, cwd) || isBelow(file, homedir());
}

function unseen(file: string, { cwd }: Attempt): string {
  const isHere = cwd !== "/" && isBelow(file, cwd);
  return isHere
    ? `${escapeText(relative(cwd, file))} is a file of this machine, and the guest does not see ` +
      "this directory: add -v .:/work -w /work"
    : `the guest does not see ${escapeText(file)} of this machine: add -v with its directory`;
}

function isBelow(path: string, directory: string): boolean {
  const way = relative(directory, path);
  return way === "" || !way.startsWith("..") && !way.startsWith("/");
}
