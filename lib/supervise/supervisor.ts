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
import { inSentence, SbxError } from "../base/errors.ts";
import { aborted } from "../base/until.ts";
import { MAIN_JOB } from "../base/main_job.ts";
import type { NoticeTopic } from "../guest/provider.ts";
import { buildInfo } from "../host/build_info.ts";
import { listenAt } from "../host/unix_socket.ts";
import type { Saving } from "../guest/saved.ts";
import type { PolicyChange } from "../journal/policy_change.ts";
import type { Publication, PublishedPort, SandboxOptions } from "../sandbox/options.ts";
import type { PortSelection, Unpublished } from "../sandbox/publication.ts";
import type { Sandbox } from "../sandbox/sandbox.ts";
import { start } from "../sandbox/start.ts";
import { serveCalls, type ServedCall } from "../wire/call_server.ts";
import { IdleClock } from "./idle_clock.ts";
import { type JobInfo, Jobs } from "./jobs.ts";
import { NoticeLog } from "./notice_log.ts";
import { OpenCalls } from "./open_calls.ts";
import { remember } from "./lima_changes.ts";
import { LiveChanges, type SpecChange } from "./live_changes.ts";
import { optionsOf, type SandboxRecord } from "./record.ts";
import {
  busy,
  forgetSandbox,
  keptSandbox,
  lockSandbox,
  usableRecord,
  writeState,
} from "./registry.ts";
import { answer, type Supervised } from "./service.ts";
import { askToEnd } from "./ask_to_end.ts";
import { type End, endState, isRestarted, whyFailed } from "./end.ts";
import type { SandboxState } from "./state.ts";
import type { Home } from "./home.ts";
import type { FileLock } from "../host/file_lock.ts";
import { whyDiskAlone } from "./disk_alone.ts";
import { machineFor } from "./saved_machine.ts";

/** Between two starts: doubled each time, and short again after a run that lasted. */
const RESTART_MS = 100;
const LONGEST_RESTART_MS = 60_000;
const LASTED_MS = 10_000;

/** Asked to end by the system, the sandbox's command may take so long to do so. */
const GRACE_MS = 10_000;

/** Whoever started the supervisor, until the sandbox runs. */
export interface Launcher {
  /** A line worth telling a person; `topic`: as of `lib/guest/provider.ts`. */
  notice(line: string, topic?: NoticeTopic): void;
  /** Aborted when he is gone or has changed his mind. */
  readonly signal: AbortSignal;
  /** It runs; he hears no more. */
  ready(): void;
  /** Called with the way to end it, at any time: as of {@link Supervised}. Absent: he has the signal alone. */
  begun?(stop: Supervised["stop"]): void;
}

/** Starts the machine of a sandbox. Aborting the signal gives that up. @throws SbxError */
export type StartMachine = (
  options: SandboxOptions,
  signal: AbortSignal,
  saving?: Saving,
) => Promise<Sandbox>;

const startOwn: StartMachine = (options, signal, saving) =>
  start(options, {
    endsProcess: true,
    isShared: true,
    makesTemplate: true,
    signal,
    ...(saving === undefined ? {} : { saving }),
  });

/**
 * Runs the sandbox until it is over; resolves to what it failed of, if anything. `startMachine`: a machine
 * of sbx's own when absent.
 *
 * @throws SbxError when it cannot be started, which is written down as well
 */
export async function supervise(
  name: string,
  launcher: Launcher,
  startMachine: StartMachine = startOwn,
): Promise<SbxError | undefined> {
  const { home } = await keptSandbox(name);
  const lock = await lockOf(home);
  try {
    // Before the lock was held, it could be removed, and another one of that name made.
    const record = usableRecord(await keptSandbox(name));
    try {
      return await new Supervisor(home, record, startMachine).run(launcher);
    } finally {
      if (record.life.remove) await forgetSandbox(home);
    }
  } finally {
    lock.release();
  }
}

async function lockOf(home: Home): Promise<FileLock> {
  const lock = await lockSandbox(home);
  if (lock !== null) return lock;
  throw busy("start", home, `run a command in it with 'sbx exec ${home.name} -- …'`);
}

