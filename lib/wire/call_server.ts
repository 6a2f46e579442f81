/**
 * The end of a port that answers calls. Clients are strangers: what they hold open is bounded, and one
 * that breaks the rules loses its port.
 *
 * ```
 * call:  open ── the answer is known ──► over: what still comes of it is dropped
 * port:  up ── violation, error or end ──► lost: every open call hears of it through `gone`
 * ```
 *
 * @module
 */
import type { Duplex } from "node:stream";
import { SbxError } from "../base/errors.ts";
import { type Failure, failureOf } from "../base/failure.ts";
import {
  type CallFrame,
  CallFrameReader,
  CLIENT_BOUNDS,
  encodeCallFrame,
  Kind,
  MAX_DATA,
  type Peer,
  readUint32,
  Stream,
  uint32,
  violationOf,
  WINDOW,
} from "./call_frame.ts";
import { type Fields, parseFields } from "./call_result.ts";
import { ReadableEnd } from "./readable_end.ts";
import { WritableEnd } from "./writable_end.ts";

/** A call as whoever answers it has it. */
export interface ServedCall {
  readonly request: Fields;
  /** What the client sends. */
  readonly input: ReadableStream<Uint8Array>;
  /** What it gets; those that are open when the answer is known end with it. */
  readonly output: WritableStream<Uint8Array>;
  readonly errors: WritableStream<Uint8Array>;
  /** Aborted when the client is gone before the answer. */
  readonly gone: AbortSignal;
  /** Called with each signal that the client sends. */
  onSignal: (signal: number) => void;
  /** Called with each new size of the client's terminal. */
  onResize: (columns: number, rows: number) => void;
}

/** Answers a call. What it throws becomes the answer: an {@link SbxError} as it is. */
export type Serve = (call: ServedCall) => Promise<Fields>;

/** Calls that a client may have open at once. */
const MAX_OPEN = 512;

/** Bytes that may wait for a client to read; with more he is not listened to. */
const MAX_UNREAD = 16 << 20;

interface OpenCall {
  readonly call: ServedCall;
  readonly input: ReadableEnd;
  readonly outputs: readonly [WritableEnd, WritableEnd];
  readonly gone: AbortController;
}

const CLIENT: Peer = { name: "a client", sends: CLIENT_BOUNDS };
const violation = violationOf(CLIENT);

/** Answers what comes in at a port, of which nothing was read. Resolves when it is gone. */
export function serveCalls(port: Duplex, serve: Serve): Promise<void> {
  return new CallServer(port, serve).over;
}

class CallServer {
  readonly #port: Duplex;
  readonly #serve: Serve;
  readonly #reader = new CallFrameReader(CLIENT);
  readonly #open = new Map<number, OpenCall>();
  readonly #over = Promise.withResolvers<void>();
  #last = 0;
  #lost = false;

  readonly over: Promise<void> = this.#over.promise;

  constructor(port: Duplex, serve: Serve) {
    this.#port = port;
    this.#serve = serve;
    port.on("data", (bytes: Uint8Array) => this.#receive(bytes));
    for (const event of ["error", "close", "end"]) port.on(event, () => this.#lose());
  }

  #receive(bytes: Uint8Array): void {
    if (this.#lost) return;
    try {
      for (const frame of this.#reader.push(bytes)) this.#take(frame);
    } catch (error) {
      if (!(error instanceof SbxError)) throw error;
      this.#lose();
    }
  }

  #take({ kind, call: id, stream, payload }: CallFrame): void {
    if (kind === Kind.Call) return this.#begin(id, payload);
    const open = this.#open.get(id);
    if (open === undefined) {
      if (id > this.#last) throw violation("it spoke of a call that it never opened");
      return; // its answer was on the way
    }
    const { call, input, outputs } = open;
    const output = outputs[stream === Stream.Errors ? 1 : 0];
    switch (kind) {
      case Kind.Data:
        return input.take(payload);
      case Kind.Eof:
        return input.end();
      case Kind.Credit:
        return output.give(readUint32(payload));
      case Kind.Stop:
        return output.stop();
      case Kind.Signal:
        return call.onSignal(payload[0] ?? 0);
      case Kind.Resize: {
        const [c1 = 0, c0 = 0, r1 = 0, r0 = 0] = payload;
        return call.onResize(c1 << 8 | c0, r1 << 8 | r0);
      }
    }
  }

  #begin(id: number, payload: Uint8Array): void {
    if (id <= this.#last) throw violation("it opened a call twice");
    this.#last = id;
    if (this.#open.size >= MAX_OPEN) throw violation("it opened too many calls");
    const request = parseFields(payload);
    if (request === null) throw violation("it opened a call with what is no request");
    const open = this.#parts(id, request);
    this.#open.set(id, open);
    void this.#answer(id, open);
  }

  #parts(id: number, request: Fields): OpenCall {
    const send = (kind: Kind, stream: Stream, bytes?: Uint8Array) => {
      if (this.#open.has(id)) this.#write(encodeCallFrame(kind, id, stream, bytes));
    };
    const input = new ReadableEnd({
      window: WINDOW,
      maxRead: MAX_DATA,
      credit: (bytes) => send(Kind.Credit, Stream.Input, uint32(bytes)),
      stop: () => send(Kind.Stop, Stream.Input),
      violation,
    });
    const output = (stream: Stream) =>
      new WritableEnd({
        window: WINDOW,
        maxPayload: MAX_DATA,
        data: (bytes) => send(Kind.Data, stream, bytes),
        end: () => send(Kind.Eof, stream),
        unread: () => new SbxError("PIPE_CLOSED", "Cannot write to a client: it reads no more"),
        violation,
      });
    const outputs = [output(Stream.Output), output(Stream.Errors)] as const;
    const gone = new AbortController();
    const call: ServedCall = {
      request,
      input: input.stream,
      output: outputs[0].stream,
      errors: outputs[1].stream,
      gone: gone.signal,
      onSignal: () => {},
      onResize: () => {},
    };
    return { call, input, outputs, gone };
  }

  async #answer(id: number, open: OpenCall): Promise<void> {
    const result = await this.#serve(open.call).then(
      (ok) => ({ ok }),
      (error: unknown) => ({ error: told(error) }),
    );
    if (!this.#open.has(id)) return;
    const body = new TextEncoder().encode(JSON.stringify(result));
    this.#write(encodeCallFrame(Kind.Result, id, Stream.Input, body));
    this.#end(id, open);
  }

  #end(id: number, { input, outputs }: OpenCall): void {
    this.#open.delete(id);
    input.discard();
    for (const output of outputs) output.stop();
  }

  #write(frame: Uint8Array): void {
    if (this.#lost || this.#port.write(frame) || this.#port.isPaused()) return;
    if (this.#port.writableLength <= MAX_UNREAD) return;
    this.#port.pause();
    this.#port.once("drain", () => this.#port.resume());
  }

  #lose(): void {
    if (this.#lost) return;
    this.#lost = true;
    this.#port.destroy();
    for (const [id, open] of [...this.#open]) {
      this.#end(id, open);
      open.gone.abort();
    }
    this.#over.resolve();
  }
}

/** A fault of ours is told as one: the client cannot know what to do about it. */
function told(error: unknown): Failure {
  if (!(error instanceof SbxError)) {
    return { code: "INTERNAL", message: error instanceof Error ? error.message : String(error) };
  }
  return failureOf(error);
}
