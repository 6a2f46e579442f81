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
import { SbxError } from "../base/errors.ts";
import { type CallSink, callStreams, endStreams, loseCall, type SendFrame } from "./agent_call.ts";
import { Command } from "./agent_command.ts";
import {
  type AgentFrame,
  AgentFrameReader,
  encodeAgentFrame,
  Kind,
  MAX_CALL,
  MAX_REQUEST,
  Stream,
} from "./agent_frame.ts";
import type { Inflow } from "./agent_inflow.ts";
import type { Outflow } from "./agent_outflow.ts";
import {
  type AgentFailure,
  type AgentResult,
  type FileInfo,
  fileInfo,
  parseResult,
} from "./agent_result.ts";
import type { ExecSpec, GuestProcess } from "./guest.ts";

/** What `configure` tells the agent; the names are the protocol's. */
export interface AgentConfig {
  readonly hostname: string;
  /** Nanoseconds since 1970. */
  readonly timeNs: number;
  /** At least 32 random bytes, in base64. */
  readonly entropy: string;
  /** Where commands start. */
  readonly home: string;
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
  readonly mounts: readonly {
    readonly tag: string;
    readonly at: string;
    readonly readOnly: boolean;
  }[];
  /** Links of the root, such as `bin` to `usr/bin`. */
  readonly links: Readonly<Record<string, string>>;
}

interface PlainCall {
  readonly input: Outflow;
  readonly output: Inflow;
  readonly result: Promise<AgentResult>;
  /** The result's content; rejects on a failure. */
  readonly ok: Promise<Readonly<Record<string, unknown>>>;
}

export class Agent {
  readonly #port: Duplex;
  readonly #calls = new Map<number, CallSink>();
  readonly #reader = new AgentFrameReader();
  #lastCall = 0;
  #lost: SbxError | undefined;
  readonly #over = Promise.withResolvers<SbxError>();

  /** Settles when the agent cannot be reached any more: `GUEST_LOST`, or `PROTOCOL` for its fault. */
  readonly lost: Promise<SbxError> = this.#over.promise;

  /** Takes over the port, of which nothing was read. */
  constructor(port: Duplex) {
    this.#port = port;
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

  /**
   * Runs a command. Like a pipe's, its output must be read for it to go on and its status to come.
   *
   * @throws SbxError USAGE for arguments or an environment that no command can have.
   */
  exec(spec: ExecSpec): GuestProcess {
    return new Command(spec, (request, sink) => this.#call(request, sink));
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
      throw new SbxError("USAGE", "Cannot run the command: its arguments are over 1 MiB");
    }
    if (this.#lastCall === MAX_CALL) {
      throw new SbxError("STOPPED", "Cannot call the guest: it has had 16 million calls");
    }
    const call = ++this.#lastCall;
    const send: SendFrame = (kind, stream, payload) => {
      if (this.#calls.has(call)) this.#port.write(encodeAgentFrame(kind, call, stream, payload));
    };
    if (this.#lost === undefined) {
      this.#calls.set(call, sink);
      send(Kind.Call, Stream.Input, body);
    } else {
      loseCall(sink, this.#lost);
    }
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
    const sink = this.#calls.get(call);
    if (sink === undefined) {
      throw new SbxError("PROTOCOL", "Cannot follow the guest's agent: it answered no open call");
    }
    const output = sink.outputs[stream === Stream.Errors ? Stream.Errors : Stream.Output];
    switch (kind) {
      case Kind.Data:
        return output.push(payload);
      case Kind.Eof:
        return output.end();
      case Kind.Credit:
        return sink.input.credit(uint32(payload));
      case Kind.Stop:
        return sink.input.stop();
      case Kind.Result: {
        sink.result(parseResult(payload)); // on an error the call is still open, to be lost
        this.#calls.delete(call);
        endStreams(sink);
      }
    }
  }

  #lose(error: SbxError): void {
    if (this.#lost !== undefined) return;
    this.#lost = error;
    this.#over.resolve(error);
    this.#port.destroy();
    const calls = [...this.#calls.values()];
    this.#calls.clear();
    for (const sink of calls) loseCall(sink, error);
  }
}

/** Writes everything and ends the stream. The call's result says more than a failed write. */
async function send(
  to: Outflow,
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
    new SbxError("FILE_UNREADABLE", `Cannot ${doing} ${path} in the guest: ${message}`);
}
