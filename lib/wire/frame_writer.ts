/**
 * Frames on their way out: those of one turn of the event loop leave in one write, which costs the
 * system and whoever reads them less than a write for each. Nothing here bounds what waits; credit does,
 * and that each message is an answer to one.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import type { ByteChannel } from "./channel.ts";

/** What is written at once. */
const BATCH = 256 * 1024;

export class FrameWriter {
  readonly #channel: ByteChannel;
  #waiting: Uint8Array[] = [];
  /** Kept: fresh memory for each write costs more than what is copied into it. */
  readonly #batch = Buffer.allocUnsafeSlow(BATCH);
  #closed = false;
  #congested = false;

  constructor(channel: ByteChannel) {
    this.#channel = channel;
  }

  /** Whether more waits than the channel likes: what may be dropped had better be. */
  get congested(): boolean {
    return this.#congested;
  }

  /** The channel has room again. */
  drained(): void {
    this.#congested = false;
  }

  /** Queues a frame in its parts, which must not change before this turn is over. */
  send(...parts: readonly Uint8Array[]): void {
    if (this.#closed) return;
    if (this.#waiting.length === 0) queueMicrotask(() => this.flush());
    this.#waiting.push(...parts);
  }

  /** Writes what waits now. */
  flush(): void {
    const parts = this.#waiting;
    this.#waiting = [];
    if (this.#closed) return;
    let filled = 0;
    for (const part of parts) {
      if (filled + part.length > BATCH) {
        this.#write(filled);
        filled = 0;
      }
      if (part.length > BATCH) {
        this.#pass(part);
        continue;
      }
      this.#batch.set(part, filled);
      filled += part.length;
    }
    this.#write(filled);
  }

  /** Closes the channel; what waits is not written any more. */
  close(): void {
    this.#closed = true;
    this.#waiting = [];
    this.#channel.close();
  }

  #write(size: number): void {
    if (size > 0) this.#pass(this.#batch.subarray(0, size));
  }

  #pass(bytes: Uint8Array): void {
    if (!this.#channel.write(bytes)) this.#congested = true;
  }
}
