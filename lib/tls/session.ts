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
 * A connection that ends without one was cut off, and the session is destroyed (RFC 8446 6.1).
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { Duplex } from "node:stream";
import { setImmediate } from "node:timers";
import type { TLSSocket } from "node:tls";

type Done = (error?: Error | null) => void;

/** Stands between the TLS engine and the connection, and shields each from how the other ends. */
export class Carrier extends Duplex {
  readonly flow: Duplex;

  constructor(flow: Duplex) {
    super({ allowHalfOpen: true, readableHighWaterMark: 1 });
    this.flow = flow;
    flow.on("data", (chunk: Buffer) => {
      if (!this.push(chunk)) flow.pause();
    });
    flow.on("end", () => this.emit("cut")); // not the end of this: the engine must see close_notify
    flow.on("error", () => {}); // its close follows
    flow.on("close", () => {
      if (!flow.readableEnded) this.destroy(); // else the engine may have to read on
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
    this.flow.end();
    done();
  }
}

export class Session extends Duplex {
  readonly #tls: TLSSocket;
  readonly #flow: Duplex;
  readonly #carrier: Carrier;
  #ended = false;
  #cut = false;

  constructor(tls: TLSSocket, carrier: Carrier) {
    super({ allowHalfOpen: true });
    this.#tls = tls;
    this.#flow = carrier.flow;
    this.#carrier = carrier;
    tls.on("data", (chunk: Buffer) => {
      if (!this.push(chunk)) tls.pause();
    });
    tls.on("end", () => {
      this.#ended = true;
      this.push(null);
    });
    tls.on("error", (error: Error) => this.destroy(error));
    carrier.once("cut", () => {
      this.#cut = true;
      setImmediate(() => this.#seekEnd());
    });
    const { flow } = carrier;
    // The connection may be over before its last bytes are read.
    flow.once("close", () => {
      if (!flow.readableEnded || this.readableEnded) this.destroy();
    });
    this.once("end", () => {
      if (flow.closed) this.destroy();
    });
    this.on("error", () => {}); // a peer can cause it at any time; its close follows
    tls.pause();
  }

  override _read(): void {
    this.#tls.resume();
    if (this.#cut) setImmediate(() => this.#seekEnd());
  }

  /** After the last byte of the connection: close_notify is among those read, or the rest is lost. */
  #seekEnd(): void {
    if (this.#ended || this.destroyed || this.#tls.isPaused()) return;
    if (this.#carrier.readableLength + this.#tls.readableLength > 0) {
      return void setImmediate(() => this.#seekEnd());
    }
    this.destroy(new Error("cut off without close_notify"));
  }

  override _write(chunk: Uint8Array, _encoding: string, done: Done): void {
    if (!this.#tls.writable) return done(new Error("the peer closed the session"));
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
    this.#tls.end();
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
