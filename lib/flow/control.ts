/**
 * The control channel's life.
 *
 * ```
 * GREETING ──hello──► CONFIGURED ──ready──► SERVING ──finish──► FINISHING ──end of stream──► CLOSED
 *     └───────────── wrong bytes, silence, end of stream ────► CLOSED (with the error)
 * ```
 *
 * Questions are answered as they come, in any order; answers of one burst leave in one write, before the
 * notices that came with the questions are read.
 *
 * @module
 */
import { SbxError } from "../base/errors.ts";
import { escapeText } from "../base/escape.ts";
import type { ByteChannel } from "../wire/channel.ts";
import { FrameWriter } from "../wire/frame_writer.ts";
import { encodeMessage, MessageReader } from "./control_codec.ts";
import {
  type ConfigMessage,
  type FromNetstack,
  PROTOCOL_VERSION,
  type ToNetstack,
} from "./control_message.ts";

const PING_MS = 1_000;

/**
 * netstack answers pings from a goroutine of its own: so many in a row without a word mean that it hangs. They are
 * counted, because time in which this process was not let run says nothing about netstack.
 */
const MAX_UNANSWERED = 10;

/** Messages other than the handshake's and pongs. An SbxError that it throws ends the channel. */
export type ControlSink = (message: FromNetstack) => void;

/** Bytes of frames so far. */
export interface LinkTraffic {
  readonly fromGuest: number;
  readonly toGuest: number;
}

export class Control {
  /** Settles when netstack has its configuration and the link is up; rejects when it never will. */
  readonly ready: Promise<void>;
  /** Settles when the channel is over: with an error unless `finish` or `close` was called. */
  readonly closed: Promise<SbxError | undefined>;

  readonly #writer: FrameWriter;
  readonly #sink: ControlSink;
  readonly #ready = Promise.withResolvers<void>();
  readonly #closed = Promise.withResolvers<SbxError | undefined>();
  readonly #reader = new MessageReader();
  readonly #pinger: ReturnType<typeof setInterval>;
  #traffic: LinkTraffic = { fromGuest: 0, toGuest: 0 };
  /** Who waits for the answers to pings, in their order. */
  readonly #awaited = new Map<number, () => void>();
  #greeted = false;
  #finishing = false;
  #over = false;
  #pings = 0;
  #unanswered = 0;

  constructor(channel: ByteChannel, config: ConfigMessage, sink: ControlSink) {
    this.#writer = new FrameWriter(channel);
    this.#sink = sink;
    this.ready = this.#ready.promise;
    this.closed = this.#closed.promise;
    this.ready.catch(() => {}); // `closed` tells as well
    this.#pinger = setInterval(() => this.#ping(), PING_MS);
    channel.start({
      data: (bytes) => this.#receive(bytes, config),
      drain: () => {},
      close: () =>
        this.#end(
          this.#finishing
            ? undefined
            : new SbxError("NETSTACK_LOST", "Cannot go on: netstack ended"),
        ),
    });
  }

  /** What went over the guest's cable, as of netstack's latest answer to a ping. */
  get traffic(): LinkTraffic {
    return this.#traffic;
  }

  /** Resolves when netstack has carried out all that was sent until now, or is gone. */
  async carriedOut(): Promise<void> {
    if (this.#over) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const n = ++this.#pings;
    this.#awaited.set(n, resolve);
    this.send({ t: "ping", n });
    await Promise.race([promise, this.closed]);
  }

  /** Queues a message; it leaves with the others of this turn of the event loop. */
  send(message: ToNetstack): void {
    this.#writer.send(encodeMessage(message));
  }

  /** Asks netstack to say what it has to say yet and to end, which is the end of the channel. */
  finish(): void {
    if (!this.#greeted) return this.#end(undefined);
    if (this.#finishing) return;
    this.#finishing = true;
    this.send({ t: "end" });
  }

  /** Ends the channel, and with it netstack; `closed` settles with the error. */
  close(error?: SbxError): void {
    this.#end(error);
  }

  #receive(bytes: Uint8Array, config: ConfigMessage): void {
    this.#unanswered = 0;
    try {
      for (const message of this.#reader.push(bytes)) {
        if (this.#over) return;
        this.#take(message, config);
        // Questions come first, and the guest waits for their answers; the rest are notices.
        if (message.t !== "flow") this.#writer.flush();
      }
    } catch (error) {
      if (!(error instanceof SbxError)) throw error;
      this.#end(error);
    }
    this.#writer.flush();
  }

  #take(message: FromNetstack, config: ConfigMessage): void {
    if (message.t === "fatal") {
      return this.#end(
        new SbxError(
          "NETSTACK_LOST",
          `Cannot go on: netstack gave up: ${escapeText(message.message)}`,
        ),
      );
    }
    if (!this.#greeted) {
      if (message.t !== "hello" || message.v !== PROTOCOL_VERSION) {
        throw new SbxError("PROTOCOL", "Cannot use netstack: it speaks another protocol version", {
          hint: "rebuild with 'scripts/build'",
        });
      }
      this.#greeted = true;
      return this.send(config);
    }
    if (message.t === "ready") return this.#ready.resolve();
    if (message.t !== "pong") return this.#sink(message);
    const { n, fromGuest, toGuest } = message;
    for (const [ping, done] of this.#awaited) {
      if (ping > n) break;
      this.#awaited.delete(ping);
      done();
    }
    if (fromGuest !== undefined && toGuest !== undefined) this.#traffic = { fromGuest, toGuest };
  }

  #ping(): void {
    if (this.#unanswered++ >= MAX_UNANSWERED) {
      return this.#end(new SbxError("NETSTACK_LOST", "Cannot go on: netstack does not answer"));
    }
    if (this.#greeted) this.send({ t: "ping", n: ++this.#pings });
  }

  #end(error: SbxError | undefined): void {
    if (this.#over) return;
    this.#over = true;
    clearInterval(this.#pinger);
    this.#writer.close();
    this.#ready.reject(error ?? new SbxError("STOPPED", "Cannot use the network: it was closed"));
    this.#closed.resolve(error);
  }
}
