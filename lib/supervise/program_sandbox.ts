/**
 * `sbx __sandbox`: the process that has the sandbox of a program which uses sbx as a library. The program starts it,
 * and speaks with it over an inherited socket; the end of that is the sandbox's, whatever ended the program.
 *
 * ```
 * waiting ─ create ─► starting ─► running ─┬─ stop, give up, the socket's end ─► over
 *                        └─ fails ─► over  └─ the machine ends by itself ──────► over
 * ```
 *
 * @module
 */
import process from "node:process";
import { SbxError } from "../base/errors.ts";
import { failureOf } from "../base/failure.ts";
import { buildInfo } from "../host/build_info.ts";
import { channelStream } from "../host/channel_stream.ts";
import { PORT_FD } from "../host/spawn_sandbox.ts";
import { LineCutter } from "../journal/line_cutter.ts";
import type { PolicyChange } from "../journal/policy_change.ts";
import type { Publication, PublishedPort } from "../sandbox/options.ts";
import type { PortSelection, Unpublished } from "../sandbox/publication.ts";
import type { Sandbox } from "../sandbox/sandbox.ts";
import { start } from "../sandbox/start.ts";
import { serveCalls, type ServedCall } from "../wire/call_server.ts";
import type { Fields } from "../wire/call_result.ts";
import {
  createdOptions,
  type CreateRequest,
  type Ended,
  fromProgram,
  type Told,
} from "./program_protocol.ts";
import { LineWriter } from "./line_writer.ts";
import { OpenCalls } from "./open_calls.ts";
import { AskedValues } from "./program_values.ts";
import { settingsOf } from "./record.ts";
import { answer, type Supervised } from "./service.ts";
import type { SandboxState } from "./state.ts";

/** Lines that may wait for a program which does not read. */
const MOST_UNREAD = 10_000;

/** Resolves to this process's exit status when program and sandbox are gone. */
export async function serveProgram(): Promise<number> {
  const sandbox = new ProgramSandbox();
  await serveCalls(channelStream(PORT_FD), (call) => sandbox.serve(call));
  await sandbox.stop();
  return 0;
}

class ProgramSandbox implements Supervised {
  readonly sbx: string = buildInfo()["sbx"] ?? "";
  readonly jobs = undefined;
  readonly #halt = new AbortController();
  #name = "sandbox";
  #values: CreateRequest["values"] = {};
  #state: SandboxState = { kind: "created", at: Date.now() };
  #sandbox: Sandbox | undefined;
  #over: Promise<unknown> = Promise.resolve();
  /** Calls that are being answered, but for those that last as long as the sandbox. */
  readonly #calls = new OpenCalls();

  get name(): string {
    return this.#name;
  }

  get state(): SandboxState {
    return this.#state;
  }

  get sandbox(): Sandbox | undefined {
    return this.#sandbox;
  }

  serve(call: ServedCall): Promise<Fields> {
    const answered = answer(this, call);
    if (["create", "stop"].includes(String(call.request.method))) return answered;
    return this.#calls.add(answered);
  }

  /** Answers at the sandbox's end. @throws SbxError what the start failed of */
  async create(request: CreateRequest, call: ServedCall): Promise<Fields> {
    if (this.#state.kind !== "created") {
      throw new SbxError("PROTOCOL", "Cannot create a sandbox: this process has one");
    }
    this.#state = { kind: "starting", at: Date.now(), pid: process.pid };
    const { name } = request;
    this.#name = name;
    this.#values = request.values;
    const told = new ToldLines(call.output);
    const values = new AskedValues((ask, secret) => told.tell({ ask, secret }));
    void hear(call.input, values);
    call.onSignal = () => this.#halt.abort();
    call.gone.addEventListener("abort", () => this.#halt.abort());
    const options = createdOptions(request, (secret) => values.of(secret));
    const running = this.#run(
      start({
        ...options,
        onNotice: (notice, topic) =>
          told.tell({ notice, ...(topic === undefined ? {} : { topic }) }),
        onDenial: (denial) => told.tell({ denial }),
      }, { endsProcess: true, isShared: true, signal: this.#halt.signal }),
      told,
    );
    this.#over = running.catch(() => {});
    return { ...await running };
  }

  async #run(starting: Promise<Sandbox>, told: ToldLines): Promise<Ended> {
    const sandbox = await starting;
    const { accelerator, template, published } = sandbox;
    this.#sandbox = sandbox;
    const halt = () => void sandbox.stop();
    this.#halt.signal.addEventListener("abort", halt);
    if (this.#halt.signal.aborted) halt();
    this.#state = {
      kind: "running",
      at: Date.now(),
      pid: process.pid,
      accelerator,
      published: [...published],
      restarts: 0,
    };
    told.tell({ ready: { accelerator, template, published } });
    const error = await sandbox.ended;
    await sandbox.stop();
    // The program closes the socket when it has the answer; until then it hears what else there is to say.
    await this.#calls.farewell(told.settled());
    const summary = sandbox.summary();
    return {
      ...(error === undefined ? {} : { failure: failureOf(error) }),
      ...(summary === undefined ? {} : { summary }),
    };
  }

  async applyPolicy(
    policy: Readonly<Record<string, unknown>>,
    dryRun: boolean,
  ): Promise<PolicyChange> {
    const { secrets, ...settings } = settingsOf(this.#name, policy);
    const whole = secrets === undefined ? {} : { secrets: fromProgram(secrets, this.#values) };
    return await this.#running().applyPolicy({ ...settings, ...whole }, { dryRun });
  }

  async publish(publication: Publication): Promise<readonly PublishedPort[]> {
    return await this.#running().publish(publication);
  }

  async unpublish(selection: PortSelection): Promise<Unpublished> {
    return await this.#running().unpublish(selection);
  }

  async stop(): Promise<void> {
    this.#halt.abort();
    await this.#over;
  }

  #running(): Sandbox {
    if (this.#sandbox !== undefined) return this.#sandbox;
    throw new SbxError("STOPPED", "Cannot use the sandbox: it is being started");
  }
}

/** What is told, a line each; of a program that does not read, notices and denials are counted. */
class ToldLines {
  readonly #lines: LineWriter;
  #unread = 0;
  #lost = 0;
  #last: Promise<void> = Promise.resolve();

  constructor(output: WritableStream<Uint8Array>) {
    this.#lines = new LineWriter(output);
    this.#lines.closed.catch(() => {}); // it reads no more, or is gone
  }

  tell(line: Told): void {
    const mayBeLost = "notice" in line || "denial" in line;
    if (mayBeLost && this.#unread >= MOST_UNREAD) {
      this.#lost++;
      return;
    }
    if (this.#lost > 0) this.#write({ lost: this.#lost });
    this.#lost = 0;
    this.#write(line);
  }

  /** Resolves when all that was told until now was taken. */
  async settled(): Promise<void> {
    await this.#last;
  }

  #write(line: Told): void {
    this.#unread++;
    this.#last = this.#lines.tell(line).catch(() => {}).then(() => void this.#unread--);
  }
}

/** The program's answers. What is none ends the hearing, and who waits for a value has a limit. */
async function hear(input: ReadableStream<Uint8Array>, values: AskedValues): Promise<void> {
  const lines = new LineCutter();
  try {
    for await (const bytes of input) {
      for (const line of lines.push(bytes)) if (line !== null) values.answer(line);
    }
  } catch (error) {
    if (!(error instanceof SbxError || error instanceof SyntaxError)) throw error;
  }
}