class Supervisor implements Supervised {
  readonly sbx: string = buildInfo()["sbx"] ?? "";
  readonly jobs: Jobs;
  readonly #home: Home;
  #record: SandboxRecord;
  readonly #startMachine: StartMachine;
  readonly #notices: NoticeLog;
  readonly #idle: IdleClock;
  readonly #changes: LiveChanges;
  readonly #over = Promise.withResolvers<void>();
  readonly #calls = new OpenCalls();
  /** Aborted once the sandbox is to end for good, whatever it is doing. */
  readonly #halt = new AbortController();
  /** The files of its home are written one after the other, so that the last word is the last. */
  #writing: Promise<unknown> = Promise.resolve();
  #stopping = false;
  #sandbox: Sandbox | undefined;
  #state: SandboxState = { kind: "starting", at: Date.now(), pid: process.pid };
  #restarts = 0;

  constructor(home: Home, record: SandboxRecord, startMachine: StartMachine) {
    this.#home = home;
    this.#record = record;
    this.#startMachine = startMachine;
    this.#notices = new NoticeLog(home.notices);
    this.#idle = new IdleClock(record.life.idleTimeoutMs, () => void this.stop(GRACE_MS));
    this.#changes = new LiveChanges({
      name: home.name,
      running: () => this.#running(),
      hold: (change) => this.#hold(change),
      remember: () => this.#write(() => remember(home, this.#record)),
      tellPorts: (ports) => this.#tellPorts(ports),
    });
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

  async stop(graceMs: number): Promise<void> {
    this.#stopping = true;
    if (this.#sandbox !== undefined && graceMs > 0) {
      const over = Promise.race([this.#over.promise, aborted(this.#halt.signal)]);
      await askToEnd({ sandbox: this.#sandbox, jobs: this.jobs, over }, graceMs);
    }
    this.#halt.abort();
    await this.#over.promise;
  }

  applyPolicy(
    policy: Readonly<Record<string, unknown>>,
    dryRun: boolean,
  ): Promise<PolicyChange> {
    return this.#changes.applyPolicy(policy, dryRun);
  }

  publish(publication: Publication): Promise<readonly PublishedPort[]> {
    return this.#changes.publish(publication);
  }

  unpublish(selection: PortSelection): Promise<Unpublished> {
    return this.#changes.unpublish(selection);
  }

  /** Resolves to what it failed of, if anything. */
  async run(launcher: Launcher): Promise<SbxError | undefined> {
    const server = await listenAt(this.#home.control, (port) => {
      void serveCalls(port, (call) => this.#serve(call));
    });
    for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) {
      process.on(signal, () => void this.stop(GRACE_MS));
    }
    launcher.begun?.((graceMs) => this.stop(graceMs));
    let wait = RESTART_MS;
    let last: End | undefined;
    try {
      for (let first: Launcher | undefined = launcher;; first = undefined) {
        last = await this.#runOnce(first);
        if (this.#stopping || !isRestarted(this.#record, last)) break;
        wait = last.lastedMs > LASTED_MS ? RESTART_MS : Math.min(2 * wait, LONGEST_RESTART_MS);
        this.#restarts++;
        this.#notices.write(`started again in ${wait} ms`);
        const { signal } = this.#halt;
        await delay(wait, undefined, { ref: false, signal }).catch(() => {}); // it is to end
        if (this.#stopping) break;
      }
      return last.error;
    } catch (error) {
      if (!(error instanceof SbxError)) throw error;
      // A start that somebody gave up has not failed.
      const givenUp = this.#halt.signal.aborted || launcher.signal.aborted;
      last = { lastedMs: 0, ...(givenUp ? {} : { error }) };
      if (!this.#halt.signal.aborted) throw error;
      throw new SbxError("STOPPED", `Cannot start sandbox ${this.name}: it was stopped meanwhile`);
    } finally {
      this.#idle.close();
      await this.#become(endState(last)).catch((error) => {
        if (!(error instanceof SbxError)) throw error;
        this.#notices.write(error.message); // it looks lost, which it is no worse than
      });
      server.close();
      this.#over.resolve();
      await this.#calls.farewell();
    }
  }

  /** One life of the machine. @throws SbxError when it does not start, and somebody waits for that */
  async #runOnce(launcher: Launcher | undefined): Promise<End> {
    await this.#become({ kind: "starting", at: Date.now(), pid: process.pid });
    const began = performance.now();
    let sandbox: Sandbox;
    const starting = this.#idle.use();
    try {
      sandbox = await this.#start(launcher);
    } catch (error) {
      if (launcher !== undefined || !(error instanceof SbxError)) throw error;
      if (this.#halt.signal.aborted) return { lastedMs: 0 };
      this.#notices.write(error.message);
      return { error, lastedMs: 0 };
    } finally {
      starting();
    }
    const halt = () => void sandbox.stop();
    this.#halt.signal.addEventListener("abort", halt);
    if (this.#halt.signal.aborted) halt();
    this.#sandbox = sandbox;
    try {
      if (sandbox.console !== undefined) this.jobs.keepConsole(sandbox.console, sandbox.ended);
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
      const error = await sandbox.ended ?? whyFailed(ended);
      const exit = ended instanceof SbxError ? undefined : ended?.exit;
      return {
        lastedMs: performance.now() - began,
        ...(error === undefined ? {} : { error }),
        ...(exit === undefined ? {} : { exit }),
      };
    } finally {
      await sandbox.stop();
      this.#halt.signal.removeEventListener("abort", halt);
      this.#sandbox = undefined;
    }
  }

  async #start(launcher: Launcher | undefined): Promise<Sandbox> {
    const notice = (line: string, topic?: NoticeTopic) => {
      launcher?.notice(line, topic);
      this.#notices.write(line);
    };
    const options = optionsOf(this.#record, this.#home.disk);
    const { signal: halt } = this.#halt;
    const signal = launcher === undefined ? halt : AbortSignal.any([halt, launcher.signal]);
    const saved = await this.#savedMachine(notice, signal);
    const saving = options.savable !== true
      ? undefined
      : { state: this.#home.saving, ...(saved === null ? {} : { from: saved.from }) };
    const own = {
      ...options,
      onNotice: notice,
      onDenial: ({ line }: { readonly line: string }) => this.#notices.write(line),
    };
    const sandbox = await this.#startMachine(own, signal, saving);
    await saved?.forget().catch(() => {}); // what its guest has done to the disk makes it useless, too
    return sandbox;
  }

  /** The memory that it goes on from, which serves no second start. */
  async #savedMachine(
    notice: (line: string) => void,
    signal: AbortSignal,
  ): ReturnType<typeof machineFor> {
    try {
      const saved = await machineFor(this.#home, signal);
      const why = whyDiskAlone(this.#record);
      if (saved === null || why === undefined) return saved;
      await saved.forget();
      notice(`the guest boots, and does not go on from the memory that was kept: ${why}`);
    } catch (error) {
      if (!(error instanceof SbxError)) throw error;
      notice(`the guest boots: ${inSentence(error)}`);
    }
    return null;
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
    if (main === undefined || await this.jobs.started(MAIN_JOB)) return;
    const failure = whyFailed(await main);
    if (failure !== undefined) throw failure;
  }

  #serve(call: ServedCall): Promise<Record<string, unknown>> {
    return this.#calls.add(this.#answer(call));
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
    await this.#write(() => writeState(this.#home, state));
  }

  #write(file: () => Promise<void>): Promise<void> {
    const written = this.#writing.then(file);
    this.#writing = written.catch(() => {});
    return written;
  }

  #hold(change: SpecChange): void {
    const { lima, ...rest } = this.#record;
    this.#record = {
      ...rest,
      spec: { ...rest.spec, ...change },
      ...(lima === undefined ? {} : { lima: { ...lima, changed: { ...lima.changed, ...change } } }),
    };
  }

  async #tellPorts(published: readonly PublishedPort[]): Promise<void> {
    if (this.#state.kind !== "running") return;
    await this.#become({ ...this.#state, published: [...published] }).catch((error) => {
      if (!(error instanceof SbxError)) throw error;
      this.#notices.write(error.message); // what was changed holds
    });
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
