/**
 * The file daemons of distributions, both called virtiofsd: QEMU's own, in C, which came with it before
 * version 8, and its successor, in Rust. They serve one directory of this machine to one guest. Pure,
 * but for the look where they are.
 *
 * @module
 */
import process from "node:process";
import type { Identity } from "./identity.ts";
import { lookForProgram, type ProgramFinding } from "./program.ts";

/** Which options it has. */
export type Dialect = "c" | "rust";

export interface FileDaemon {
  readonly path: string;
  readonly dialect: Dialect;
  /** In its own words. */
  readonly version: string;
  /** Whether what it knows can be saved with its machine, and held against the files when that goes on. */
  readonly isSavable: boolean;
}

/** A daemon as it is started: where it looks is decided by `netstack share`. */
export interface FileDaemonLaunch {
  /** Program and arguments. */
  readonly argv: readonly string[];
  /** Absolute, without links. */
  readonly directory: string;
  readonly readOnly: boolean;
  readonly identity: Identity;
}

/** Where packages put it, of Debian and Fedora, Debian before 13, Arch; it is on nobody's PATH there. */
const PLACES = ["/usr/libexec", "/usr/lib/qemu", "/usr/lib"];

export function lookForFileDaemon(
  distrusted: readonly string[] = [],
  path = process.env["PATH"] ?? "",
): ProgramFinding {
  return lookForProgram("virtiofsd", [...PLACES, ...path.split(":")], distrusted);
}

/** What a program that says this of its options is. */
export function dialectOf(help: string): Dialect | null {
  if (help.includes(" --shared-dir")) return "rust";
  return help.includes(" -o source=PATH") ? "c" : null;
}

/** Whether a program that says this of its options can be saved (version 1.11). */
export function isSavable(help: string): boolean {
  return help.includes(" --migration-verify-handles");
}

/** Descriptor and place that `netstack share` gives it. */
const LISTENER = 3;
const SHARED = "/tmp";

/** What both would keep without being told otherwise. */
const WOULD_KEEP = [
  "chown",
  "dac_override",
  "fowner",
  "fsetid",
  "mknod",
  "setfcap",
  "setgid",
  "setuid",
];

/** A machine does not go on where a file that it knows is another one now, or is gone. */
const SAVED_WHOLE = ["--migration-verify-handles", "--migration-on-error=abort"];

/**
 * The argument vector. Names and attributes are asked for again after a second, and files when they
 * are opened, so that what others change here is seen there; `alone`: nobody does, so once is enough.
 */
export function fileDaemonArgv(
  { path, dialect, isSavable }: FileDaemon,
  capabilities: readonly string[],
  alone = false,
): string[] {
  const cache = alone ? "always" : "auto";
  const changes = [
    ...WOULD_KEEP.filter((name) => !capabilities.includes(name)).map((name) => `-${name}`),
    ...capabilities.filter((name) => !WOULD_KEEP.includes(name)).map((name) => `+${name}`),
  ].join(":");
  const options = {
    c: [
      `--fd=${LISTENER}`,
      "--rlimit-nofile=0", // as it was started
      ...[
        `source=${SHARED}`,
        "sandbox=namespace",
        `cache=${cache}`,
        "xattr",
        "announce_submounts",
        "log_level=warn",
        `modcaps=${changes}`,
      ].flatMap((option) => ["-o", option]),
    ],
    rust: [
      `--fd=${LISTENER}`,
      "--rlimit-nofile=0",
      `--shared-dir=${SHARED}`,
      "--sandbox=namespace",
      `--cache=${cache}`,
      "--xattr",
      "--announce-submounts",
      "--log-level=warn",
      `--modcaps=${changes}`,
      ...(isSavable ? SAVED_WHOLE : []),
    ],
  };
  return [path, ...options[dialect]];
}
