/**
 * The end of a port that opens calls, each with its three streams.
 *
 * ```
 * call:  opened ── Data, Eof, Credit, Stop … ──► Result
 * port:  up ── any violation, error or end ──► lost: every open call fails with the same error
 * ```
 *
 * @module
 */
import type { Duplex } from "node:stream";
import { SbxError } from "../base/errors.ts";
import { isTraced, trace, type TracePart } from "../base/trace.ts";
import {
  type CallFrame,
  CallFrameReader,
  encodeCallFrame,
  GIVE_UP,
  Kind,
  MAX_CALL,
  MAX_REQUEST,
  type Peer,
  readUint32,
  Stream,
  violationOf,
} from "./call_frame.ts";
import { type CallFailure, type CallResult, type Fields, parseResult } from "./call_result.ts";
import {
  type CallSink,
  callStreams,
  endStreams,
  loseCall,
  type SendFrame,
} from "./call_streams.ts";
import { Calls } from "./calls.ts";
import type { ReadableEnd } from "./readable_end.ts";
import type { WritableEnd } from "./writable_end.ts";

export interface CallClientSpec {
  readonly peer: Peer;
  /** Where changes of state are told. */
  readonly traced: TracePart;
  /** The error of everything that is open when the port ends. */
  readonly gone: (cause: unknown) => SbxError;
  /** How many calls the peer has had from somebody else. Absent: none. */
  readonly calls?: number;
}

/** A call that does one thing. */
export interface PlainCall {
  readonly input: WritableEnd;
  readonly output: ReadableEnd;
  readonly result: Promise<CallResult>;
  /** The result's content; rejects on a failure. */
  readonly ok: Promise<Fields>;
  /** Tells the server that nobody waits for it any more. */
  readonly giveUp: () => void;
}

export class CallClient {
  readonly #port: Duplex;
  readonly #spec: CallClientSpec;
  readonly #calls: Calls<CallSink>;
  readonly #reader: CallFrameReader;
  readonly #violation: (what: string) => SbxError;
  #lost: SbxError | undefined;
  readonly #over = Promise.withResolvers<SbxError>();

  /** Settles when the peer cannot be reached any more: with `gone`'s error, or `PROTOCOL` for its fault. */
  readonly lost: Promise<SbxError> = this.#over.promise;

