/**
 * The two processes of a sandbox beside sbx. All their channels are inherited socket pairs: nothing
 * of a running sandbox stands on the file system, so nothing can be left there.
 *
 * Both lead sessions of their own, so that a terminal's Ctrl-C reaches sbx alone; neither outlives
 * it: netstack ends with its control channel, QEMU by its parent-death signal.
 *
 * @module
 */
import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import process from "node:process";
import type { Duplex } from "node:stream";
import type { ByteChannel } from "../base/channel.ts";
import type { Exit, QemuLaunch, QemuProcess } from "../guest/guest.ts";
import { AGENT_FD, FRAMES_FD } from "../guest/qemu_args.ts";
import { socketChannel, Tail } from "./socket_channel.ts";

export interface NetstackProcess {
  readonly pid: number;
  readonly control: ByteChannel;
  readonly flows: ByteChannel;
  /** The guest's end of the virtual cable; give it to QEMU, then call `releaseFrames`. */
  readonly framesFd: number;
  releaseFrames(): void;
  /** The last lines it wrote to stderr. */
  stderrTail(): string;
  readonly exited: Promise<Exit>;
  kill(): void;
}

/** Variables a child gets; the user's environment may hold secrets it has no business with. */
const CHILD_ENV = { PATH: process.env.PATH ?? "/usr/bin:/bin", LANG: "C" };

/** Starts `netstack serve`. */
export function spawnNetstack(binary: string): NetstackProcess {
  const child = Bun.spawn({
    cmd: [binary, "serve"],
    stdio: ["ignore", "ignore", "pipe", "pipe", "pipe", "pipe"],
    env: CHILD_ENV,
    detached: true,
  } as unknown as { cmd: string[]; stderr: "pipe" });
  const fds = (child as unknown as { stdio: readonly (number | null)[] }).stdio;
  const [control = -1, flows = -1, framesFd = -1] = [fds[3] ?? -1, fds[4] ?? -1, fds[5] ?? -1];
  const tail = new Tail();
  void collect(child.stderr as ReadableStream<Uint8Array>, tail);
  let released = false;
  const releaseFrames = () => {
    if (!released) closeSync(framesFd);
    released = true;
  };
  return {
    pid: child.pid,
    control: socketChannel(control),
    flows: socketChannel(flows),
    framesFd,
    releaseFrames,
    stderrTail: () => tail.text,
    exited: child.exited.then((code): Exit => {
      releaseFrames();
      return { code, signal: child.signalCode === null ? null : String(child.signalCode) };
    }),
    kill: () => child.kill("SIGKILL"),
  };
}

async function collect(stream: ReadableStream<Uint8Array>, tail: Tail): Promise<void> {
  for await (const chunk of stream) tail.push(chunk);
}

/** Starts QEMU. */
export function spawnQemu({ launcher, argv, files, framesFd, user }: QemuLaunch): QemuProcess {
  const opened = files.map((path) => openSync(path, "r"));
  const identity = user === undefined ? [] : ["--uid", String(user.uid), "--gid", String(user.gid)];
  const last = FRAMES_FD + opened.length;
  const child: ChildProcess = spawn(
    launcher,
    ["launch", ...identity, "--keep", String(last), "--parent", String(process.pid), "--", ...argv],
    {
      stdio: ["ignore", "pipe", "pipe", "pipe", framesFd ?? "ignore", ...opened],
      env: CHILD_ENV,
      detached: true,
    },
  );
  for (const fd of opened) closeSync(fd);
  const tail = new Tail();
  child.stdout?.on("data", (bytes: Uint8Array) => tail.push(bytes));
  child.stderr?.on("data", (bytes: Uint8Array) => tail.push(bytes));
  const { promise: exited, resolve } = Promise.withResolvers<Exit>();
  child.once("exit", (code, signal) => resolve({ code, signal }));
  child.once("error", (error) => {
    tail.push(new TextEncoder().encode(error.message));
    resolve({ code: null, signal: null });
  });
  return {
    pid: child.pid ?? -1,
    agent: child.stdio[AGENT_FD] as Duplex,
    consoleTail: () => tail.text,
    exited,
    kill: () => void child.kill("SIGKILL"),
  };
}
