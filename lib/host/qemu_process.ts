/**
 * QEMU as a process, with its file daemons. The agent's port, the cable and what leads to the daemons
 * are inherited sockets. It leads a session of its
 * own, as netstack does, and does not outlive this process: the kernel ends it then.
 *
 * @module
 */
import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import process from "node:process";
import type { Duplex } from "node:stream";
import { CHILD_ENV } from "../base/child_env.ts";
import { SbxError } from "../base/errors.ts";
import { escapeText } from "../base/escape.ts";
import { fileError } from "../base/file_error.ts";
import type { Exit } from "../guest/guest.ts";
import { AGENT_FD, FRAMES_FD } from "../guest/qemu/args.ts";
import type { FileDaemonLaunch } from "../guest/qemu/file_daemon.ts";
import type { QemuLaunch, QemuProcess } from "../guest/qemu/launch.ts";
import {
  type FileDaemonProcess,
  greetFileDaemon,
  identityArgv,
  spawnFileDaemon,
} from "./file_daemon.ts";
import { ownSystem } from "./own_system.ts";
import { Tail } from "./socket_channel.ts";
import { noMoreProcesses } from "./spawn_failure.ts";

/**
 * Starts QEMU, and its daemons before it.
 *
 * @throws SbxError GUEST_START, FILE_UNREADABLE
 */
export function spawnQemu(launch: QemuLaunch): QemuProcess {
  const { launcher, argv, framesFd, identity } = launch;
  const opened = openAll(launch);
  const tail = new Tail();
  const daemons: FileDaemonProcess[] = [];
  try {
    for (const daemon of launch.daemons) daemons.push(startDaemon(launcher, daemon, tail));
  } catch (error) {
    for (const fd of opened) closeSync(fd);
    endAll(daemons);
    throw error;
  }
  const connections = daemons.map(({ connectionFd }) => connectionFd);
  const inherited = [...opened, ...connections];
  const last = FRAMES_FD + inherited.length + launch.channels;
  const options = [
    ...["--keep", String(last), "--parent", String(process.pid)],
    ...launch.reads.flatMap((path) => ["--reads", path]),
    ...launch.writes.flatMap((path) => ["--writes", path]),
    ...(launch.readOnly ? ["--read-only"] : []),
    ...(launch.kvm ? ["--kvm"] : []),
    ...(launch.connects ? ["--connects"] : []),
  ];
  const received = connections.map((_, index) => FRAMES_FD + opened.length + 1 + index);
  if (received.length > 0) options.push("--receive", received.join(","));
  if (launch.ownMemoryFd !== undefined) options.push("--own-memory", String(launch.ownMemoryFd));
  const child: ChildProcess = spawn(
    launcher,
    ["launch", ...identityArgv(identity), ...options, "--", ...argv],
    {
      stdio: [
        ...["ignore" as const, "pipe" as const, "pipe" as const, "pipe" as const],
        framesFd === "unplugged" ? "pipe" : framesFd ?? "ignore",
        ...inherited,
        ...new Array<"pipe">(launch.channels).fill("pipe"),
      ],
      env: CHILD_ENV,
      detached: true,
    },
  );
  for (const fd of inherited) closeSync(fd);
  child.on("error", () => {}); // a child that did not start has no streams, which says it below
  const agent = child.stdio?.[AGENT_FD];
  if (agent === undefined || agent === null) {
    for (const daemon of daemons) daemon.kill();
    throw noMoreProcesses("QEMU");
  }
  child.stdout?.on("data", (bytes: Uint8Array) => tail.push(bytes));
  child.stderr?.on("data", (bytes: Uint8Array) => tail.push(bytes));
  const { promise: exited, resolve } = Promise.withResolvers<Exit>();
  child.once("exit", (code, signal) => resolve({ code, signal }));
  child.once("error", (error) => {
    tail.push(new TextEncoder().encode(error.message));
    resolve({ code: null, signal: null });
  });
  const served = launch.daemons.map(async ({ directory }, index) => {
    await daemons[index]?.exited;
    return `the file daemon of ${escapeText(directory)} ended`;
  });
  return {
    pid: child.pid ?? -1,
    daemonPids: daemons.map(({ pid }) => pid),
    agent: agent as Duplex,
    channels: child.stdio.slice(last + 1 - launch.channels) as unknown as Duplex[],
    consoleTail: () => tail.text,
    exited: exited.then(async (exit) => {
      await Promise.all(daemons.map((daemon) => (daemon.kill(), daemon.exited)));
      return exit;
    }),
    unserved: Promise.race([...served, new Promise<never>(() => {})]),
    kill: () => {
      child.kill("SIGKILL");
      for (const daemon of daemons) daemon.kill();
    },
  };
}

/** See `QemuHost.greet`. */
export async function greet(
  launcher: string,
  daemon: FileDaemonLaunch,
  limitMs: number,
): Promise<string | null> {
  const directory = openDirectory(daemon.directory);
  try {
    return await greetFileDaemon(launcher, daemon, directory, limitMs);
  } finally {
    closeSync(directory);
  }
}

function startDaemon(launcher: string, daemon: FileDaemonLaunch, tail: Tail): FileDaemonProcess {
  const directory = openDirectory(daemon.directory);
  try {
    return spawnFileDaemon(launcher, daemon, directory, tail);
  } finally {
    closeSync(directory);
  }
}

function endAll(daemons: readonly FileDaemonProcess[]): void {
  for (const daemon of daemons) {
    daemon.kill();
    closeSync(daemon.connectionFd);
  }
}

/** In the launch's order. Whatever fails, what was open already is closed. */
function openAll({ files, diskFd, stateFd, directories }: QemuLaunch): number[] {
  const given = [diskFd, stateFd].filter((fd) => fd !== undefined);
  const opened: number[] = [];
  try {
    for (const path of files) opened.push(openSync(path, "r"));
    opened.push(...given);
    for (const path of directories) opened.push(openDirectory(path));
    return opened;
  } catch (error) {
    for (const fd of new Set([...opened, ...given])) closeSync(fd);
    throw error;
  }
}

/**
 * What the user named was looked at before; a directory that another process put in its place since
 * then, or a link, is not what was meant.
 */
function openDirectory(path: string): number {
  let fd: number | null;
  try {
    fd = ownSystem().files.openExactly(path);
  } catch (cause) {
    throw fileError("mount", path, cause);
  }
  if (fd !== null) return fd;
  throw new SbxError(
    "FILE_UNREADABLE",
    `Cannot mount ${escapeText(path)}: it was moved while sbx started`,
  );
}
