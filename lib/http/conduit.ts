/**
 * A guest's connection and its server's, side by side: each is read only as fast as the other takes
 * what comes of it, and both close together.
 *
 * OPEN → CLOSING (what was written may still leave; what comes is dropped) → CLOSED, or at once when
 * either side is lost.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { type Duplex, finished } from "node:stream";
import type { Clock } from "../base/clock.ts";
import { Deadline } from "./deadline.ts";

/** Whoever makes sense of the bytes. Nothing is called once the conduit is closing. */
export interface ConduitSink {
  fromGuest(bytes: Buffer): void;
  fromUpstream(bytes: Buffer): void;
  /** The side sends no more. */
  guestEnded(): void;
  upstreamEnded(): void;
  /** Nothing moved for as long as was allowed. */
  expired(): void;
  /** A side is gone, or the conduit was closed; the last call. */
  over(): void;
}

/**
 * How long a guest may take to close after it was sent everything. Closing first would reset what
 * it has not read yet.
 */
const LINGER_MS = 30_000;

export class Conduit {
  /** Resolves when both connections are closed. */
  readonly closed: Promise<void>;
  readonly deadline: Deadline;
  readonly #guest: Duplex;
  readonly #upstream: Duplex | null;
  readonly #sink: ConduitSink;
  #toGuest: Buffer[] = [];
  #toUpstream: Buffer[] = [];
  #guestHeld = false;
  #closing = false;

  /** Without an upstream, what is written to it is dropped. */
  constructor(guest: Duplex, upstream: Duplex | null, clock: Clock, sink: ConduitSink) {
    this.#guest = guest;
    this.#upstream = upstream;
    this.#sink = sink;
    this.deadline = new Deadline(clock, () => this.#expire());
    const { promise, resolve } = Promise.withResolvers<void>();
    this.closed = promise;
    let open = upstream === null ? 1 : 2;
    const close = (side: Duplex) => {
      this.#lost(side);
      if (--open > 0) return;
      this.deadline.clear();
      resolve();
    };
    onClose(guest, close);
    guest.on("data", (bytes: Buffer) => this.#take(() => sink.fromGuest(bytes)));
    guest.on("end", () => this.#take(() => sink.guestEnded()));
    guest.on("drain", () => upstream?.resume());
    if (upstream !== null) onClose(upstream, close);
    upstream?.on("data", (bytes: Buffer) => this.#take(() => sink.fromUpstream(bytes)));
    upstream?.on("end", () => this.#take(() => sink.upstreamEnded()));
    upstream?.on("drain", () => this.#resumeGuest());
  }

  get closing(): boolean {
    return this.#closing;
  }

  /** Queues bytes; they leave in one write when the sink returns, or with {@link flush}. */
  toGuest(...parts: readonly Buffer[]): void {
    this.#toGuest.push(...parts);
  }

  toUpstream(...parts: readonly Buffer[]): void {
    this.#toUpstream.push(...parts);
  }

  flush(): void {
    const [toGuest, toUpstream] = [this.#toGuest, this.#toUpstream];
    if (toGuest.length > 0) {
      this.#toGuest = [];
      if (this.#guest.writable && !this.#guest.write(whole(toGuest))) this.#upstream?.pause();
    }
    if (toUpstream.length > 0) {
      this.#toUpstream = [];
      const upstream = this.#upstream;
      if (upstream?.writable && !upstream.write(whole(toUpstream))) this.#guest.pause();
    }
  }

  /** Stops reading the guest, whatever its server takes. */
  holdGuest(): void {
    this.#guestHeld = true;
    this.#guest.pause();
  }

  releaseGuest(): void {
    this.#guestHeld = false;
    this.#resumeGuest();
  }

  endGuest(): void {
    this.flush();
    this.#guest.end();
  }

  endUpstream(): void {
    this.flush();
    this.#upstream?.end();
  }

  /** Ends both sides after what was written, and drops what still comes. */
  close(): void {
    if (this.#closing) return;
    this.#wind();
    this.#upstream?.end();
  }

  /** As {@link close}, but the server is cut off: it has part of a request that must not count. */
  closeAbandoningUpstream(): void {
    if (this.#closing) return;
    this.#wind();
    this.#upstream?.destroy();
  }

  /** Resets both sides. */
  abort(): void {
    if (!this.#closing) {
      this.#closing = true;
      this.#sink.over();
    }
    this.#guest.destroy();
    this.#upstream?.destroy();
  }

  #wind(): void {
    this.flush();
    this.#closing = true;
    this.#sink.over();
    this.#guest.end(() => this.deadline.set(LINGER_MS));
    this.#guest.resume();
    this.#upstream?.resume();
  }

  #take(step: () => void): void {
    if (this.#closing) return;
    step();
    this.flush();
  }

  #resumeGuest(): void {
    if (this.#guestHeld || this.#upstream?.writableNeedDrain) return;
    this.#guest.resume();
  }

  #expire(): void {
    if (this.#closing) this.abort();
    else this.#sink.expired();
  }

  /** A side that ended in order leaves the other the time to take what was written to it. */
  #lost(side: Duplex): void {
    if (!this.#closing) return side.readableEnded ? this.close() : this.abort();
    if (side !== this.#guest || this.#upstream === null) return;
    this.deadline.set(LINGER_MS);
    finished(this.#upstream, { readable: false }, () => this.#upstream?.destroy());
  }
}

function onClose(side: Duplex, close: (side: Duplex) => void): void {
  side.on("error", () => {}); // its close follows
  if (side.closed) queueMicrotask(() => close(side));
  else side.on("close", () => close(side));
}

function whole(parts: readonly Buffer[]): Buffer {
  return parts.length === 1 && parts[0] !== undefined ? parts[0] : Buffer.concat(parts);
}
