/**
 * Commands that outlive whoever started them. What they print is kept (see job_log.ts), so that somebody
 * can attach at any time, from any place on, and a slow or absent reader holds no command up.
 *
 * ```
 * running ─── exit ───► ended: its status stays until the sandbox is started again
 * ```
 *
 * @module
 */
import { mkdirSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { SbxError } from "../base/errors.ts";
import { type Failure, failureOf } from "../base/failure.ts";
import { fileError } from "../base/file_error.ts";
import { MAIN_JOB } from "../base/main_job.ts";
import type { ExitStatus, SandboxProcess } from "../sandbox/process.ts";
import type { ExecOptions } from "../sandbox/exec_options.ts";
import { GIVE_UP } from "../wire/call_frame.ts";
import type { ServedCall } from "../wire/call_server.ts";
import type { Home } from "./home.ts";
import { JobLog, JobLogReader } from "./job_log.ts";

/** Jobs that have ended and are remembered; beyond it the oldest are forgotten, with what they printed. */
const REMEMBERED = 200;

/** A command that outlives whoever started it. */
export interface JobInfo {
  /** A number, or `main`. */
  readonly id: string;
  /** The program and its arguments. */
  readonly argv: readonly string[];
  /** Whether it has a terminal. */
  readonly tty: boolean;
  /** When it began: milliseconds since 1970. */
  readonly startedMs: number;
  /** When it ended: milliseconds since 1970. Absent while it runs. */
  readonly endedMs?: number;
  /** How it ended. Absent while it runs, and with an `error`. */
  readonly exit?: ExitStatus;
  /** Why there is no status: it could not be started, or the sandbox ended first. */
  readonly error?: Failure;
  /** Bytes of both streams so far. */
  readonly printed: number;
  /** Bytes that could not be kept, because the disk was full. */
  readonly lost: number;
}

/** What there is of a command while it runs. */
type JobProcess = Pick<
  SandboxProcess,
  "stdin" | "stdout" | "stderr" | "exit" | "started" | "kill" | "resize"
>;

/** Starts a command in the sandbox. */
export type StartCommand = (argv: readonly string[], options: ExecOptions) => SandboxProcess;

/** Where a job's log is kept. */
export function jobLogPath({ jobs }: Home, id: string): string {
  return join(jobs, `${id}.log`);
}

class Job {
  readonly #id: string;
  readonly #argv: readonly string[];
  readonly #tty: boolean;
  readonly #startedMs = Date.now();
  readonly #log: JobLog;
  readonly #stdin: WritableStreamDefaultWriter<Uint8Array>;
  readonly process: JobProcess;
  /** Resolves when it has ended and all is kept; never rejects. */
  readonly ended: Promise<void>;
  #endedMs: number | undefined;
  #exit: ExitStatus | undefined;
  #error: JobInfo["error"];
  #changed = Promise.withResolvers<void>();

  constructor(
    id: string,
    argv: readonly string[],
    process: JobProcess,
    options: ExecOptions,
    log: JobLog,
  ) {
    this.#id = id;
    this.#argv = argv;
    this.#tty = options.tty !== undefined;
    this.#log = log;
    this.process = process;
    this.#stdin = process.stdin.getWriter();
    this.#stdin.closed.catch(() => {}); // a command may close its input
    if (options.stdin === false) this.closeInput();
    this.ended = this.#run();
  }

  get info(): JobInfo {
    return {
      id: this.#id,
      argv: this.#argv,
      tty: this.#tty,
      startedMs: this.#startedMs,
      printed: this.#log.end,
      lost: this.#log.lost,
      ...(this.#endedMs === undefined ? {} : { endedMs: this.#endedMs }),
      ...(this.#exit === undefined ? {} : { exit: this.#exit }),
      ...(this.#error === undefined ? {} : { error: this.#error }),
    };
  }

  get isOver(): boolean {
    return this.#endedMs !== undefined;
  }

  /** Resolves when there is more to read, or it has ended. */
  get changed(): Promise<void> {
    return this.#changed.promise;
  }

  async input(bytes: Uint8Array): Promise<void> {
    await this.#stdin.write(bytes);
  }

  closeInput(): void {
    this.#stdin.close().catch(() => {});
  }

  async #run(): Promise<void> {
    const { stdout, stderr, exit } = this.process;
    await Promise.all([this.#keep(1, stdout), this.#keep(2, stderr)]);
    try {
      this.#exit = await exit;
    } catch (error) {
      if (!(error instanceof SbxError)) throw error;
      this.#error = failureOf(error);
    }
    this.#endedMs = Date.now();
    this.#log.close();
    this.#change();
  }

  async #keep(stream: 1 | 2, source: ReadableStream<Uint8Array>): Promise<void> {
    try {
      for await (const bytes of source) {
        this.#log.append(stream, bytes, Date.now());
        this.#change();
      }
    } catch (error) {
      if (!(error instanceof SbxError)) throw error; // the exit says why
    }
  }

  #change(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }
}

export class Jobs {
  readonly #home: Home;
  readonly #start: StartCommand;
  readonly #jobs = new Map<string, Job>();
  readonly #use: () => () => void;
  #last = 0;

  /** Forgets what earlier jobs printed, save the main one. `use` is called for each, and its result at the end. */
  constructor(home: Home, start: StartCommand, use: () => () => void) {
    this.#home = home;
    this.#start = start;
    this.#use = use;
    mkdirSync(home.jobs, { recursive: true, mode: 0o700 });
    for (const name of readdirSync(home.jobs)) {
      if (!name.startsWith(`${MAIN_JOB}.`)) rmSync(join(home.jobs, name), { force: true });
    }
  }

  /** How many run. */
  get running(): number {
    return [...this.#jobs.values()].filter(({ isOver }) => !isOver).length;
  }

  /**
   * Starts one; it has the next number for its name where none is given.
   *
   * @throws SbxError as `exec`; FILE_UNREADABLE where what it prints could not be kept
   */
  start(argv: readonly string[], options: ExecOptions, name?: string): JobInfo {
    const id = name ?? String(this.#last + 1);
    const log = this.#openLog(id);
    let process: SandboxProcess;
    try {
      process = this.#start(argv, options);
    } catch (error) {
      log.close();
      throw error;
    }
    if (name === undefined) this.#last++;
    const job = new Job(id, argv, process, options, log);
    this.#jobs.set(id, job);
    void job.ended.then(this.#use());
    this.#forgetOldest();
    return job.info;
  }

  /**
   * Keeps what a machine says on its console in the place of a main command's output, until the machine ends.
   *
   * @throws SbxError FILE_UNREADABLE
   */
  keepConsole(console: ReadableStream<Uint8Array>, ended: Promise<unknown>): void {
    const log = this.#openLog(MAIN_JOB);
    const none = new ReadableStream<Uint8Array>({ start: (nothing) => nothing.close() });
    const process: JobProcess = {
      stdin: new WritableStream(), // what is typed there goes nowhere
      stdout: console,
      stderr: none,
      exit: ended.then(() => ({ code: 0, timedOut: false })),
      started: Promise.resolve(true),
      kill() {},
      resize() {},
    };
    this.#jobs.set(MAIN_JOB, new Job(MAIN_JOB, ["console"], process, { stdin: false }, log));
  }

  list(): JobInfo[] {
    return [...this.#jobs.values()].map(({ info }) => info);
  }

  /** Resolves at its end. @throws SbxError JOB_MISSING */
  async wait(id: string): Promise<JobInfo> {
    const job = this.#find(id);
    await job.ended;
    return job.info;
  }

  /** Whether its command was started; false once it has ended without that. @throws SbxError JOB_MISSING */
  async started(id: string): Promise<boolean> {
    return await this.#find(id).process.started;
  }

  /** @throws SbxError JOB_MISSING, also where it has ended */
  signal(id: string, signal: number): void {
    const job = this.#find(id);
    if (!job.isOver) return job.process.kill(signal);
    const message = `Cannot signal job ${id} of sandbox ${this.#home.name}: it has ended`;
    throw new SbxError("JOB_MISSING", message);
  }

  /**
   * Shows what it printed from an offset on, and passes on what the caller types and sends. Resolves at its
   * end, or when the caller is gone or has had enough.
   *
   * @throws SbxError JOB_MISSING
   */
  async attach(id: string, from: number, call: ServedCall): Promise<JobInfo> {
    const job = this.#find(id);
    const enough = new AbortController();
    call.onSignal = (signal) => {
      if (signal === GIVE_UP) enough.abort();
      else if (!job.isOver) job.process.kill(signal);
    };
    call.onResize = (columns, rows) => job.process.resize(columns, rows);
    const left = AbortSignal.any([call.gone, enough.signal]);
    void passInput(call, job, left);
    await show(job, new JobLogReader(jobLogPath(this.#home, id), from), call, left);
    return job.info;
  }

  #openLog(id: string): JobLog {
    const path = jobLogPath(this.#home, id);
    try {
      return new JobLog(path);
    } catch (cause) {
      throw fileError("keep what the command prints in", path, cause);
    }
  }

  #find(id: string): Job {
    const job = this.#jobs.get(id);
    if (job !== undefined) return job;
    throw new SbxError("JOB_MISSING", `Cannot find job ${id} of sandbox ${this.#home.name}`, {
      hint: `see what there is with 'sbx ps ${this.#home.name}'`,
    });
  }

  #forgetOldest(): void {
    const over = [...this.#jobs].filter(([id, { isOver }]) => isOver && id !== MAIN_JOB);
    for (const [id] of over.slice(0, Math.max(0, over.length - REMEMBERED))) {
      this.#jobs.delete(id);
      const path = jobLogPath(this.#home, id);
      for (const each of [path, `${path}.older`]) rmSync(each, { force: true });
    }
  }
}

/** Reads what is kept and waits for more, so that a caller who reads slowly costs no memory. */
async function show(
  job: Job,
  reader: JobLogReader,
  call: ServedCall,
  left: AbortSignal,
): Promise<void> {
  const writers = { 1: call.output.getWriter(), 2: call.errors.getWriter() };
  const gone = new Promise<void>((resolve) => {
    left.addEventListener("abort", () => resolve());
  });
  try {
    while (!left.aborted) {
      const { changed, isOver } = job; // in this order: what comes after is told by `changed`
      const piece = reader.next();
      if (piece !== null) await Promise.race([writers[piece.stream].write(piece.bytes), gone]);
      else if (isOver) break;
      else await Promise.race([changed, gone]);
    }
    if (left.aborted) return;
    for (const writer of [writers[1], writers[2]]) await writer.close();
  } catch (error) {
    if (!(error instanceof SbxError && error.code === "PIPE_CLOSED")) throw error;
  } finally {
    reader.close();
  }
}

/** The end of the caller's input is that of the command's; his own end is not. */
async function passInput(call: ServedCall, job: Job, left: AbortSignal): Promise<void> {
  try {
    for await (const bytes of call.input) await job.input(bytes);
    if (!left.aborted) job.closeInput();
  } catch {
    // The command reads no more, or the caller is gone: neither is an error of the other.
  }
}
