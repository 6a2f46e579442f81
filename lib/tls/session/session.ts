/**
 * The plain bytes inside a TLS session, the guest's or the server's, as a stream that waits for the
 * other end.
 *
 * Bun's TLSSocket over a stream does not hold its writer back, takes the end of the stream for the end
 * of the session, and destroys a stream that still has bytes to send (test/runtime/tls_test.ts); over a
 * socket, it ends alike whether the session was closed or cut off. So the engine gets a stand-in for
 * the connection, its {@link Carrier}, and whoever uses the session gets a stream that looks at the
 * connection itself.
 *
 * A peer that closes its half of the session closes all of it: Bun answers its close_notify at once.
 * A connection that ends without one was cut off (RFC 8446 6.1), and a record that does not decrypt breaks
 * the session; Bun's engine ends in order for both, and tells the second by an event of its own. Such a
 * session ends after its last good bytes, like any other, and `fault` says what was wrong.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { Duplex } from "node:stream";
import { setImmediate } from "node:timers";
import type { TLSSocket } from "node:tls";

type Done = (error?: Error | null) => void;

/** How a session ends otherwise than by close_notify. */
export type SessionFault =
  | "cut" // its connection was closed
  | "lost" // its connection was reset
  | "broken"; // by a record that is none

/** What the end of a session says beside that of a plain connection. */
export interface SessionEnds {
  /** Null before the session has ended, and when it ended in order. */
  readonly fault: SessionFault | null;
  /** Ends it as one that was cut off, after what was written: without close_notify. */
  endCut(): void;
}

/**
 * What becomes of what was received when the connection is lost: it is read first, or dropped with the
 * session, so that nobody goes on writing to a peer that is gone.
 */
export type OnLoss = "read first" | "drop";

/** Stands between the TLS engine and the connection, and shields each from how the other ends. */
export class Carrier extends Duplex {
  readonly flow: Duplex;
  /** The engine's end is none of the connection's, which is to be reset. */
  broken = false;

  constructor(flow: Duplex, onLoss: OnLoss) {
    super({ allowHalfOpen: true, readableHighWaterMark: 1 });
    this.flow = flow;
    flow.on("data", (chunk: Buffer) => {
      if (!this.push(chunk)) flow.pause();
    });
    flow.on("end", () => this.emit("cut")); // not the end of this: the engine must see close_notify
    flow.on("error", () => {}); // its close follows
    flow.on("close", () => {
      if (flow.readableEnded) return; // the engine may have to read on
      if (onLoss === "drop") this.destroy();
      else this.emit("cut");
    });
    flow.pause();
  }

  override _read(): void {
    this.flow.resume();
  }

  override _write(chunk: Uint8Array, _encoding: string, done: Done): void {
    if (this.flow.writable) this.flow.write(chunk);
    done();
  }

  override _final(done: Done): void {
    if (!this.broken) this.flow.end();
    done();
  }
}

/** What is taken from the engine at once. */
const PIECE = 65_536;

export class Session extends Duplex implements SessionEnds {
  readonly #tls: TLSSocket;
  readonly #flow: Duplex;
  readonly #carrier: Carrier;
  /** The reader takes more. */
  #room = false;
  #ended = false;
  #cut = false;
  #endsCut = false;
  #fault: SessionFault | null = null;

  constructor(tls: TLSSocket, carrier: Carrier, onLoss: OnLoss) {
    super({ allowHalfOpen: true });
    this.#tls = tls;
    this.#flow = carrier.flow;
    this.#carrier = carrier;
    tls.on("data", (chunk: Buffer) => {
      this.#room = this.push(chunk);
      if (!this.#room) tls.pause();
    });
    // Before it ends as if in order (test/runtime/tls_test.ts).
    tls.on("_tlsError", () => carrier.broken = true);
    tls.on("end", () => this.#finish(carrier.broken ? "broken" : null));
    tls.on("error", () => this.#finish("broken"));
    carrier.once("cut", () => {
      this.#cut = true;
      setImmediate(() => this.#seekEnd());
    });
    const { flow } = carrier;
    // The connection may be over before its last bytes are read.
    flow.once("close", () => {
      if (this.readableEnded || (!flow.readableEnded && onLoss === "drop")) this.destroy();
    });
    this.once("end", () => {
      if (flow.closed) this.destroy();
    });
    this.on("error", () => {}); // a peer can cause it at any time; its close follows
    tls.pause();
  }

  get fault(): SessionFault | null {
    return this.#fault;
  }

  endCut(): void {
    this.#endsCut = true;
    this.end();
  }

  override _read(): void {
    this.#room = true;
    // What is decrypted comes first. Bun's own read(), like resume(), takes half a megabyte more from the
    // connection whatever it was asked for, and of a slow download seven eighths would wait here.
    while (this.#room && this.#tls.readableLength > 0) {
      const size = Math.min(this.#tls.readableLength, PIECE);
      if (Duplex.prototype.read.call(this.#tls, size) === null) break;
    }
    if (this.#room) this.#tls.resume();
    if (this.#cut) setImmediate(() => this.#seekEnd());
  }

  #finish(fault: SessionFault | null): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#fault = fault;
    this.push(null);
  }

  /** After the last byte of the connection: close_notify is among those read, or the rest is lost. */
  #seekEnd(): void {
    if (this.#ended || this.destroyed || this.#tls.isPaused()) return;
    if (this.#carrier.readableLength + this.#tls.readableLength > 0) {
      return void setImmediate(() => this.#seekEnd());
    }
    if (this.#carrier.broken) this.#finish("broken");
    else this.#finish(this.#flow.readableEnded ? "cut" : "lost");
  }

  override _write(chunk: Uint8Array, _encoding: string, done: Done): void {
    if (!this.#tls.writable) return done(new Error("the peer closed the session"));
    if (chunk.length === 0) return this.#afterFlow(done);
    this.#tls.write(chunk, () => this.#afterFlow(done));
  }

  override _writev(chunks: { chunk: Uint8Array }[], done: Done): void {
    this._write(Buffer.concat(chunks.map(({ chunk }) => chunk)), "buffer", done);
  }

  /** The connection, unlike the engine, knows whether the peer takes what it is sent. */
  #afterFlow(done: Done): void {
    if (!this.#flow.writableNeedDrain) return done();
    const settle = () => {
      this.#flow.off("drain", settle).off("close", settle);
      done();
    };
    this.#flow.on("drain", settle).on("close", settle);
  }

  override _final(done: Done): void {
    if (this.#endsCut) this.#flow.end();
    else this.#tls.end();
    if (this.#flow.writableFinished || this.#flow.destroyed) return done();
    const settle = () => {
      this.#flow.off("finish", settle).off("close", settle);
      done();
    };
    this.#flow.on("finish", settle).on("close", settle);
  }

  override _destroy(error: Error | null, done: Done): void {
    this.#flow.destroy();
    this.#tls.destroy();
    done(error);
  }
}
