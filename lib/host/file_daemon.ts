/**
 * File daemons as processes: `netstack share` puts each into a sandbox and becomes it. They end with
 * this process, and with their connection.
 *
 * @module
 */
import { closeSync } from "node:fs";
import process from "node:process";
import { escapeText } from "../base/escape.ts";
import { SbxError } from "../base/errors.ts";
import { systemWords } from "../base/file_error.ts";
import type { FileDaemonLaunch } from "../guest/qemu/file_daemon.ts";
import type { Identity } from "../guest/qemu/identity.ts";
import { CHILD_ENV } from "../base/child_env.ts";
import { Tail } from "./socket_channel.ts";

export interface FileDaemonProcess {
  readonly pid: number;
  /** The socket that its connection comes through. */
  readonly connectionFd: number;
  readonly exited: Promise<unknown>;
  kill(): void;
}

/** `netstack launch` and `share` take an identity like this. */
export function identityArgv({ user, capabilities }: Identity): string[] {
  return [
    ...userArgv(user),
    ...(capabilities.length > 0 ? ["--capabilities", capabilities.join(",")] : []),
  ];
}

function userArgv(user: Identity["user"]): string[] {
  if (user === undefined) return [];
  if (user === "own") return ["--own-user"];
  return ["--uid", String(user.uid), "--gid", String(user.gid)];
}

/**
 * Starts one. What it says on stderr is collected in `tail`. `directoryFd` is the directory, opened.
 *
 * @throws SbxError GUEST_START
 */
export function spawnFileDaemon(
  launcher: string,
  { argv, directory, readOnly, identity }: FileDaemonLaunch,
  directoryFd: number,
  tail: Tail,
): FileDaemonProcess {
  const options = ["--parent", String(process.pid), "--path", directory];
  if (readOnly) options.push("--read-only");
  try {
    const child = Bun.spawn({
      cmd: [launcher, "share", ...options, ...identityArgv(identity), "--", ...argv],
      stdio: ["ignore", "ignore", "pipe", "pipe", directoryFd],
      env: CHILD_ENV,
      detached: true,
    } as unknown as { cmd: string[]; stderr: "pipe" });
    void collect(child.stderr as ReadableStream<Uint8Array>, tail);
    const fds = (child as unknown as { stdio: readonly (number | null)[] }).stdio;
    return {
      pid: child.pid,
      connectionFd: fds[3] ?? -1,
      exited: child.exited,
      kill: () => child.kill("SIGKILL"),
    };
  } catch (cause) {
    throw new SbxError("GUEST_START", `Cannot start a file daemon: ${systemWords(cause)}`, {
      cause,
    });
  }
}

/** What it, or its sandbox, failed at; null: it answered in time. */
export async function greetFileDaemon(
  launcher: string,
  launch: FileDaemonLaunch,
  directoryFd: number,
  limitMs: number,
): Promise<string | null> {
  const tail = new Tail();
  const daemon = spawnFileDaemon(launcher, launch, directoryFd, tail);
  const greeting = Bun.spawn({
    cmd: [launcher, "greet", "3"],
    stdio: ["ignore", "ignore", "ignore", daemon.connectionFd],
    env: CHILD_ENV,
  } as unknown as { cmd: string[] });
  closeSync(daemon.connectionFd);
  const limit = setTimeout(() => greeting.kill("SIGKILL"), limitMs);
  const status = await greeting.exited;
  clearTimeout(limit);
  daemon.kill();
  await daemon.exited;
  const last = tail.text.trim().split("\n").at(-1) ?? "";
  return status === 0 ? null : escapeText(last === "" ? "it does not answer" : last);
}

async function collect(stream: ReadableStream<Uint8Array>, tail: Tail): Promise<void> {
  for await (const chunk of stream) tail.push(chunk);
}
