/**
 * The control channel's life.
 *
 * ```
 * GREETING ──hello──► CONFIGURED ──ready──► SERVING ──► CLOSED
 *     └───────────── wrong bytes, silence, end of stream ────► CLOSED (with the error)
 * ```
 *
 * Questions are answered as they come, in any order; answers of one burst leave in one write, before the
 * notices that came with the questions are read.
 *
 * @module
 */
import type { ByteChannel } from "../base/channel.ts";
import { SbxError } from "../base/errors.ts";
import { escapeText } from "../base/escape.ts";
import { encodeMessages, MessageReader } from "./control_codec.ts";
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

/** Messages other than the handshake's and pongs. Must not throw. */
export type ControlSink = (message: FromNetstack) => void;

export class Control {
  /** Settles when netstack has its configuration and the link is up; rejects when it never will. */
  readonly ready: Promise<void>;
  /** Settles when the channel is over: with an error unless `close` was called. */
  readonly closed: Promise<SbxError | undefined>;

  readonly #channel: ByteChannel;
  readonly #sink: ControlSink;
  readonly #ready = Promise.withResolvers<void>();
  readonly #closed = Promise.withResolvers<SbxError | undefined>();
  readonly #reader = new MessageReader();
  readonly #pinger: ReturnType<typeof setInterval>;
  #outbox: ToNetstack[] = [];
  #greeted = false;
  #over = false;
  #pings = 0;
  #unanswered = 0;

  constructor(channel: ByteChannel, config: ConfigMessage, sink: ControlSink) {
    this.#channel = channel;
    this.#sink = sink;
    this.ready = this.#ready.promise;
    this.closed = this.#closed.promise;
    this.ready.catch(() => {}); // `closed` tells as well
    this.#pinger = setInterval(() => this.#ping(), PING_MS);
    channel.start({
      data: (bytes) => this.#receive(bytes, config),
      drain: () => {},
      close: () => this.#end(new SbxError("NETSTACK_LOST", "Cannot go on: netstack ended")),
    });
  }

  /** Queues a message; it leaves with the others of this turn of the event loop. */
  send(message: ToNetstack): void {
    if (this.#over) return;
    if (this.#outbox.length === 0) queueMicrotask(() => this.#flush());
    this.#outbox.push(message);
  }

  /** Ends the channel, and with it netstack; `closed` settles with the error. */
  close(error?: SbxError): void {
    this.#end(error);
  }

  #flush(): void {
    const messages = this.#outbox;
    this.#outbox = [];
    if (!this.#over && messages.length > 0) this.#channel.write(encodeMessages(messages));
  }

  #receive(bytes: Uint8Array, config: ConfigMessage): void {
    this.#unanswered = 0;
    try {
      for (const message of this.#reader.push(bytes)) {
        if (this.#over) return;
        this.#take(message, config);
        // Questions come first, and the guest waits for their answers; the rest are notices.
        if (message.t !== "flow") this.#flush();
      }
    } catch (error) {
      if (!(error instanceof SbxError)) throw error;
      this.#end(error);
    }
    this.#flush();
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
    if (message.t !== "pong") this.#sink(message);
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
    this.#channel.close();
    this.#ready.reject(error ?? new SbxError("STOPPED", "Cannot use the network: it was closed"));
    this.#closed.resolve(error);
  }
}
