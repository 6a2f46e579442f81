/**
 * The end of a stream on credit that is written to: a `WritableStream`, each write of which resolves
 * when the receiver has room for all of it.
 *
 * ```
 * open ── close(), abort() ──► ended
 *   └────── stop() ──────────► stopped: writes reject, as to a pipe that nobody reads
 * ```
 *
 * @module
 */
import { CreditSender, type SenderSpec } from "./credit.ts";

export interface WritableEndSpec extends SenderSpec {
  /** Nothing more will be sent. */
  readonly end: () => void;
  /** The writer gave up before the end. Absent: as if it had ended there. */
  readonly abort?: () => void;
  /** The error of a write that nobody reads. */
  readonly unread: () => Error;
}

export class WritableEnd {
  readonly stream: WritableStream<Uint8Array>;
  readonly #spec: WritableEndSpec;
  readonly #sender: CreditSender;
  #state: "open" | "ended" | "stopped" = "open";
  #wake: () => void = () => {};

  constructor(spec: WritableEndSpec) {
    this.#spec = spec;
    this.#sender = new CreditSender(spec);
    const end = (tell: () => void) => {
      if (this.#state !== "open") return;
      this.#state = "ended";
      tell();
    };
    this.stream = new WritableStream<Uint8Array>({
      write: (bytes) => this.#write(bytes),
      close: () => end(this.#spec.end),
      abort: () => end(this.#spec.abort ?? this.#spec.end),
    });
  }

  /** The receiver took so many bytes. @throws the violation, see {@link CreditSender} */
  give(bytes: number): void {
    this.#sender.give(bytes);
    this.#wake();
  }

  /** Nobody reads any more. */
  stop(): void {
    if (this.#state === "open") this.#state = "stopped";
    this.#wake();
  }

  async #write(bytes: Uint8Array): Promise<void> {
    for (let rest = bytes; rest.length > 0;) {
      if (this.#state !== "open") throw this.#spec.unread();
      rest = this.#sender.push(rest);
      if (rest.length > 0) await new Promise<void>((resolve) => this.#wake = resolve);
    }
  }
}
