/**
 * The TLS server that the guest meets, over the bytes of its flow.
 *
 * Bun's TLSSocket over a stream does not hold its writer back (test/runtime), takes the end of the
 * stream for the end of the session, and destroys a stream that still has bytes to send. So it gets
 * a stand-in for the flow, and its user gets a stream that waits for the flow itself.
 *
 * One server per flow: its certificate, its single ALPN protocol and its session tickets die with
 * it, so a ticket is worthless under any other name (RFC 6066 3, hostile case "resumption with
 * another SNI"). There is no early data.
 *
 * HANDSHAKE → OPEN → CLOSED. A guest that closes its half of the session closes all of it: Bun
 * answers a close_notify at once. A flow that ends without one was cut off and is destroyed.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { Duplex } from "node:stream";
import { TLSSocket, type TLSSocketOptions } from "node:tls";
import { type Clock, systemClock } from "../base/clock.ts";

/** What the guest is shown, PEM. */
export interface Identity {
  readonly key: string;
  /** The leaf, then what leads to the authority. */
  readonly cert: string;
}

export interface GuestTlsOptions {
  readonly identity: Identity;
  /** The one protocol to answer ALPN with; null answers nothing. */
  readonly alpn: string | null;
  /** How long the handshake may take, in milliseconds. Default: 10,000. */
  readonly handshakeMs?: number;
  readonly clock?: Clock;
  /** Further settings of the server, such as `minVersion`. TLS 1.2 is the least by default. */
  readonly settings?: Pick<TLSSocketOptions, "minVersion" | "maxVersion" | "ciphers">;
}

type Done = (error?: Error | null) => void;

/**
 * Serves TLS on a flow from the first byte of its ClientHello on; resolves to the plain bytes within.
 *
 * @throws Error of node:tls when the handshake fails; the guest got the alert, the flow is over.
 */
export function acceptTls(flow: Duplex, options: GuestTlsOptions): Promise<Duplex> {
  const carrier = new Carrier(flow);
  const tls = new TLSSocket(carrier as never, {
    ...options.identity,
    minVersion: "TLSv1.2",
    ...options.settings,
    isServer: true,
    ...(options.alpn === null ? {} : { ALPNProtocols: [options.alpn] }),
  });
  const { promise, resolve, reject } = Promise.withResolvers<Duplex>();
  const fail = (error: Error) => {
    reject(error);
    carrier.abandon();
  };
  const late = () => fail(new Error("the handshake took too long"));
  const disarm = (options.clock ?? systemClock).after(options.handshakeMs ?? 10_000, late);
  tls.once("secure", () => resolve(new GuestSession(tls, carrier)));
  tls.once("error", fail);
  carrier.once("close", () => reject(new Error("the guest gave up during the handshake")));
  return promise.finally(disarm);
}

/** Stands between the TLS engine and the flow, and shields each from how the other ends. */
class Carrier extends Duplex {
  readonly flow: Duplex;

  constructor(flow: Duplex) {
    super({ allowHalfOpen: true, readableHighWaterMark: 1 });
    this.flow = flow;
    flow.on("data", (chunk: Buffer) => {
      if (!this.push(chunk)) flow.pause();
    });
    flow.on("end", () => this.emit("cut"));
    flow.on("error", () => {}); // its close follows
    flow.on("close", () => this.destroy());
    flow.pause();
  }

  /** Ends the flow, giving what was written (an alert, for example) time to leave. */
  abandon(): void {
    if (this.flow.writableFinished) this.flow.destroy();
    else this.flow.end(() => this.flow.destroy());
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

class GuestSession extends Duplex {
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
