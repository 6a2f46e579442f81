/**
 * The host's end of the agent's port: calls, each with its three streams.
 *
 * ```
 * call:  opened ── Data, Eof, Credit, Stop … ──► Result
 * port:  up ── any violation, error or end ──► lost: every open call fails with the same error
 * ```
 *
 * @module
 */
import type { Duplex } from "node:stream";
import { SbxError } from "../../base/errors.ts";
import { escapeText } from "../../base/escape.ts";
import { isTraced, trace } from "../../base/trace.ts";
import { Calls } from "../../wire/calls.ts";
import type { ReadableEnd } from "../../wire/readable_end.ts";
import type { WritableEnd } from "../../wire/writable_end.ts";
import type { Transport } from "../plan.ts";
import type { ExecSpec, GuestProcess, ReachQuestion } from "../guest.ts";
import type { Correction } from "../guest_clock.ts";
import { type CallSink, callStreams, endStreams, loseCall, type SendFrame } from "./call.ts";
import { Command } from "./command.ts";
import {
  type AgentFrame,
  AgentFrameReader,
  encodeAgentFrame,
  Kind,
  MAX_CALL,
  MAX_REQUEST,
  Stream,
} from "./frame.ts";
import {
  type AgentFailure,
  type AgentResult,
  clockTime,
  type FileInfo,
  fileInfo,
  type LoopbackServer,
  loopbackServer,
  parseResult,
} from "./result.ts";

/** What `configure` tells the agent; the names are the protocol's. */
export interface AgentConfig {
  readonly hostname: string;
  /** At least 32 random bytes, in base64. */
  readonly entropy: string;
  /** Where commands start. */
  readonly home: string;
  /** What the environment of every command begins with. */
  readonly env: Readonly<Record<string, string>>;
  /** Absent: a loopback and nothing else. */
  readonly network?: {
    readonly mtu: number;
    readonly guest4: string;
    readonly gateway4: string;
    readonly guest6: string;
    readonly gateway6: string;
  };
  /** Absent: nothing is intercepted. */
  readonly trust?: {
    readonly authority: string;
    readonly variables: Readonly<Record<string, string>>;
  };
  /** Exports that get a writable layer, such as /usr. */
  readonly trees: readonly { readonly tag: string; readonly at: string }[];
  /** Exports, or files of the archive. */
  readonly mounts: readonly ({
    readonly at: string;
    readonly readOnly: boolean;
  } & (({ readonly tag: string } & Transport) | { readonly file: string }))[];
  /** Links of the root, such as `bin` to `usr/bin`. */
  readonly links: Readonly<Record<string, string>>;
}

interface PlainCall {
  readonly input: WritableEnd;
  readonly output: ReadableEnd;
  readonly result: Promise<AgentResult>;
  /** The result's content; rejects on a failure. */
  readonly ok: Promise<Readonly<Record<string, unknown>>>;
}

export class Agent {
  readonly #port: Duplex;
  readonly #calls = new Calls<CallSink>(MAX_CALL);
  readonly #reader = new AgentFrameReader();
  #lost: SbxError | undefined;
  readonly #over = Promise.withResolvers<SbxError>();

  /** Settles when the agent cannot be reached any more: `GUEST_LOST`, or `PROTOCOL` for its fault. */
  readonly lost: Promise<SbxError> = this.#over.promise;

  /** Takes over the port, of which nothing was read. */
  constructor(port: Duplex) {
    this.#port = port;
    trace("agent", { id: "port", from: "new", to: "up", event: "opened" });
    port.on("data", (bytes: Uint8Array) => this.#receive(bytes));
    for (const event of ["error", "close", "end"]) {
      port.on(event, (cause?: unknown) => this.#lose(gone(cause)));
    }
  }

  /**
   * Sets the machine up; before, the agent runs nothing. `root` is a tar archive of files for the
   * guest's root.
   *
   * @throws SbxError GUEST_START
   */
  async configure(config: AgentConfig, root: Uint8Array): Promise<void> {
    const call = this.#plainCall({ method: "configure", ...config }, ({ message }) => {
      return new SbxError("GUEST_START", `Cannot set up the guest: ${message}`);
    });
    await send(call.input, [root]);
    await call.ok;
  }

