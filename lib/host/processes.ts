/**
 * netstack as a process of a sandbox. Its channels are inherited socket pairs: nothing of a running
 * sandbox stands on the file system, so nothing can be left there.
 *
 * It leads a session of its own, so that a terminal's Ctrl-C reaches sbx alone, and ends with its
 * control channel.
 *
 * @module
 */
import { closeSync } from "node:fs";
import { CHILD_ENV } from "../base/child_env.ts";
import { SbxError } from "../base/errors.ts";
import { systemWords } from "../base/file_error.ts";
import { isTraced, traceLine } from "../base/trace.ts";
import type { Exit } from "../guest/guest.ts";
import type { ByteChannel } from "../wire/channel.ts";
import { socketChannel, Tail } from "./socket_channel.ts";

export interface NetstackProcess {
  readonly pid: number;
  readonly control: ByteChannel;
  readonly flows: ByteChannel;
  /** The guest's end of the virtual cable; give it to the machine, then call `releaseFrames`. */
  readonly framesFd: number;
  releaseFrames(): void;
  /** The last lines it wrote to stderr. */
  stderrTail(): string;
  readonly exited: Promise<Exit>;
  kill(): void;
}

/** A socket on which the guest is plugged in, and by what: QEMU's frames, or a descriptor that is handed over. */
export interface NetstackPlug {
  readonly kind: "qemu" | "descriptor";
  readonly path: string;
}

/** Starts `netstack serve`. With a `plug`, the guest's end is not among what it inherits. */
export function spawnNetstack(binary: string, plug?: NetstackPlug): NetstackProcess {
  const child = startNetstack(binary, plug);
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

const PLUGS = { qemu: "--listen", descriptor: "--listen-descriptor" } as const;

function startNetstack(binary: string, plug: NetstackPlug | undefined) {
  const listen = plug === undefined ? [] : [PLUGS[plug.kind], `unix://${plug.path}`];
  try {
    return Bun.spawn({
      cmd: [binary, "serve", ...listen],
      stdio: ["ignore", "ignore", "pipe", "pipe", "pipe", "pipe"],
      env: { ...CHILD_ENV, ...(isTraced("flow") ? { SBX_TRACE: "flow" } : {}) },
      detached: true,
    } as unknown as { cmd: string[]; stderr: "pipe" });
  } catch (cause) {
    throw new SbxError("NETSTACK_LOST", `Cannot start netstack: ${systemWords(cause)}`, { cause });
  }
}

/** What netstack says is kept for the report of its end; what it traces is told like sbx's own. */
async function collect(stream: ReadableStream<Uint8Array>, tail: Tail): Promise<void> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of stream) {
    tail.push(chunk);
    if (!isTraced("flow")) continue;
    const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) if (line.startsWith("trace ")) traceLine("flow", line);
  }
}
