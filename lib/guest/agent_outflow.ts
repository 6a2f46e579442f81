/**
 * A stream to the guest: a write resolves when the agent has room for all of it.
 *
 * @module
 */
import { SbxError } from "../base/errors.ts";
import { MAX_DATA, WINDOW } from "./agent_frame.ts";

/** Where the bytes go. */
export interface OutflowPeer {
  data(bytes: Uint8Array): void;
  end(): void;
}

/**
 * ```
 * open ── close() ─► ended
 *   └──── stop() ──► stopped: writes reject, as to a pipe that nobody reads
 * ```
 */
export class Outflow {
  readonly stream: WritableStream<Uint8Array>;
  readonly #peer: OutflowPeer;
  #state: "open" | "ended" | "stopped" = "open";
  #credit = WINDOW;
  #wake: () => void = () => {};

  constructor(peer: OutflowPeer) {
    this.#peer = peer;
    const end = () => {
      if (this.#state !== "open") return;
      this.#state = "ended";
      this.#peer.end();
    };
    this.stream = new WritableStream<Uint8Array>({
      write: (bytes) => this.#write(bytes),
      close: end,
      abort: end,
    });
  }

  /** @throws SbxError PROTOCOL when the agent gives more than it was ever sent. */
  credit(bytes: number): void {
    if (bytes === 0 || this.#credit + bytes > WINDOW) {
      throw new SbxError("PROTOCOL", "Cannot follow the guest's agent: it gave impossible credit");
    }
    this.#credit += bytes;
    this.#wake();
  }

  /** Nobody reads any more. */
  stop(): void {
    if (this.#state === "open") this.#state = "stopped";
    this.#wake();
  }

  async #write(bytes: Uint8Array): Promise<void> {
    for (let rest = bytes; rest.length > 0;) {
      while (this.#credit === 0 && this.#state === "open") {
        await new Promise<void>((resolve) => this.#wake = resolve);
      }
      if (this.#state !== "open") throw notRead();
      const part = rest.subarray(0, Math.min(this.#credit, MAX_DATA));
      this.#credit -= part.length;
      this.#peer.data(part);
      rest = rest.subarray(part.length);
    }
  }
}

function notRead(): SbxError {
  return new SbxError("PIPE_CLOSED", "Cannot write to the command: it reads no more input");
}
