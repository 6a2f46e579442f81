/**
 * How the directories that a user names get into guests here: by a file daemon where there is one that
 * works, for it is faster and keeps to the open file where 9p goes by the name; else by 9p, which QEMU
 * has in itself. Whether one works depends on namespaces that this process may enter or not, so it is
 * tried, and the answer kept for as long as nothing of it changed.
 *
 * @module
 */
import { execFile } from "node:child_process";
import { readlinkSync, statSync } from "node:fs";
import { readFile, realpath } from "node:fs/promises";
import { dirname, join } from "node:path";
import process from "node:process";
import { escapeText, quote } from "../../base/escape.ts";
import {
  type Dialect,
  dialectOf,
  type FileDaemon,
  fileDaemonArgv,
  isSavable,
  lookForFileDaemon,
} from "./file_daemon.ts";
import { type Caller, identityOf } from "./identity.ts";
import type { QemuHost } from "./launch.ts";
import { remember } from "./remembered.ts";

export type TransportFinding =
  | {
    readonly transport: "virtiofs";
    readonly daemon: FileDaemon;
    /** How many files it can open. */
    readonly files: number;
  }
  | {
    readonly transport: "9p";
    /** Why no daemon serves. */
    readonly reason: string;
    readonly fix: string;
  };

/**
 * A daemon holds one descriptor for each file that the guest knows, so the guest forgets some in time;
 * with fewer than these it could do nothing else.
 */
const FEWEST_FILES = 1 << 12;

/** `netstack share` raises the limit to this where it may. */
const MOST_FILES = 1 << 20;

const INSTALL =
  "install this system's own: 'apt-get install virtiofsd' (qemu-system-common before Debian 13)";

const CAP_SYS_RESOURCE = 24n;

/** A daemon that has not answered by then does not. */
const LIMIT_MS = 5_000;

/** To be raised when more is known of a daemon. */
const FORMAT = 3;

type Host = Pick<QemuHost, "cacheDir" | "caller" | "fileLimit" | "greet" | "platform" | "bootId">;

/** Never rejects. Nothing is executed from directories that are distrusted. */
export async function findTransport(
  host: Host,
  launcher: string,
  distrusted: readonly string[] = [],
): Promise<TransportFinding> {
  if (!host.platform.hasFileDaemons) return by9p("virtiofsd runs on Linux only", "");
  const found = lookForFileDaemon(distrusted);
  if ("missing" in found) {
    return by9p(found.missing, INSTALL);
  }
  const caller = host.caller();
  const mayRaise = (caller.capabilities >> CAP_SYS_RESOURCE & 1n) === 1n;
  const files = mayRaise ? MOST_FILES : Math.min(host.fileLimit(), MOST_FILES);
  if (files < FEWEST_FILES) {
    return by9p(
      `this user may open ${files} files, too few for virtiofsd`,
      `raise the hard limit to ${FEWEST_FILES} or more: see 'ulimit -Hn' and limits.conf(5)`,
    );
  }
  const kept = join(host.cacheDir(), "transport.json");
  const key = await circumstances(found.path, caller, host.bootId());
  const known = key === null ? null : await readFile(kept, "utf8").then(
    (text) => parseFinding(text, key, found.path, files),
    () => null,
  );
  if (known !== null) return known;
  const finding = await tryDaemon(found.path, files, host, launcher, caller);
  if (key !== null) await remember(kept, JSON.stringify({ key, finding }));
  return finding;
}

function by9p(reason: string, fix: string): TransportFinding {
  return { transport: "9p", reason, fix };
}

async function tryDaemon(
  path: string,
  files: number,
  host: Host,
  launcher: string,
  caller: Caller,
): Promise<TransportFinding> {
  const fix = "it needs namespaces: user namespaces for an ordinary user, CAP_SYS_ADMIN for root";
  const help = await says(launcher, path, "--help");
  const dialect = dialectOf(help);
  if (dialect === null) {
    const last = help.trim().split("\n").at(-1) ?? "";
    const words = last === "" ? "it says nothing" : `it says ${quote(last)}`;
    return by9p(`${path} has not the options of a virtiofsd: ${words}`, INSTALL);
  }
  const version = (await says(launcher, path, "--version")).split("\n")[0] ?? "";
  const daemon: FileDaemon = { path, dialect, version, isSavable: isSavable(help) };
  const identity = identityOf(caller, "writable");
  const failure = await host.greet(launcher, {
    argv: fileDaemonArgv(daemon, identity.capabilities),
    directory: await realpath(dirname(launcher)),
    readOnly: true,
    identity,
  }, LIMIT_MS);
  return failure === null
    ? { transport: "virtiofs", daemon, files }
    : by9p(`${path} does not work here: ${failure}`, fix);
}

/** All that a file daemon prints when it is asked for this alone. */
function says(launcher: string, path: string, option: string): Promise<string> {
  return new Promise((resolve) => {
    execFile(
      launcher,
      ["ask", "--parent", String(process.pid), "--", path, option],
      { timeout: LIMIT_MS, env: {}, maxBuffer: 1 << 20 },
      (_, stdout, stderr) => resolve(stdout + stderr),
    );
  });
}

/** What the answer depends on; null where this system does not tell. */
async function circumstances(
  path: string,
  { uid, capabilities }: Caller,
  boot: string | null,
): Promise<string | null> {
  if (boot === null) return null;
  try {
    const { mtimeMs, size, ino } = statSync(path);
    const status = await readFile("/proc/self/status", "utf8");
    return JSON.stringify([
      FORMAT,
      boot,
      path,
      mtimeMs,
      size,
      ino,
      uid,
      capabilities.toString(16),
      /^CapBnd:.*$/m.exec(status)?.[0],
      /^NoNewPrivs:.*$/m.exec(status)?.[0],
      /^Seccomp:.*$/m.exec(status)?.[0],
      readlinkSync("/proc/self/ns/user"),
      readlinkSync("/proc/self/ns/mnt"),
      process.arch,
    ]);
  } catch {
    return null;
  }
}

function parseFinding(
  text: string,
  key: string,
  path: string,
  files: number,
): TransportFinding | null {
  try {
    const kept = JSON.parse(text);
    if (kept.key !== key) return null;
    const { transport, reason, fix, daemon } = kept.finding;
    if (transport === "9p") return by9p(escapeText(String(reason)), escapeText(String(fix)));
    const dialect: Dialect = daemon.dialect === "rust" ? "rust" : "c";
    return {
      transport: "virtiofs",
      files,
      daemon: {
        path,
        dialect,
        version: escapeText(String(daemon.version)),
        isSavable: daemon.isSavable === true,
      },
    };
  } catch {
    return null;
  }
}