  /** Takes over the port, of which nothing was read. */
  constructor(port: Duplex, spec: CallClientSpec) {
    this.#port = port;
    this.#spec = spec;
    this.#calls = new Calls(MAX_CALL, spec.calls);
    this.#reader = new CallFrameReader(spec.peer);
    this.#violation = violationOf(spec.peer);
    trace(spec.traced, { id: "port", from: "new", to: "up", event: "opened" });
    port.on("data", (bytes: Uint8Array) => this.#receive(bytes));
    for (const event of ["error", "close", "end"]) {
      port.on(event, (cause?: unknown) => this.#lose(spec.gone(cause)));
    }
  }

  /** A call that does one thing; `explain` makes the error out of the server's words. */
  plain(request: Fields, explain: (failure: CallFailure) => SbxError): PlainCall {
    const settled = Promise.withResolvers<CallResult>();
    const sendLater: SendFrame = (kind, stream, payload) => send(kind, stream, payload);
    const { input, outputs } = callStreams(this.#spec.peer, sendLater);
    const send = this.open(request, {
      input,
      outputs,
      result: (result) => {
        if ("failure" in result) outputs[Stream.Output].fail(explain(result.failure));
        settled.resolve(result);
      },
      lost: settled.reject,
    });
    const ok = settled.promise.then((result) => {
      if ("failure" in result) throw explain(result.failure);
      return result.ok;
    });
    ok.catch(() => {}); // whoever uses the streams has the error from there
    const giveUp = () => send(Kind.Signal, Stream.Input, Uint8Array.of(GIVE_UP));
    return { input, output: outputs[Stream.Output], result: settled.promise, ok, giveUp };
  }

  /** Opens a call whose frames go to this sink. @throws SbxError USAGE for a request that is too long */
  open(request: Fields, sink: CallSink): SendFrame {
    const body = new TextEncoder().encode(JSON.stringify(request));
    if (body.length > MAX_REQUEST) {
      throw new SbxError("USAGE", "Cannot run the command: its arguments are over 3 MiB");
    }
    if (this.#lost !== undefined) {
      loseCall(sink, this.#lost);
      return () => {};
    }
    if (this.#calls.isUsedUp) {
      throw new SbxError("STOPPED", "Cannot call the guest: it has had 16 million calls");
    }
    const call = this.#calls.open(sink);
    trace(this.#spec.traced, { id: call, from: "new", to: "open", event: String(request.method) });
    const send: SendFrame = (kind, stream, payload) => {
      if (this.#calls.find(call) === undefined) return;
      this.#traceFrame("sent", kind, call, stream);
      this.#port.write(encodeCallFrame(kind, call, stream, payload));
    };
    send(Kind.Call, Stream.Input, body);
    return send;
  }

  /**
   * Holds back what is sent from here on, until it is released; `calls` is how many there were. Undefined while one
   * is open, and once the port is lost.
   */
  hold(): { readonly calls: number; readonly release: () => void } | undefined {
    if (this.#lost !== undefined || this.#calls.isAnyOpen) return undefined;
    this.#port.cork();
    return { calls: this.#calls.last, release: () => this.#port.uncork() };
  }

  /** Ends the port; what is open fails. */
  close(): void {
    this.#lose(this.#spec.gone(undefined));
  }

  #receive(bytes: Uint8Array): void {
    if (this.#lost !== undefined) return;
    try {
      for (const frame of this.#reader.push(bytes)) this.#take(frame);
    } catch (error) {
      if (!(error instanceof SbxError)) throw error;
      this.#lose(error);
    }
  }

  #take({ kind, call, stream, payload }: CallFrame): void {
    const sink = this.#calls.find(call);
    if (sink === undefined) throw this.#violation("it answered no open call");
    this.#traceFrame("received", kind, call, stream);
    const output = sink.outputs[stream === Stream.Errors ? Stream.Errors : Stream.Output];
    switch (kind) {
      case Kind.Data:
        return output.take(payload);
      case Kind.Eof:
        return output.end();
      case Kind.Credit:
        return sink.input.give(readUint32(payload));
      case Kind.Stop:
        return sink.input.stop();
      case Kind.Begun:
        return sink.begun?.();
      case Kind.Result: {
        const result = parseResult(payload, () => this.#violation("it sent a malformed result"));
        sink.result(result); // on an error the call is still open, to be lost
        this.#calls.settle(call);
        const event = "failure" in result ? "failed" : "ok";
        trace(this.#spec.traced, { id: call, from: "open", to: "over", event });
        endStreams(sink);
      }
    }
  }

  #lose(error: SbxError): void {
    if (this.#lost !== undefined) return;
    this.#lost = error;
    trace(this.#spec.traced, { id: "port", from: "up", to: "lost", event: error.code });
    this.#over.resolve(error);
    this.#port.destroy();
    for (const sink of this.#calls.settleAll()) loseCall(sink, error);
  }

  #traceFrame(how: "sent" | "received", kind: Kind, call: number, stream: Stream): void {
    const name = TOLD.get(kind);
    const { traced } = this.#spec;
    if (name === undefined || !isTraced(traced)) return;
    trace(traced, {
      id: call,
      from: "open",
      to: "open",
      event: `${how} ${name} of stream ${stream}`,
    });
  }
}

/** Frames that say something of a stream or a command, and carry nothing of it. */
const TOLD: ReadonlyMap<Kind, string> = new Map([
  [Kind.Eof, "eof"],
  [Kind.Stop, "stop"],
  [Kind.Signal, "signal"],
  [Kind.Resize, "resize"],
]);

/** Writes everything and ends the stream. The call's result says more than a failed write. */
export async function sendAll(
  to: WritableEnd,
  content: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
): Promise<void> {
  const writer = to.stream.getWriter();
  writer.closed.catch(() => {});
  try {
    for await (const chunk of content) await writer.write(chunk);
    await writer.close();
  } catch (error) {
    if (!(error instanceof SbxError && error.code === "PIPE_CLOSED")) {
      await writer.abort().catch(() => {});
      throw error;
    }
  }
}
