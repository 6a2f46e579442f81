/**
 * A running sandbox as its supervisor shows it to others.
 *
 * @module
 */
import type { Duplex } from "node:stream";
import { SbxError } from "../base/errors.ts";
import { errorOf } from "../base/failure.ts";
import { systemCode } from "../base/file_error.ts";
import { untilAborted } from "../base/until.ts";
import { Command, commandRequest, type CommandServer } from "../guest/agent/command.ts";
import { fileRequest } from "../guest/agent/file_call.ts";
import { commandStatus } from "../guest/agent/result.ts";
import type { FileGuest } from "../guest/files.ts";
import type { Proven } from "../guest/lima/proof_part.ts";
import type { CommandExit, ExecSpec, FrozenDisk } from "../guest/guest.ts";
import type { HeldMachine } from "../guest/saved.ts";
import { buildInfo } from "../host/build_info.ts";
import { connectTo } from "../host/unix_socket.ts";
import type { SandboxFiles } from "../sandbox/files.ts";
import { GuestFiles } from "../sandbox/guest_files.ts";
import type { PolicyChange } from "../journal/policy_change.ts";
import type { ApplyChangesOptions, ApplyReport, Changes } from "../sandbox/changes/change.ts";
import type { NetworkSummary } from "../journal/summary.ts";
import type { EventsOptions, SandboxEvent } from "../sandbox/events.ts";
import { Lifetime } from "../sandbox/lifetime.ts";
import type { SandboxMetrics } from "../sandbox/metrics.ts";
import type { Publication, PublishedPort } from "../sandbox/options.ts";
import type { PortSelection, Unpublished } from "../sandbox/publication.ts";
import { SandboxProcess } from "../sandbox/process.ts";
import { type ExecOptions, requireExec } from "../sandbox/exec_options.ts";
import type { WaitOptions } from "../sandbox/wait_for_port.ts";
import { CallClient, type PlainCall } from "../wire/call_client.ts";
import { GIVE_UP, type Peer, serverBounds } from "../wire/call_frame.ts";
import type { Fields } from "../wire/call_result.ts";
import { type OpenCall, openCall } from "../wire/open_call.ts";
import type { JobInfo } from "./jobs.ts";
import { heardApplied, heardChanges } from "./change_lines.ts";
import { readEvents } from "./event_lines.ts";
import type { CreateRequest } from "./program_protocol.ts";
import { MAX_RESULT, PROTOCOL } from "./protocol.ts";
import type { KeptSandbox } from "./registry.ts";
import type { SandboxState } from "./state.ts";
import { frozenFor, heldFor } from "./stillness_call.ts";

/** How long a supervisor may take to say who it is. */
const HELLO_MS = 10_000;

/** What of a job's output is wanted, and for how long. */
export interface AttachRequest {
  readonly from?: number;
  readonly signal?: AbortSignal;
}

/** It bounds itself how long a command may take to end; for as long as it answers, that is its business. */
const UNBOUNDED = Infinity;

/** Whose sandbox it is: what its end is called, and what ends with it. */
interface Owner {
  readonly gone: () => SbxError;
  readonly lifetime: Lifetime;
}

export class SupervisorClient implements Disposable {
  readonly #name: string;
  readonly #peer: Peer;
  readonly #calls: CallClient;
  readonly #lifetime: Lifetime;

