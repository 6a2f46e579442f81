/**
 * A stream from the guest: at most one window of bytes waits here for its reader.
 *
 * @module
 */
import { SbxError } from "../base/errors.ts";
import { WINDOW } from "./agent_frame.ts";

/** What goes back to the agent. */
export interface InflowPeer {
  /** The reader took so many bytes: the agent may send as many more. */
  credit(bytes: number): void;
  /** The reader wants no more. */
  stop(): void;
}

/** Credit goes back in parts of this size, so that small reads do not cost a frame each. */
const CREDIT_STEP = WINDOW / 4;

/**
 * Bytes are kept in blocks of at least this size: a hostile agent that sends byte by byte would
 * otherwise cost an object for each.
 */
const BLOCK = 16 * 1024;

/**
 * ```
 * flowing ── end() ──────► ending ── queue empty ──► closed
 *    │                       │
 *    ├── fail(), cancel() ───┴─────────────────────► closed
 * ```
 */
export class Inflow {
  readonly stream: ReadableStream<Uint8Array>;
  readonly #peer: InflowPeer;
  #controller: ReadableStreamDefaultController<Uint8Array> | undefined;
  #state: "flowing" | "ending" | "closed" = "flowing";
  /** The agent said so; a cancelled stream is closed without. */
  #ended = false;
  /** Filled blocks, and how much of the last one is. */
  #blocks: Uint8Array<ArrayBuffer>[] = [];
  #filled = 0;
  /** What the agent may still send. */
  #window = WINDOW;
  #owed = 0;
  #wanted = false;

  constructor(peer: InflowPeer) {
    this.#peer = peer;
    this.stream = new ReadableStream<Uint8Array>({
      start: (controller) => {
        this.#controller = controller;
      },
      pull: () => {
        this.#wanted = true;
        this.#deliver();
      },
      cancel: () => {
        const tell = this.#state === "flowing";
        this.#close();
        if (tell) this.#peer.stop();
      },
    }, { highWaterMark: 0 });
  }

  /**
   * Takes bytes from the agent; they are copied.
   *
   * @throws SbxError PROTOCOL when the agent has no credit for them or ended the stream before.
   */
  push(bytes: Uint8Array): void {
    this.#window -= bytes.length;
    if (this.#window < 0) throw violation("it sent more than it was allowed to");
    if (this.#ended) throw violation("it sent bytes of a stream after its end");
    if (this.#state !== "flowing") return; // cancelled, and the agent does not know yet
    this.#keep(bytes);
    this.#deliver();
  }

  /** The agent has sent everything. */
  end(): void {
    this.#ended = true;
    if (this.#state !== "flowing") return;
    this.#state = "ending";
    this.#deliver();
  }

  /** The reader gets the error in place of whatever is missing. */
  fail(error: SbxError): void {
    if (this.#state === "closed") return;
    this.#close();
    this.#controller?.error(error);
  }

  #keep(bytes: Uint8Array): void {
    const last = this.#blocks.at(-1);
    const room = last === undefined ? 0 : last.length - this.#filled;
    const head = bytes.subarray(0, room);
    last?.set(head, this.#filled);
    this.#filled += head.length;
    const tail = bytes.subarray(head.length);
    if (tail.length === 0) return;
    const block = new Uint8Array(Math.max(BLOCK, tail.length));
    block.set(tail);
    this.#blocks.push(block);
    this.#filled = tail.length;
  }

  #deliver(): void {
    if (this.#wanted && this.#blocks.length > 0) {
      this.#wanted = false;
      const bytes = this.#next();
      this.#repay(bytes.length);
      this.#controller?.enqueue(bytes);
    }
    if (this.#state === "ending" && this.#blocks.length === 0) {
      this.#close();
      this.#controller?.close();
    }
  }

  #next(): Uint8Array {
    const [block = new Uint8Array()] = this.#blocks.splice(0, 1);
    return this.#blocks.length > 0 ? block : block.subarray(0, this.#filled);
  }

  #repay(bytes: number): void {
    this.#owed += bytes;
    if (this.#owed < CREDIT_STEP || this.#state !== "flowing") return;
    this.#window += this.#owed;
    this.#peer.credit(this.#owed);
    this.#owed = 0;
  }

  #close(): void {
    this.#state = "closed";
    this.#blocks = [];
  }
}

function violation(what: string): SbxError {
  return new SbxError("PROTOCOL", `Cannot follow the guest's agent: ${what}`);
}
