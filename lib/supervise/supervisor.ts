/**
 * The process that owns a named sandbox: it holds the sandbox's lock, runs its machine, serves its control
 * socket, and writes down what becomes of it.
 *
 * ```
 * starting ─► running ─┬─ asked to stop, idle for too long ──────────────► over
 *     ▲                └─ the main command or the machine ended ─┬─ no ──► over
 *     └──────────────────── wait a moment ◄─── to be restarted? ─┘
 * ```
 *
 * @module
 */
import process from "node:process";
import { setTimeout as delay } from "node:timers/promises";
import { type ErrorCode, SbxError } from "../base/errors.ts";
import { buildInfo } from "../host/build_info.ts";
import { listenAt } from "../host/unix_socket.ts";
import type { PolicyChange } from "../journal/policy_change.ts";
import type { Publication, PublishedPort } from "../sandbox/options.ts";
import type { ExitStatus } from "../sandbox/process.ts";
import type { PortSelection, Sandbox, Unpublished } from "../sandbox/sandbox.ts";
import { start } from "../sandbox/start.ts";
import { serveCalls, type ServedCall } from "../wire/call_server.ts";
import { IdleClock } from "./idle_clock.ts";
import { type JobInfo, Jobs, MAIN_JOB } from "./jobs.ts";
import { NoticeLog } from "./notice_log.ts";
import { optionsOf, policyOf, type SandboxRecord, type SandboxSpec, settingsOf } from "./record.ts";
import {
  forgetSandbox,
  keptSandbox,
  lockSandbox,
  rewriteRecord,
  usableRecord,
  writeState,
} from "./registry.ts";
import { answer, type Supervised } from "./service.ts";
import type { SandboxState } from "./state.ts";
import type { Home } from "./home.ts";
import type { FileLock } from "../host/file_lock.ts";

/** Whoever looks whether the lock is held, holds it for a moment. */
const LOCK_TRIES = 40;
const LOCK_MS = 25;

/** Between two starts: doubled each time, and short again after a run that lasted. */
const RESTART_MS = 100;
const LONGEST_RESTART_MS = 60_000;
const LASTED_MS = 10_000;

/** A program that is not there is told by the guest within this. */
const FAILED_MS = 200;

/** What is being answered at the end may take so long. */
const FAREWELL_MS = 1_000;

/** Whoever started the supervisor, until the sandbox runs. */
export interface Launcher {
  /** A line worth telling a person. */
  notice(line: string): void;
  /** Aborted when he is gone or has changed his mind. */
  readonly signal: AbortSignal;
  /** It runs; he hears no more. */
  ready(): void;
}

/** How a run of the machine ended. */
interface End {
  readonly error?: SbxError;
  readonly exit?: ExitStatus;
  readonly lastedMs: number;
}

/**
 * Runs the sandbox until it is over.
 *
 * @throws SbxError when it cannot be started, which is written down as well
 */
export async function supervise(name: string, launcher: Launcher): Promise<void> {
  const { home, record } = await keptSandbox(name).then((kept) => ({
    home: kept.home,
    record: usableRecord(kept),
  }));
  const lock = await lockOf(home);
  const supervisor = new Supervisor(home, record);
  try {
    await supervisor.run(launcher);
  } finally {
    if (record.life.remove) await forgetSandbox(home);
    lock.release();
  }
}

async function lockOf(home: Home): Promise<FileLock> {
  for (let tries = 0; tries < LOCK_TRIES; tries++) {
    const lock = lockSandbox(home);
    if (lock !== null) return lock;
    await delay(LOCK_MS);
  }
  throw new SbxError("SANDBOX_RUNNING", `Cannot start sandbox ${home.name}: it is running`, {
    hint: `run a command in it with 'sbx exec ${home.name} -- …'`,
  });
}

class Supervisor implements Supervised {
  readonly sbx: string = buildInfo()["sbx"] ?? "";
  readonly jobs: Jobs;
  readonly #home: Home;
  #record: SandboxRecord;
  readonly #notices: NoticeLog;
  readonly #idle: IdleClock;
  readonly #stopped = Promise.withResolvers<void>();
  readonly #over = Promise.withResolvers<void>();
  readonly #calls = new Set<Promise<void>>();
  #stopping = false;
  #sandbox: Sandbox | undefined;
  #state: SandboxState = { kind: "starting", at: Date.now(), pid: process.pid };
  #restarts = 0;

