/**
 * A connection in memory. Unlike node's duplexPair it tells a reset from an end, and holds a writer
 * back as soon as one piece is unread.
 *
 * @module
 */
import { Duplex } from "node:stream";
import { setImmediate } from "node:timers";
import type { SessionEnds } from "../../lib/tls/session/session.ts";

type Done = (error?: Error | null) => void;

class End extends Duplex {
  peer: End | undefined;
  #resume: Done | undefined;

  constructor() {
    super({ allowHalfOpen: true });
  }

  override _read(): void {
    const resume = this.#resume;
    this.#resume = undefined;
    resume?.();
  }

  override _write(chunk: Uint8Array, _encoding: string, done: Done): void {
    this.peer?.deliver(chunk, done);
  }

  override _final(done: Done): void {
    this.peer?.push(null);
    done();
  }

  override _destroy(error: Error | null, done: Done): void {
    if (!this.writableFinished || !this.readableEnded) this.peer?.destroy(new Error("reset"));
    this.#resume?.();
    done(error);
  }

  /** In a later turn, as a network would. */
  deliver(chunk: Uint8Array, done: Done): void {
    setImmediate(() => {
      if (this.destroyed || this.push(chunk)) done();
      else this.#resume = done;
    });
  }
}

/** As the plain bytes inside a TLS session: an end without close_notify is another end. */
export class SessionEnd extends End implements SessionEnds {
  fault: SessionEnds["fault"] = null;

  endCut(): void {
    if (this.peer instanceof SessionEnd) this.peer.fault = "cut";
    this.end();
  }

  /** A record that does not decrypt. */
  breakRecord(): void {
    if (this.peer instanceof SessionEnd) this.peer.fault = "broken";
    this.end();
  }
}

/** The two ends of a new TLS session. */
export function sessionPair(): [SessionEnd, SessionEnd] {
  const [one, other] = [new SessionEnd(), new SessionEnd()];
  one.peer = other;
  other.peer = one;
  return [one, other];
}

/** The two ends of a new connection. */
export function pair(): [Duplex, Duplex] {
  const [one, other] = [new End(), new End()];
  one.peer = other;
  other.peer = one;
  return [one, other];
}