  private constructor(name: string, port: Duplex, { gone, lifetime }: Owner) {
    this.#name = name;
    this.#peer = { name: `the supervisor of ${name}`, sends: serverBounds(MAX_RESULT) };
    this.#calls = new CallClient(port, { peer: this.#peer, traced: "agent", gone });
    this.#lifetime = lifetime;
    this.#lifetime.add({
      name: this.#peer.name,
      gone: this.#calls.lost,
      stop: () => this.#calls.close(),
    });
  }

  /** @throws SbxError STOPPED when it does not run, PROTOCOL for a supervisor that speaks otherwise */
  static async connect({ name, home, status }: KeptSandbox): Promise<SupervisorClient> {
    let port: Duplex;
    try {
      port = await connectTo(home.control);
    } catch (cause) {
      if (!["ENOENT", "ECONNREFUSED"].includes(systemCode(cause) ?? "")) throw cause;
      throw notRunning(name, status);
    }
    const gone = () =>
      new SbxError("SUPERVISOR_LOST", `Cannot go on with sandbox ${name}: its supervisor is gone`, {
        hint: `see what became of it with 'sbx inspect ${name}'`,
      });
    const client = new SupervisorClient(name, port, { gone, lifetime: new Lifetime() });
    try {
      await client.greet();
      return client;
    } catch (error) {
      client.close();
      throw error;
    }
  }

  /** Over the socket of a process that has a program's sandbox, or will; not greeted yet. */
  static ofProgram(name: string, port: Duplex, lifetime: Lifetime): SupervisorClient {
    const gone = () =>
      new SbxError("SUPERVISOR_LOST", `Cannot go on with sandbox ${name}: its process is gone`, {
        hint: "what it said last is in the errors of this program",
      });
    return new SupervisorClient(name, port, { gone, lifetime });
  }

  /** @throws SbxError PROTOCOL for a supervisor that speaks otherwise, SUPERVISOR_LOST with that hint for one that is silent */
  async greet(limitMs = HELLO_MS, hint = `end it with 'sbx kill ${this.#name}'`): Promise<void> {
    const late = AbortSignal.timeout(limitMs);
    const hello = { method: "hello", protocol: PROTOCOL, sbx: buildInfo()["sbx"] ?? "" };
    const { protocol, sbx } = await this.#ask(hello, late).catch((error) => {
      throw late.aborted ? unanswered(this.#name, limitMs, hint) : error;
    });
    if (protocol === PROTOCOL) return;
    throw new SbxError(
      "PROTOCOL",
      `Cannot use sandbox ${this.#name}: its supervisor is sbx ${
        String(sbx)
      }, which speaks otherwise`,
      { hint: "stop it with that version, or end its process, and start it again" },
    );
  }

  /** Has the process start a program's sandbox; the call ends with it. */
  create(request: CreateRequest): PlainCall {
    return this.#calls.plain({ method: "create", ...request }, errorOf);
  }

  /** As of a sandbox of this process's own. The command does not outlive this connection. @throws SbxError USAGE */
  exec(command: string, args: readonly string[] = [], options: ExecOptions = {}): SandboxProcess {
    requireExec(command, args, options);
    const { signal } = options;
    signal?.throwIfAborted();
    const request = commandRequest("exec", specOf([command, ...args], options));
    const child = this.#open(request, exitOf);
    return new SandboxProcess(child, this.#lifetime, {
      questions: UNBOUNDED,
      ...(signal === undefined ? {} : { signal }),
    });
  }

  /** The guest's files. `user`: whom what is made belongs to; root when absent. */
  files(user: string | undefined): SandboxFiles {
    const server = { calls: this.#calls, peer: this.#peer, failure: errorOf };
    const guest: FileGuest = {
      files: (request) => openCall({ method: "files", request: fileRequest(request) }, server),
    };
    return new GuestFiles({
      guest,
      lifetime: this.#lifetime,
      loss: "SUPERVISOR_LOST",
      ...(user === undefined ? {} : { user }),
    });
  }

  /** Starts a command that goes on without anybody, whose signal ends the wait alone. @throws SbxError as `exec` */
  async startJob(argv: readonly string[], options: ExecOptions = {}): Promise<JobInfo> {
    const [command = "", ...args] = argv;
    requireExec(command, args, options);
    const request = commandRequest("start-job", specOf(argv, options));
    const { job } = await this.#ask(request, options.signal);
    return job as JobInfo;
  }

  /** `policy`: as a policy file would have it. @throws SbxError as `Sandbox.applyPolicy` */
  async applyPolicy(
    policy: Readonly<Record<string, unknown>>,
    dryRun: boolean,
    signal?: AbortSignal,
  ): Promise<PolicyChange> {
    const { change } = await this.#ask({ method: "apply-policy", policy, dryRun }, signal);
    return change as PolicyChange;
  }

  /** `texts`: each change of a text has its patch. @throws SbxError as `Sandbox.diff` */
  async diff(
    paths: readonly string[],
    texts: boolean,
    signal?: AbortSignal,
  ): Promise<Changes> {
    signal?.throwIfAborted();
    const call = this.#calls.plain({ method: "diff", paths, texts }, errorOf);
    return await answered(heardChanges(call.output.stream, call.ok), call, signal);
  }

  /** @throws SbxError as `Sandbox.apply` */
  async apply(
    { paths = [], dryRun = false, force = false, includeUnsafe = false, digest }:
      ApplyChangesOptions,
    signal?: AbortSignal,
  ): Promise<ApplyReport> {
    signal?.throwIfAborted();
    const overrules = { dryRun, force, includeUnsafe };
    const exact = digest === undefined ? {} : { digest };
    const call = this.#calls.plain({ method: "apply", paths, ...overrules, ...exact }, errorOf);
    const heard = heardApplied(call.output.stream);
    return await answered(Promise.all([heard, call.ok]).then(([report]) => report), call, signal);
  }

  /** @throws SbxError as `Sandbox.publish` */
  async publish(
    publication: Publication,
    signal?: AbortSignal,
  ): Promise<readonly PublishedPort[]> {
    const { published } = await this.#ask({ method: "publish", ...publication }, signal);
    return published as PublishedPort[];
  }

  /** @throws SbxError as `Sandbox.unpublish` */
  async unpublish(selection: PortSelection, signal?: AbortSignal): Promise<Unpublished> {
    const { ports, connections } = await this.#ask({ method: "unpublish", ...selection }, signal);
    return { ports, connections } as Unpublished;
  }

  /** @throws SbxError as `Sandbox.waitForPort` */
  async waitForPort(port: number, options: WaitOptions): Promise<readonly string[]> {
    const { timeoutMs, signal } = options;
    const limit = timeoutMs === undefined ? {} : { timeoutMs };
    const request = { method: "wait-for-port", port, ...limit };
    return (await this.#ask(request, signal)).addresses as string[];
  }

  /** A connection to a port of the guest; see `Sandbox.connect`. */
  connect(port: number): OpenCall {
    const server = { calls: this.#calls, peer: this.#peer, failure: errorOf };
    return openCall({ method: "connect", port }, server);
  }

  async metrics(signal?: AbortSignal): Promise<SandboxMetrics> {
    return (await this.#ask({ method: "metrics" }, signal)).metrics as SandboxMetrics;
  }

  /** Has whoever writes to its disk wait, until told to go on or this connection ends. @throws SbxError DISK_MISSING */
  async freeze(signal?: AbortSignal): Promise<FrozenDisk> {
    signal?.throwIfAborted();
    const call = this.#calls.plain({ method: "freeze", beats: true }, errorOf);
    return await answered(frozenFor(call), call, signal);
  }

  /**
   * Has the machine stand still, saved, until it is released or this connection ends.
   *
   * @throws SbxError MEMORY_UNSAVABLE, and what the machine says against it
   */
  async save(signal?: AbortSignal): Promise<HeldMachine> {
    signal?.throwIfAborted();
    const call = this.#calls.plain({ method: "save", beats: true }, errorOf);
    return await answered(heldFor(call), call, signal);
  }

  /** As of `Sandbox.prove`. @throws SbxError USAGE for one that needs no proof */
  async prove(signal?: AbortSignal): Promise<readonly Proven[]> {
    return (await this.#ask({ method: "prove" }, signal)).proof as Proven[];
  }

  /** Counts of its network so far; undefined without one. */
  async summary(signal?: AbortSignal): Promise<NetworkSummary | undefined> {
    return (await this.#ask({ method: "summary" }, signal)).summary as NetworkSummary | undefined;
  }

  /** What happens from now on, until the sandbox's end or the reader's; what waits for him is bounded. */
  events({ kinds, signal }: EventsOptions): AsyncGenerator<SandboxEvent, void> {
    const request = { method: "events", ...(kinds === undefined ? {} : { kinds }) };
    const { output, giveUp } = this.#calls.plain(request, errorOf);
    return readEvents(output.stream, { giveUp, ...(signal === undefined ? {} : { signal }) });
  }

  /** Those that run, and those that ended lately. */
  async jobs(signal?: AbortSignal): Promise<readonly JobInfo[]> {
    return (await this.#ask({ method: "jobs" }, signal)).jobs as JobInfo[];
  }

  /** Resolves at the job's end. @throws SbxError JOB_MISSING */
  async wait(job: string, signal?: AbortSignal): Promise<JobInfo> {
    return (await this.#ask({ method: "wait", job }, signal)).job as JobInfo;
  }

  /** @throws SbxError JOB_MISSING */
  async signal(job: string, signal: number, abort?: AbortSignal): Promise<void> {
    await this.#ask({ method: "signal", job, signal }, abort);
  }

  /**
   * What a job prints, from an offset on, and its input. Its streams end when this connection does; the job
   * goes on.
   */
  attach(job: string, { from = 0, signal }: AttachRequest = {}): SandboxProcess {
    signal?.throwIfAborted();
    const command = this.#open({ method: "attach", job, from }, async (ok) => {
      const { exit, error } = await Promise.resolve(ok.job as JobInfo);
      if (exit !== undefined) return exit;
      signal?.throwIfAborted();
      throw errorOf({
        code: error?.code ?? "GUEST_LOST",
        message: error?.message ?? `Cannot say how job ${job} ended: it has not`,
      });
    });
    const leave = () => command.signal(GIVE_UP);
    signal?.addEventListener("abort", leave, { once: true });
    void command.exit.catch(() => {}).then(() => signal?.removeEventListener("abort", leave));
    return new SandboxProcess(command, this.#lifetime, { questions: UNBOUNDED });
  }

  async state(): Promise<SandboxState> {
    return (await this.#ask({ method: "status" })).state as SandboxState;
  }

  /**
   * Ends the sandbox, or its start; resolves when nothing of it is left. Its main command is asked first, and
   * has so many milliseconds.
   */
  async stop(graceMs: number, signal?: AbortSignal): Promise<void> {
    await this.#ask({ method: "stop", graceMs }, signal).catch((error) => {
      if (!(error instanceof SbxError && error.code === "SUPERVISOR_LOST")) throw error;
    }); // which is the end as well
    await untilAborted(this.#calls.lost, signal);
  }

  close(): void {
    this.#calls.close();
  }

  /** Whether the supervisor can still be reached. */
  get isOpen(): boolean {
    return this.#lifetime.open;
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #open(request: Fields, exit: CommandServer["exit"]): Command {
    return new Command(request, {
      calls: this.#calls,
      peer: this.#peer,
      answers: () => this.#ask({ method: "ping" }),
      exit,
      failure: errorOf,
    });
  }

  async #ask(request: Fields, signal?: AbortSignal): Promise<Fields> {
    signal?.throwIfAborted();
    const call = this.#calls.plain(request, errorOf);
    return await answered(call.ok, call, signal);
  }
}

/** What is waited for of a call, which is given up with the wait. */
async function answered<T>(
  answer: Promise<T>,
  { giveUp }: Pick<PlainCall, "giveUp">,
  signal: AbortSignal | undefined,
): Promise<T> {
  signal?.addEventListener("abort", giveUp, { once: true });
  return await untilAborted(answer, signal)
    .finally(() => signal?.removeEventListener("abort", giveUp));
}

function unanswered(name: string, limitMs: number, hint: string): SbxError {
  const seconds = limitMs / 1_000;
  return new SbxError(
    "SUPERVISOR_LOST",
    `Cannot use sandbox ${name}: its supervisor has not answered for ${seconds} seconds`,
    { hint },
  );
}

function specOf(argv: readonly string[], options: ExecOptions): ExecSpec & { timeoutMs?: number } {
  const { env = {}, workdir, user, tty, stdin = true, closed, timeoutMs } = options;
  return {
    argv,
    env,
    stdin,
    ...(workdir === undefined ? {} : { cwd: workdir }),
    ...(user === undefined ? {} : { user }),
    ...(tty === undefined ? {} : { tty: { cols: tty.columns, rows: tty.rows, term: tty.term } }),
    ...(closed === undefined ? {} : { closed }),
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
  };
}

function exitOf(ok: Fields): CommandExit {
  return { ...commandStatus(ok), timedOut: ok.timedOut === true };
}

function notRunning(name: string, status: KeptSandbox["status"]): SbxError {
  const state = status === "lost" ? "its supervisor was ended" : "it is not running";
  return new SbxError("STOPPED", `Cannot use sandbox ${name}: ${state}`, {
    hint: `start it with 'sbx start ${name}'`,
  });
}