  /** Adjusts the guest's clock and tells its time, in microseconds since 1970. */
  async clock({ adjustUs, slew }: Correction): Promise<number> {
    const call = this.#plainCall({ method: "clock", adjustUs, slew }, ({ message }) => {
      return new SbxError("GUEST_FAILED", `Cannot set the guest's clock: ${message}`);
    });
    return clockTime(await call.ok);
  }

  /**
   * Runs a command. Like a pipe's, its output must be read for it to go on and its status to come.
   *
   * @throws SbxError USAGE for arguments or an environment that no command can have.
   */
  exec(spec: ExecSpec): GuestProcess {
    const open = (request: Readonly<Record<string, unknown>>, sink: CallSink) =>
      this.#call(request, sink);
    return new Command(spec, open, () => this.stat("/"));
  }

  /**
   * The content of a file in the guest.
   *
   * @throws (through the stream) SbxError FILE_UNREADABLE
   */
  readFile(path: string): ReadableStream<Uint8Array> {
    return this.#plainCall({ method: "read", path }, unusable("read", path)).output.stream;
  }

  /**
   * Makes or replaces a file in the guest; `mode` is for a new one.
   *
   * @throws SbxError FILE_UNREADABLE
   */
  async writeFile(
    path: string,
    content: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
    mode = 0o644,
  ): Promise<void> {
    const call = this.#plainCall({ method: "write", path, mode }, unusable("write", path));
    await send(call.input, content);
    await call.ok;
  }

  /**
   * What a path in the guest is, symbolic links followed; null when there is nothing.
   *
   * @throws SbxError FILE_UNREADABLE
   */
  async stat(path: string): Promise<FileInfo | null> {
    const call = this.#plainCall({ method: "stat", path }, unusable("examine", path));
    const result = await call.result;
    if ("failure" in result && result.failure.code === "not-found") return null;
    return fileInfo(await call.ok);
  }

  /** Looks for a server on the guest's loopback; see `Guest.reach`. */
  async reach(question: ReachQuestion): Promise<LoopbackServer | null> {
    const call = this.#plainCall({ method: "reach", ...question }, ({ message }) => {
      return new SbxError("GUEST_FAILED", `Cannot reach a server in the guest: ${message}`);
    });
    return loopbackServer(await call.ok);
  }

  /** Ends all commands and has everything written that a mount still has to. */
  async shutdown(): Promise<void> {
    await this.#plainCall({ method: "shutdown" }, ({ message }) => {
      return new SbxError("GUEST_FAILED", `Cannot shut the guest down: ${message}`);
    }).ok;
  }

  /** A call that does one thing; `explain` makes the error out of the agent's words. */
  #plainCall(
    request: Readonly<Record<string, unknown>>,
    explain: (failure: AgentFailure) => SbxError,
  ): PlainCall {
    const settled = Promise.withResolvers<AgentResult>();
    const sendLater: SendFrame = (kind, stream, payload) => send(kind, stream, payload);
    const { input, outputs } = callStreams(sendLater);
    const send = this.#call(request, {
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
    return { input, output: outputs[Stream.Output], result: settled.promise, ok };
  }

  #call(request: Readonly<Record<string, unknown>>, sink: CallSink): SendFrame {
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
    trace("agent", { id: call, from: "new", to: "open", event: String(request.method) });
    const send: SendFrame = (kind, stream, payload) => {
      if (this.#calls.find(call) === undefined) return;
      traceFrame("sent", kind, call, stream);
      this.#port.write(encodeAgentFrame(kind, call, stream, payload));
    };
    send(Kind.Call, Stream.Input, body);
    return send;
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

  #take({ kind, call, stream, payload }: AgentFrame): void {
    const sink = this.#calls.find(call);
    if (sink === undefined) {
      throw new SbxError("PROTOCOL", "Cannot follow the guest's agent: it answered no open call");
    }
    traceFrame("received", kind, call, stream);
    const output = sink.outputs[stream === Stream.Errors ? Stream.Errors : Stream.Output];
    switch (kind) {
      case Kind.Data:
        return output.take(payload);
      case Kind.Eof:
        return output.end();
      case Kind.Credit:
        return sink.input.give(uint32(payload));
      case Kind.Stop:
        return sink.input.stop();
      case Kind.Result: {
        const result = parseResult(payload);
        sink.result(result); // on an error the call is still open, to be lost
        this.#calls.settle(call);
        const event = "failure" in result ? "failed" : "ok";
        trace("agent", { id: call, from: "open", to: "over", event });
        endStreams(sink);
      }
    }
  }

  #lose(error: SbxError): void {
    if (this.#lost !== undefined) return;
    this.#lost = error;
    trace("agent", { id: "port", from: "up", to: "lost", event: error.code });
    this.#over.resolve(error);
    this.#port.destroy();
    for (const sink of this.#calls.settleAll()) loseCall(sink, error);
  }
}

/** Frames that say something of a stream or a command, and carry nothing of it. */
const TOLD: ReadonlyMap<Kind, string> = new Map([
  [Kind.Eof, "eof"],
  [Kind.Stop, "stop"],
  [Kind.Signal, "signal"],
  [Kind.Resize, "resize"],
]);

function traceFrame(how: "sent" | "received", kind: Kind, call: number, stream: Stream): void {
  const name = TOLD.get(kind);
  if (name === undefined || !isTraced("agent")) return;
  const event = `${how} ${name} of stream ${stream}`;
  trace("agent", { id: call, from: "open", to: "open", event });
}

/** Writes everything and ends the stream. The call's result says more than a failed write. */
async function send(
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

function uint32(bytes: Uint8Array): number {
  return new DataView(bytes.buffer, bytes.byteOffset, 4).getUint32(0);
}

function gone(cause: unknown): SbxError {
  return new SbxError(
    "GUEST_LOST",
    "Cannot reach the guest: its agent is gone",
    cause instanceof Error ? { cause } : {},
  );
}

function unusable(doing: string, path: string): (failure: AgentFailure) => SbxError {
  return ({ message }) =>
    new SbxError("FILE_UNREADABLE", `Cannot ${doing} ${escapeText(path)} in the guest: ${message}`);
}
