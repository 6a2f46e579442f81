/**
 * Writing to a terminal without waiting for it. The runtime's own streams block their whole thread
 * while a terminal takes nothing (Ctrl-S, a suspended multiplexer, a stalled connection), and a
 * thread that blocks decides nothing, so that the guest would be ended for it.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { constants, openSync, writeSync } from "node:fs";
import { Writable } from "node:stream";
import { setTimeout as delay } from "node:timers/promises";
import type { WriteStream } from "node:tty";
import { systemCode } from "../base/file_error.ts";

/** A terminal that is full is tried again after 0, 1, 2, … and then always so many milliseconds. */
const LONGEST_WAIT_MS = 20;

/**
 * The stream itself, or for a terminal one that never blocks. It has an open file description of its
 * own, because the one that was inherited is the shell's as well. Where none can be had (elsewhere
 * than on Linux, or on the terminal of another user) writing blocks.
 */
export function unblockedOutput(stream: WriteStream & { readonly fd?: number }): Writable {
  if (stream.isTTY !== true) return stream;
  const { O_WRONLY, O_NONBLOCK, O_NOCTTY } = constants;
  try {
    return new TerminalOutput(
      openSync(`/proc/self/fd/${stream.fd}`, O_WRONLY | O_NONBLOCK | O_NOCTTY),
    );
  } catch {
    return stream;
  }
}

class TerminalOutput extends Writable {
  readonly #fd: number;

  constructor(fd: number) {
    super();
    this.#fd = fd;
  }

  override _write(chunk: Uint8Array, _encoding: string, done: (error?: Error) => void): void {
    const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    this.#send(bytes).then(() => done(), done);
  }

  /** The first part leaves before this returns, so that the last words of a process do. */
  async #send(bytes: Uint8Array): Promise<void> {
    let waited = 0;
    for (let at = 0; at < bytes.length && !this.destroyed;) {
      try {
        at += writeSync(this.#fd, bytes, at);
        waited = 0;
      } catch (error) {
        if (systemCode(error) !== "EAGAIN") throw error;
        await delay(waited);
        waited = Math.min(waited + 1, LONGEST_WAIT_MS);
      }
    }
  }
}
