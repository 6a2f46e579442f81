/**
 * A guest's connection and its server's, side by side, which close together.
 *
 * Either they are coupled: each is read only as fast as the other takes what comes of it. Or they are
 * independent, for whoever bounds by other means what waits for a side, and asks for room before it
 * writes more.
 *
 * OPEN → CLOSING (what was written may still leave; what comes is dropped) → CLOSED, or at once when
 * either side is lost.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { type Duplex, finished } from "node:stream";
import type { Clock } from "../base/clock.ts";
import { Deadline } from "../base/deadline.ts";
import type { SessionEnds, SessionFault } from "../tls/session/session.ts";
import type { RelayEnd } from "./exchange.ts";

/** A connection, or a TLS session inside one. */
export type Side = Duplex & Partial<SessionEnds>;

/** Whoever makes sense of the bytes. Nothing is called once the conduit is closing. */
export interface ConduitSink {
  fromGuest(bytes: Buffer): void;
  fromUpstream(bytes: Buffer): void;
  /** Something is under way that the loss of a side would cut short. */
  readonly busy: boolean;
  /** The server is gone, and the guest is still sent what it had said; the sink closes. */
  readonly delivering?: boolean;
  /** The side sends no more. */
  guestEnded(): void;
  /** Likewise; with a fault, the rest of what it had to say may be lost. */
  upstreamEnded(fault: SessionFault | null): void;
  /** A side takes more, after it did not. */
  drained?(): void;
  /** Nothing moved for as long as was allowed. */
  expired(): void;
  /** A side is gone, or the conduit was closed; the last call. */
  over(end: RelayEnd): void;
}

/**
 * How long a guest may take to close after it was sent everything. Closing first would reset what it has
 * not read yet, and a slow one has some megabytes before it in netstack and in its own kernel.
 */
const LINGER_MS = 300_000;

/** What may wait for an independent side before that is no longer read. */
const MAX_REPLIES = 1 << 20;

export class Conduit {
  /** Resolves when both connections are closed. */
  readonly closed: Promise<void>;
  readonly deadline: Deadline;
  readonly #guest: Side;
  readonly #upstream: Side | null;
  readonly #sink: ConduitSink;
  #toGuest: Buffer[] = [];
  #toUpstream: Buffer[] = [];
  readonly #coupled: boolean;
  #guestHeld = false;
  #closing = false;

