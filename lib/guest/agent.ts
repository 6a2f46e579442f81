/**
 * The host's end of the agent's port: calls, and the streams of commands with credit both ways.
 *
 * @module
 */
import type { Duplex } from "node:stream";
import { SbxError } from "../base/errors.ts";
import {
  AgentFrameReader,
  encodeAgentFrame,
  Kind,
  MAX_DATA,
  MAX_MESSAGE,
  Stream,
  WINDOW,
} from "./agent_frame.ts";
import type { ExecSpec, GuestProcess } from "./guest.ts";

/** What `configure` tells the agent; the names are the protocol's. */
export interface AgentConfig {
  readonly hostname: string;
  readonly timeNs: number;
  /** Base64. */
  readonly entropy: string;
  readonly network?: Readonly<Record<string, string | number>>;
  readonly trees: readonly { readonly tag: string; readonly at: string }[];
  readonly mounts: readonly {
    readonly tag: string;
    readonly at: string;
    readonly readOnly: boolean;
  }[];
  readonly links: Readonly<Record<string, string>>;
  readonly files: readonly {
    readonly path: string;
    readonly data?: string;
    readonly link?: string;
  }[];
}

/** What a call answers with: `ok` or `error`. */
interface Result {
  readonly ok?: unknown;
  readonly error?: { readonly code: string; readonly message: string };
}

/** Receives the frames of one call. */
interface CallSink {
  data(stream: number, payload: Uint8Array<ArrayBuffer>): void;
  eof(stream: number): void;
  credit(bytes: number): void;
  stop(): void;
  result(result: Result): void;
  lost(error: SbxError): void;
}

const ERROR_CODES = {
  "not-found": "EXEC_NOT_FOUND",
  "not-executable": "EXEC_NOT_EXECUTABLE",
} as const;

export class Agent {
  readonly #port: Duplex;
  readonly #calls = new Map<number, CallSink>();
  readonly #reader = new AgentFrameReader();
  #nextCall = 1;
  #lost: SbxError | undefined;

  constructor(port: Duplex) {
    this.#port = port;
    port.on("data", (bytes: Uint8Array) => {
      try {
        for (const frame of this.#reader.push(bytes)) this.#take(frame.kind, frame);
      } catch (error) {
        if (!(error instanceof SbxError)) throw error;
        this.#lose(error);
      }
    });
    port.on("error", () => this.#lose(gone()));
    port.on("close", () => this.#lose(gone()));
    port.on("end", () => this.#lose(gone()));
  }

  /** Resolves when the agent is up and the machine is set up for commands. */
  configure(config: AgentConfig): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#call("configure", { configure: config }, {
      data: () => {},
      eof: () => {},
      credit: () => {},
      stop: () => {},
      lost: reject,
      result: ({ error }) => {
        if (error === undefined) return resolve();
        reject(new SbxError("GUEST_START", `Cannot set up the guest: ${error.message}`));
      },
    });
    return promise;
  }

  exec(spec: ExecSpec): GuestProcess {
    return new Command(spec, (sink) => {
      const call = this.#call("exec", { exec: spec }, sink);
      return (kind, stream, payload) => this.#send(kind, call, stream, payload);
    });
  }

  #call(method: string, fields: Readonly<Record<string, unknown>>, sink: CallSink): number {
    const call = this.#nextCall++;
    const body = new TextEncoder().encode(JSON.stringify({ method, ...fields }));
    if (body.length > MAX_MESSAGE) {
      throw new SbxError("USAGE", "Cannot run the command: its arguments are over 1 MiB");
    }
    if (this.#lost !== undefined) {
      const lost = this.#lost;
      queueMicrotask(() => sink.lost(lost));
      return call;
    }
    this.#calls.set(call, sink);
    this.#send(Kind.Call, call, 0, body);
    return call;
  }

  #send(kind: Kind, call: number, stream: number, payload?: Uint8Array): void {
    if (this.#lost === undefined) this.#port.write(encodeAgentFrame(kind, call, stream, payload));
  }

  #take(
    kind: Kind,
    { call, stream, payload }: { call: number; stream: number; payload: Uint8Array<ArrayBuffer> },
  ): void {
    const sink = this.#calls.get(call);
    if (sink === undefined) return;
    if (kind === Kind.Data) sink.data(stream, payload);
    else if (kind === Kind.Eof) sink.eof(stream);
    else if (kind === Kind.Stop) sink.stop();
    else if (kind === Kind.Credit) sink.credit(new DataView(payload.buffer).getUint32(0));
    else if (kind === Kind.Result) {
      this.#calls.delete(call);
      sink.result(parseResult(payload));
    }
  }

  #lose(error: SbxError): void {
    if (this.#lost !== undefined) return;
    this.#lost = error;
    this.#port.destroy();
    for (const sink of this.#calls.values()) sink.lost(error);
    this.#calls.clear();
  }
}

function gone(): SbxError {
  return new SbxError("GUEST_LOST", "Cannot reach the guest: its agent is gone");
}

function parseResult(payload: Uint8Array): Result {
  try {
    const value = JSON.parse(new TextDecoder().decode(payload));
    if (typeof value === "object" && value !== null) return value;
  } catch {
    // below
  }
  throw new SbxError("PROTOCOL", "Cannot follow the guest's agent: malformed result");
}

type SendFrame = (kind: Kind, stream: number, payload?: Uint8Array) => void;