  constructor(home: Home, record: SandboxRecord) {
    this.#home = home;
    this.#record = record;
    this.#notices = new NoticeLog(home.notices);
    this.#idle = new IdleClock(record.life.idleTimeoutMs, () => void this.stop());
    this.jobs = new Jobs(home, (argv, options) => {
      const [command = "", ...args] = argv;
      return this.#running().exec(command, args, options);
    }, () => this.#idle.use());
  }

  get name(): string {
    return this.#home.name;
  }

  get sandbox(): Sandbox | undefined {
    return this.#sandbox;
  }

  get state(): SandboxState {
    return this.#state;
  }

  /** Ends the sandbox for good; resolves when nothing of it is left. */
  async stop(): Promise<void> {
    this.#stopping = true;
    this.#stopped.resolve();
    await this.#sandbox?.stop();
    await this.#over.promise;
  }

  async applyPolicy(
    policy: Readonly<Record<string, unknown>>,
    dryRun: boolean,
  ): Promise<PolicyChange> {
    const sandbox = this.#running();
    const settings = settingsOf(this.name, policy);
    const change = await sandbox.applyPolicy(settings, { dryRun });
    if (!dryRun) await this.#remember({ policy: policyOf(sandbox.settings) });
    return change;
  }

  async publish(publication: Publication): Promise<readonly PublishedPort[]> {
    const ports = await this.#running().publish(publication);
    await this.#remember({ publish: [...this.#record.spec.publish, publication] });
    return ports;
  }

  async unpublish(selection: PortSelection): Promise<Unpublished> {
    const closed = this.#running().unpublish(selection);
    const left = this.#record.spec.publish.filter((each) => !isOf(each, closed.ports));
    await this.#remember({ publish: left });
    return closed;
  }

  async run(launcher: Launcher): Promise<void> {
    const server = await listenAt(this.#home.control, (port) => {
      void serveCalls(port, (call) => this.#serve(call));
    });
    for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) {
      process.on(signal, () => void this.stop());
    }
    let wait = RESTART_MS;
    let last: End | undefined;
    try {
      for (let first: Launcher | undefined = launcher;; first = undefined) {
        last = await this.#runOnce(first);
        if (this.#stopping || !isRestarted(this.#record, last)) break;
        wait = last.lastedMs > LASTED_MS ? RESTART_MS : Math.min(2 * wait, LONGEST_RESTART_MS);
        this.#restarts++;
        this.#notices.write(`started again in ${wait} ms`);
        await Promise.race([this.#stopped.promise, delay(wait, undefined, { ref: false })]);
        if (this.#stopping) break;
      }
    } catch (error) {
      if (!(error instanceof SbxError)) throw error;
      last = { error, lastedMs: 0 };
      throw error;
    } finally {
      this.#idle.close();
      await this.#become(endState(last));
      server.close();
      this.#over.resolve();
      // Whoever asked for the end hears of it.
      await Promise.race([Promise.all(this.#calls), delay(FAREWELL_MS, undefined, { ref: false })]);
    }
  }

  /** One life of the machine. @throws SbxError when it does not start, and somebody waits for that */
  async #runOnce(launcher: Launcher | undefined): Promise<End> {
    await this.#become({ kind: "starting", at: Date.now(), pid: process.pid });
    const began = performance.now();
    let sandbox: Sandbox;
    try {
      sandbox = await this.#start(launcher);
    } catch (error) {
      if (launcher !== undefined || !(error instanceof SbxError)) throw error;
      this.#notices.write(error.message);
      return { error, lastedMs: 0 };
    }
    this.#sandbox = sandbox;
    try {
      const main = this.#startMain();
      await this.#refuseFailed(main);
      await this.#become({
        kind: "running",
        at: Date.now(),
        pid: process.pid,
        accelerator: sandbox.accelerator,
        published: [...sandbox.published],
        restarts: this.#restarts,
      });
      launcher?.ready();
      const ended = await Promise.race([sandbox.ended, main ?? new Promise<never>(() => {})]);
      await sandbox.stop();
      const error = await sandbox.ended ?? failureOf(ended);
      const exit = ended instanceof SbxError ? undefined : ended?.exit;
      return {
        lastedMs: performance.now() - began,
        ...(error === undefined ? {} : { error }),
        ...(exit === undefined ? {} : { exit }),
      };
    } finally {
      await sandbox.stop();
      this.#sandbox = undefined;
    }
  }

  async #start(launcher: Launcher | undefined): Promise<Sandbox> {
    const notice = (line: string) => {
      launcher?.notice(line);
      this.#notices.write(line);
    };
    const options = optionsOf(this.#record, this.#home.disk);
    return await start({
      ...options,
      onNotice: notice,
      onDenial: ({ line }) => this.#notices.write(line),
    }, { endsProcess: true, ...(launcher === undefined ? {} : { signal: launcher.signal }) });
  }

  /** Resolves at the main command's end, once all that it printed is kept. */
  #startMain(): Promise<JobInfo> | undefined {
    const { main } = this.#record.life;
    if (main === undefined) return undefined;
    this.jobs.start(main.argv, {
      stdin: main.stdin,
      ...(main.tty ? { tty: { columns: 80, rows: 24, term: "xterm-256color" } } : {}),
    }, MAIN_JOB);
    return this.jobs.wait(MAIN_JOB);
  }

  /** A command that cannot be started is an error of the start. */
  async #refuseFailed(main: Promise<JobInfo> | undefined): Promise<void> {
    const soon = await Promise.race([main, delay(FAILED_MS, undefined, { ref: false })]);
    const failure = failureOf(soon);
    if (failure !== undefined) throw failure;
  }

  #serve(call: ServedCall): Promise<Record<string, unknown>> {
    const answered = this.#answer(call);
    const settled = answered.then(() => {}, () => {}).then(() => void this.#calls.delete(settled));
    this.#calls.add(settled);
    return answered;
  }

  async #answer(call: ServedCall): Promise<Record<string, unknown>> {
    const done = this.#idle.use();
    try {
      return { ...await answer(this, call) };
    } finally {
      done();
    }
  }

  async #become(state: SandboxState): Promise<void> {
    this.#state = state;
    await writeState(this.#home, state);
  }

  /** What changed while it runs holds at its next start. */
  async #remember(change: Partial<SandboxSpec>): Promise<void> {
    this.#record = { ...this.#record, spec: { ...this.#record.spec, ...change } };
    await rewriteRecord(this.#home, this.#record);
    const { published } = this.#running();
    if (this.#state.kind === "running") {
      await this.#become({ ...this.#state, published: [...published] });
    }
  }

  #running(): Sandbox {
    if (this.#sandbox === undefined) throw this.#gone();
    return this.#sandbox;
  }

  #gone(): SbxError {
    return new SbxError("STOPPED", `Cannot use sandbox ${this.name}: it is not running`, {
      hint: `start it with 'sbx start ${this.name}'`,
    });
  }
}