  /** Without an upstream, what is written to it is dropped. */
  constructor(
    guest: Side,
    upstream: Side | null,
    clock: Clock,
    sink: ConduitSink,
    pace: "coupled" | "independent" = "coupled",
  ) {
    this.#coupled = pace === "coupled";
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
    guest.on("end", () => this.#guestEnds());
    guest.on("drain", () => this.#drained(guest));
    if (upstream !== null) onClose(upstream, close);
    upstream?.on("data", (bytes: Buffer) => this.#take(() => sink.fromUpstream(bytes)));
    upstream?.on("end", () => this.#take(() => sink.upstreamEnded(upstream.fault ?? null)));
    upstream?.on("drain", () => this.#drained(upstream));
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

  get guestHasRoom(): boolean {
    return !this.#guest.writableNeedDrain;
  }

  get upstreamHasRoom(): boolean {
    return this.#upstream !== null && !this.#upstream.writableNeedDrain;
  }

  flush(): void {
    const [toGuest, toUpstream] = [this.#toGuest, this.#toUpstream];
    if (toGuest.length > 0) {
      this.#toGuest = [];
      this.#write(this.#guest, this.#upstream, toGuest);
    }
    if (toUpstream.length > 0) {
      this.#toUpstream = [];
      if (this.#upstream !== null) this.#write(this.#upstream, this.#guest, toUpstream);
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
  close(end: RelayEnd = "eof"): void {
    if (this.#closing) return;
    this.#wind(end);
    this.#upstream?.end();
  }

  /** As {@link close}, but the server is cut off: it has part of a request that must not count. */
  closeAbandoningUpstream(end: RelayEnd = "eof"): void {
    if (this.#closing) return;
    this.#wind(end);
    this.#upstream?.destroy();
  }

  /**
   * Ends the guest after what was written, as one whose server was cut off: without close_notify where
   * there is TLS, so that a client can tell.
   */
  closeCut(end: RelayEnd): void {
    if (this.#closing) return;
    this.#wind(
      end,
      () => this.#guest.endCut === undefined ? this.#guest.end() : this.#guest.endCut(),
    );
    this.#upstream?.destroy();
  }

  /** Whether a guest can tell the end of {@link closeCut} from one in order. */
  get guestSeesCuts(): boolean {
    return this.#guest.endCut !== undefined;
  }

  /** As {@link abort}, once the guest has taken what was written. */
  abortAfter(end: RelayEnd): void {
    if (this.#closing) return;
    this.flush();
    this.#closing = true;
    this.#sink.over(end);
    this.#upstream?.destroy();
    if (!this.#guest.writable) return void this.#guest.destroy();
    this.deadline.set(LINGER_MS);
    // Comes back after all that was written before it, of which there may be too little to hear of a drain.
    this.#guest.write(Buffer.alloc(0), () => this.#guest.destroy());
    this.#guest.resume();
  }

  /** Resets both sides. */
  abort(end: RelayEnd): void {
    if (!this.#closing) {
      this.#closing = true;
      this.#sink.over(end);
    }
    this.#guest.destroy();
    this.#upstream?.destroy();
  }

  #wind(end: RelayEnd, endGuest: () => unknown = () => this.#guest.end()): void {
    this.flush();
    this.#closing = true;
    this.#sink.over(end);
    finished(this.#guest, { readable: false }, () => {
      if (!this.#guest.destroyed) this.deadline.set(LINGER_MS);
    });
    endGuest();
    this.#guest.resume();
    this.#upstream?.resume();
  }

  /** A guest that leaves without close_notify is lost; one whose records are none broke the rules. */
  #guestEnds(): void {
    const { fault } = this.#guest;
    if (!fault) return this.#take(() => this.#sink.guestEnded());
    if (this.#closing) return;
    this.abort(fault === "broken" || this.#sink.busy ? "reset-guest" : "eof");
  }

  #write(to: Duplex, from: Duplex | null, parts: readonly Buffer[]): void {
    if (!to.writable || to.write(whole(parts))) return;
    if (this.#coupled) from?.pause();
    // It does not even take the replies that it provokes.
    else if (to.writableLength > MAX_REPLIES) to.pause();
  }

  #drained(side: Duplex): void {
    const from = side === this.#guest ? this.#upstream : this.#guest;
    const paused = this.#coupled ? from : side;
    if (paused === this.#guest) this.#resumeGuest();
    else paused?.resume();
    this.#take(() => this.#sink.drained?.());
  }

  #take(step: () => void): void {
    if (this.#closing) return;
    step();
    this.flush();
  }

  #resumeGuest(): void {
    const full = this.#coupled && this.#upstream?.writableNeedDrain === true;
    if (!this.#guestHeld && !full) this.#guest.resume();
  }

  #expire(): void {
    if (this.#closing) this.abort("idle");
    else this.#sink.expired();
  }

  #lost(side: Duplex): void {
    if (!this.#closing) return this.#closeAfter(side);
    if (side !== this.#guest || this.#upstream === null) return;
    this.deadline.set(LINGER_MS);
    finished(this.#upstream, { readable: false }, () => this.#upstream?.destroy());
  }

  /** A side that ended in order leaves the other the time to take what was written to it. */
  #closeAfter(lost: Duplex): void {
    if (lost === this.#guest) {
      if (lost.readableEnded) return this.close();
      return this.abort(this.#sink.busy ? "reset-guest" : "eof");
    }
    if (!lost.readableEnded) this.#take(() => this.#sink.upstreamEnded("lost"));
    if (this.#closing || this.#sink.delivering === true) return;
    if (lost.readableEnded) this.close();
    else this.abort("reset-upstream");
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
