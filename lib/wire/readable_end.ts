/**
 * The end of a stream on credit that is read from: a `ReadableStream` for whoever reads.
 *
 * ```
 * open ── end(), finish() ──► ending ── nothing unread ──► closed
 *   └──────── fail(), cancel(), discard() ──┴────────────► closed
 * ```
 *
 * @module
 */
import { CreditReceiver, type ReceiverSpec } from "./credit.ts";

export interface ReadableEndSpec extends ReceiverSpec {
  /** The most bytes that a reader is given at once. */
  readonly maxRead: number;
  /** The reader wants no more, and the sender has not ended. */
  readonly stop: () => void;
}

export class ReadableEnd {
  readonly stream: ReadableStream<Uint8Array>;
  readonly #spec: ReadableEndSpec;
  readonly #receiver: CreditReceiver;
  #controller: ReadableStreamDefaultController<Uint8Array> | undefined;
  #state: "open" | "ending" | "closed" = "open";
  #wanted = false;

  constructor(spec: ReadableEndSpec) {
    this.#spec = spec;
    this.#receiver = new CreditReceiver(spec);
    this.stream = new ReadableStream<Uint8Array>({
      start: (controller) => {
        this.#controller = controller;
      },
      pull: () => {
        this.#wanted = true;
        this.#deliver();
      },
      cancel: () => this.#stop(),
    }, { highWaterMark: 0 });
  }

  /** Takes bytes of the sender's; they are copied. @throws the violation, see {@link CreditReceiver} */
  take(bytes: Uint8Array): void {
    this.#receiver.take(bytes);
    this.#deliver();
  }

  /** The sender says that it has sent everything. @throws the violation, when it has said so before */
  end(): void {
    this.#receiver.end();
    this.finish();
  }

  /** Nothing more comes, whether the sender said so or not. */
  finish(): void {
    if (this.#state !== "open") return;
    this.#state = "ending";
    this.#deliver();
  }

  /** As if the reader had cancelled, who then finds the end. */
  discard(): void {
    if (this.#state === "closed") return;
    this.#stop();
    this.#controller?.close();
  }

  /** The reader gets the error in place of whatever is missing. */
  fail(error: Error): void {
    if (this.#state === "closed") return;
    this.#close();
    this.#controller?.error(error);
  }

  #deliver(): void {
    if (this.#state === "closed") return;
    const bytes = this.#wanted ? this.#receiver.read(this.#spec.maxRead) : null;
    if (bytes !== null) {
      this.#wanted = false;
      this.#controller?.enqueue(bytes);
    }
    if (this.#state !== "ending" || this.#receiver.unread > 0) return;
    this.#close();
    this.#controller?.close();
  }

  #stop(): void {
    const tell = this.#state === "open";
    this.#close();
    if (tell) this.#spec.stop();
  }

  #close(): void {
    this.#state = "closed";
    this.#receiver.discard();
  }
}