function failureOf(ended: JobInfo | SbxError | undefined | void): SbxError | undefined {
  if (ended === undefined || ended instanceof SbxError || ended.error === undefined) {
    return undefined;
  }
  const { code, message } = ended.error;
  return new SbxError(code as ErrorCode, message);
}

/** Whether all that listens for a publication was closed. */
function isOf(
  { hostPort, guestPort, protocol }: { hostPort: number; guestPort: number; protocol: string },
  closed: readonly PublishedPort[],
): boolean {
  return closed.some((port) =>
    port.guestPort === guestPort && port.protocol === protocol &&
    (hostPort === 0 || port.port === hostPort)
  );
}

/** Whether the machine is started again by itself. */
function isRestarted({ life }: SandboxRecord, { error, exit }: End): boolean {
  switch (life.restart) {
    case "no":
      return false;
    case "always":
      return true;
    case "on-failure":
      return error !== undefined || exit?.signal !== undefined || (exit?.code ?? 0) !== 0;
  }
}

function endState(end: End | undefined): SandboxState {
  const at = Date.now();
  if (end?.error !== undefined) {
    const { code, message, hint } = end.error;
    return {
      kind: "failed",
      at,
      error: { code, message, ...(hint === undefined ? {} : { hint }) },
    };
  }
  const { exit } = end ?? {};
  if (exit === undefined) return { kind: "stopped", at };
  const { code, signal } = exit;
  return { kind: "stopped", at, exit: signal === undefined ? { code: code ?? 0 } : { signal } };
}
