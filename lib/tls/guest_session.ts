/**
 * The plain bytes inside a guest's TLS session, as a stream that waits for the guest.
 *
 * Bun's TLSSocket over a stream does not hold its writer back, takes the end of the stream for the end
 * of the session, and destroys a stream that still has bytes to send (test/runtime/tls_test.ts). So
 * the engine gets a stand-in for the flow, its {@link Carrier}, and whoever uses the session gets a
 * stream that looks at the flow itself.
 *
 * A guest that closes its half of the session closes all of it: Bun answers its close_notify at once.
 * A flow that ends without one was cut off, and the session is destroyed (RFC 8446 6.1).
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { Duplex } from "node:stream";
import type { TLSSocket } from "node:tls";

type Done = (error?: Error | null) => void;

/** Stands between the TLS engine and the flow, and shields each from how the other ends. */
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
    flow.on("close", () => this.destroy());
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

export class GuestSession extends Duplex {
  readonly #tls: TLSSocket;
  readonly #flow: Duplex;
  #ended = false;

  constructor(tls: TLSSocket, carrier: Carrier) {
    super({ allowHalfOpen: true });
    this.#tls = tls;
    this.#flow = carrier.flow;
    tls.on("data", (chunk: Buffer) => {
      if (!this.push(chunk)) tls.pause();
    });
    tls.on("end", () => {
      this.#ended = true;
      this.push(null);
    });
    tls.on("error", (error: Error) => this.destroy(error));
    carrier.once("cut", () => {
      if (!this.#ended) this.destroy(new Error("the guest ended without close_notify"));
    });
    this.#flow.once("close", () => this.destroy());
    this.on("error", () => {}); // a guest can cause it at any time; its close follows
    tls.pause();
  }

  override _read(): void {
    this.#tls.resume();
  }

  override _write(chunk: Uint8Array, _encoding: string, done: Done): void {
    if (!this.#tls.writable) return done(new Error("the guest closed the session"));
    this.#tls.write(chunk, () => this.#afterFlow(done));
  }

  override _writev(chunks: { chunk: Uint8Array }[], done: Done): void {
    this._write(Buffer.concat(chunks.map(({ chunk }) => chunk)), "buffer", done);
  }

  /** The flow, unlike the engine, knows whether the guest takes what it is sent. */
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