/** One running command: web streams over the call's frames. */
class Command implements GuestProcess {
  readonly stdin: WritableStream<Uint8Array>;
  readonly stdout: ReadableStream<Uint8Array>;
  readonly stderr: ReadableStream<Uint8Array>;
  readonly exit: Promise<{ readonly code?: number; readonly signal?: number }>;
  readonly #send: SendFrame;

  constructor(spec: ExecSpec, start: (sink: CallSink) => SendFrame) {
    const exit = Promise.withResolvers<{ code?: number; signal?: number }>();
    this.exit = exit.promise;
    this.exit.catch(() => {});
    const send: SendFrame = (kind, stream, payload) => this.#send(kind, stream, payload);
    const input = new InputStream(send, spec.stdin);
    const out = new OutputStream(Stream.Stdout, send);
    const err = new OutputStream(Stream.Stderr, send);
    this.stdin = input.stream;
    this.stdout = out.stream;
    this.stderr = err.stream;
    this.#send = start({
      data: (stream, payload) => (stream === Stream.Stderr ? err : out).push(payload),
      eof: (stream) => (stream === Stream.Stderr ? err : out).end(),
      credit: (bytes) => input.credit(bytes),
      stop: () => input.stop(),
      result: ({ ok, error }) => {
        input.stop();
        if (error !== undefined) {
          const code = ERROR_CODES[error.code as keyof typeof ERROR_CODES] ?? "GUEST_LOST";
          return exit.reject(new SbxError(code, `Cannot run the command: ${error.message}`));
        }
        exit.resolve(ok as { code?: number; signal?: number });
      },
      lost: (error) => {
        input.stop();
        out.fail(error);
        err.fail(error);
        exit.reject(error);
      },
    });
  }

  signal(number: number): void {
    this.#send(Kind.Signal, 0, Uint8Array.of(number));
  }

  resize(cols: number, rows: number): void {
    const size = new Uint8Array(4);
    const view = new DataView(size.buffer);
    view.setUint16(0, cols);
    view.setUint16(2, rows);
    this.#send(Kind.Resize, 0, size);
  }
}

/** The command's input: writes wait for the agent's credit. */
class InputStream {
  readonly stream: WritableStream<Uint8Array>;
  #budget = WINDOW;
  #stopped = false;
  #wake: () => void = () => {};

  constructor(send: SendFrame, wanted: boolean) {
    this.stream = new WritableStream<Uint8Array>({
      write: async (chunk) => {
        for (let at = 0; at < chunk.length && !this.#stopped;) {
          if (this.#budget === 0) await new Promise<void>((resolve) => this.#wake = resolve);
          const part = chunk.subarray(at, at + Math.min(this.#budget, MAX_DATA));
          if (part.length === 0) continue;
          this.#budget -= part.length;
          at += part.length;
          send(Kind.Data, Stream.Stdin, part);
        }
        // As a pipe whose reader is gone: the writer should stop.
        if (this.#stopped) throw new SbxError("STOPPED", "Cannot write: the command reads no more");
      },
      close: () => {
        if (wanted) send(Kind.Eof, Stream.Stdin);
      },
      abort: () => {
        if (wanted) send(Kind.Eof, Stream.Stdin);
      },
    });
  }

  credit(bytes: number): void {
    this.#budget += bytes;
    this.#wake();
  }

  stop(): void {
    this.#stopped = true;
    this.#wake();
  }
}

/** One of the command's outputs; credit goes back as the consumer reads. */
class OutputStream {
  readonly stream: ReadableStream<Uint8Array>;
  #controller: ReadableStreamDefaultController<Uint8Array> | undefined;
  readonly #send: SendFrame;
  readonly #id: number;
  /** What the agent may still send. */
  #window = WINDOW;
  #queue: Uint8Array<ArrayBuffer>[] = [];
  #ended = false;
  #over = false;
  #wanted = false;

  constructor(id: number, send: SendFrame) {
    this.#id = id;
    this.#send = send;
    this.stream = new ReadableStream<Uint8Array>({
      start: (controller) => {
        this.#controller = controller;
      },
      pull: () => {
        this.#wanted = true;
        this.#deliver();
      },
      cancel: () => {
        this.#over = true;
        this.#queue = [];
      },
    }, { highWaterMark: 1 });
  }

  /** @throws SbxError PROTOCOL when the agent overruns its credit. */
  push(payload: Uint8Array<ArrayBuffer>): void {
    this.#window -= payload.length;
    if (this.#window < 0) {
      throw new SbxError("PROTOCOL", "Cannot follow the guest's agent: it overran its credit");
    }
    this.#queue.push(payload);
    this.#deliver();
  }

  end(): void {
    this.#ended = true;
    this.#deliver();
  }

  fail(error: SbxError): void {
    if (!this.#over) this.#controller?.error(error);
    this.#over = true;
  }

  #deliver(): void {
    if (this.#over) return this.#discard();
    while (this.#wanted) {
      const payload = this.#queue.shift();
      if (payload === undefined) break;
      this.#wanted = false;
      this.#repay(payload.length);
      this.#controller?.enqueue(payload);
    }
    if (this.#ended && this.#queue.length === 0) {
      this.#over = true;
      this.#controller?.close();
    }
  }

  /** Nobody reads: the command must not block for that. */
  #discard(): void {
    for (const payload of this.#queue) this.#repay(payload.length);
    this.#queue = [];
  }

  #repay(bytes: number): void {
    this.#window += bytes;
    const credit = new Uint8Array(4);
    new DataView(credit.buffer).setUint32(0, bytes);
    this.#send(Kind.Credit, this.#id, credit);
  }
}
