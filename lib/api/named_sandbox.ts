/**
 * A sandbox that outlives whoever started it, by its name.
 *
 * @module
 */
import { SbxError } from "../base/errors.ts";
import { callable, flag, optionsOf } from "../base/misuse.ts";
import { untilAborted } from "../base/until.ts";
import type { Proven } from "../guest/lima/proof_part.ts";
import type { PolicyChange } from "../journal/policy_change.ts";
import type { NetworkSummary } from "../journal/summary.ts";
import type { Policy } from "../policy/model/policy.ts";
import { plainPolicyFile, type PolicyFile } from "../policy/model/settings.ts";
import { connectionTo, type ConnectOptions, type GuestConnection } from "../sandbox/connection.ts";
import type { EventsOptions, SandboxEvent } from "../sandbox/events.ts";
import type { ApplyOptions } from "../sandbox/live_settings.ts";
import type { SandboxMetrics } from "../sandbox/metrics.ts";
import type { PortSelection, Unpublished } from "../sandbox/publication.ts";
import type { Publication, PublishedPort } from "../sandbox/options.ts";
import type { Forwarding } from "../sandbox/forwarding.ts";
import type { ExecOptions } from "../sandbox/exec_options.ts";
import type { WaitOptions } from "../sandbox/wait_for_port.ts";
import type { SandboxFiles } from "../sandbox/files.ts";
import type { SandboxProcess } from "../sandbox/process.ts";
import type { SupervisorClient } from "../supervise/client.ts";
import { callAtExit } from "../supervise/event_lines.ts";
import type { JobInfo } from "../supervise/jobs.ts";
import type { LogPiece } from "../supervise/job_log.ts";
import { registry } from "../supervise/kept.ts";
import type { KeptSandbox } from "../supervise/registry.ts";
import type { SandboxStatus } from "../supervise/state.ts";
import { type Abortable, signalOf } from "./abortable.ts";
import {
  type AttachOptions,
  type ForkOptions,
  forkOptionsOf,
  graceOf,
  type LogOptions,
  type RemoveNamedOptions,
  type SnapshotOptions,
  snapshotOptionsOf,
  type StartNamedOptions,
  type StopOptions,
} from "./named_options.ts";
import type { SnapshotInfo } from "./snapshots.ts";
import { startOrForget } from "./start_or_forget.ts";
import { SandboxChanges } from "./sandbox_changes.ts";
import { SandboxSsh } from "./sandbox_ssh.ts";
import { alreadyRuns } from "./sandbox_end.ts";
import { infoOf, type SandboxDescription, type SandboxInfo } from "./sandbox_info.ts";

/** A named sandbox. `Sandbox.get` finds one. */
export class NamedSandbox extends SandboxChanges implements AsyncDisposable {
  #kept: KeptSandbox;
  #client: SupervisorClient | undefined;

  private constructor(kept: KeptSandbox) {
    super();
    this.#kept = kept;
  }

  /** @internal Sandboxes come from `Sandbox.get`. */
  static async find(name: string, signal?: AbortSignal): Promise<NamedSandbox> {
    const finding = registry().one(name).then(async (kept) => {
      const sandbox = new NamedSandbox(kept);
      await sandbox.#connect();
      if (signal?.aborted) sandbox.close();
      return sandbox;
    });
    return await untilAborted(finding, signal);
  }

  /** Its name. */
  get name(): string {
    return this.#kept.name;
  }

  /** How it stands now. @throws SbxError `SANDBOX_MISSING` once it was removed, and the signal's reason */
  async info(options: Abortable = {}): Promise<SandboxInfo> {
    await untilAborted(this.#look(), signalOf("info(…)", options));
    return infoOf(this.#kept);
  }

  /** The first word of {@link NamedSandbox.info}, which throws the same. */
  async status(options: Abortable = {}): Promise<SandboxStatus> {
    return (await this.info(options)).status;
  }

  /** What it was created with, as plain data. @throws SbxError `STATE_UNUSABLE` */
  async description(): Promise<SandboxDescription> {
    const { usableRecord } = await import("../supervise/registry.ts");
    const { directory, life, spec } = usableRecord(this.#kept);
    return { directory, life, spec };
  }

  /**
   * Starts it, and resolves when commands can run in it.
   *
   * @throws SbxError `SANDBOX_RUNNING`, and whatever a start can fail of
   */
  async start(options: StartNamedOptions = {}): Promise<void> {
    optionsOf("start(…)", options, { onNotice: true, signal: true });
    await this.#look();
    if (["running", "starting"].includes(this.#kept.status)) {
      throw alreadyRuns(this.name);
    }
    const { launch } = await import("../supervise/launch.ts");
    await launch(this.#kept, options);
    await this.#look();
  }

  /**
   * Starts a command, which ends with this connection or when `signal` is aborted. The streams are ready at
   * once; failures to start come out of `exit`.
   *
   * @throws SbxError `STOPPED`, `USAGE`
   */
  exec(command: string, args: readonly string[] = [], options: ExecOptions = {}): SandboxProcess {
    return this.#running("run a command in").exec(command, args, options);
  }

  /** Its files. @throws SbxError `STOPPED` */
  get fs(): SandboxFiles {
    return this.#running("use the files of").files(this.#user);
  }

  /** Logging in to it. */
  get ssh(): SandboxSsh {
    const { name, home } = this.#kept;
    const client = () => this.#running("log in to");
    return new SandboxSsh({ name, home, user: this.#user, client });
  }

  /** Whom its commands run as; root when undefined. */
  get #user(): string | undefined {
    const { record } = this.#kept;
    return record instanceof SbxError ? undefined : record.spec.user;
  }

  /**
   * Has another policy judge everything from here on, all or nothing, at later starts as well; see
   * {@link RunningSandbox.applyPolicy}.
   *
   * @throws SbxError `STOPPED`, `POLICY_FIXED`, `POLICY_INVALID`, `FILE_UNREADABLE`, `TLS_INVALID`, and the
   * signal's reason
   */
  async applyPolicy(
    next: Policy | PolicyFile,
    options: ApplyOptions = {},
  ): Promise<PolicyChange> {
    const known = { dryRun: true, signal: true } as const;
    const { dryRun = false, signal } = optionsOf("applyPolicy(…)", options, known);
    const { policyFileValue } = await import("../supervise/record.ts");
    const file = "policy" in next ? next : plainPolicyFile(next);
    const client = this.#running("apply a policy to");
    return await client.applyPolicy(policyFileValue(file), dryRun, signal);
  }

  /**
   * Leads a port of this machine to one of the guest.
   *
   * @throws SbxError `STOPPED`, `PORT_BUSY`, `PORT_UNAVAILABLE`, and the signal's reason
   */
  async publish(
    publication: Publication,
    options: Abortable = {},
  ): Promise<readonly PublishedPort[]> {
    const signal = signalOf("publish(…)", options);
    return await this.#running("publish a port of").publish(publication, signal);
  }

  /** Closes a published port, and its connections. @throws SbxError as `RunningSandbox.unpublish` */
  async unpublish(port: PortSelection, options: Abortable = {}): Promise<Unpublished> {
    const signal = signalOf("unpublish(…)", options);
    return await this.#running("unpublish a port of").unpublish(port, signal);
  }

  /**
   * The addresses that a server listens on, once one does.
   *
   * @throws SbxError `STOPPED`, `PORT_TIMEOUT`, and the signal's reason
   */
  async waitForPort(port: number, options: WaitOptions = {}): Promise<readonly string[]> {
    optionsOf("waitForPort(…)", options, { timeoutMs: true, signal: true });
    return await this.#running("wait for a port of").waitForPort(port, options);
  }

  /**
   * A connection to a server on a TCP port of the guest; see {@link RunningSandbox.connect}. It ends with
   * this connection to the sandbox.
   *
   * @throws SbxError `STOPPED`, `USAGE`, and the signal's reason
   */
  connect(port: number, options: ConnectOptions = {}): GuestConnection {
    const client = this.#running("connect to");
    return connectionTo(port, options, (port) => client.connect(port));
  }

  /**
   * Leads a TCP port of this machine to one of the guest; see {@link RunningSandbox.forward}. It does until it
   * is closed, or this program ends.
   *
   * @throws SbxError `PORT_BUSY`, `PORT_UNAVAILABLE`, `USAGE`, and the signal's reason
   */
  async forward(publication: Publication, options: Abortable = {}): Promise<Forwarding> {
    const { forward } = await import("../sandbox/forwarding.ts");
    const signal = signalOf("forward(…)", options);
    return await forward(publication, (port) => this.connect(port), signal);
  }

  /** What it uses now. @throws SbxError `STOPPED`, and the signal's reason */
  async metrics(options: Abortable = {}): Promise<SandboxMetrics> {
    return await this.#running("measure").metrics(signalOf("metrics(…)", options));
  }

  /**
   * Proves anew that a guest of Lima's has no network but sbx, or it ends.
   *
   * @throws SbxError `STOPPED`, `GUEST_FAILED`, `USAGE`, and the signal's reason
   */
  async prove(options: Abortable = {}): Promise<readonly Proven[]> {
    return await this.#running("prove the network of").prove(signalOf("prove(…)", options));
  }

  /** Counts of its network so far; undefined without one. @throws SbxError `STOPPED`, and the signal's reason */
  async summary(options: Abortable = {}): Promise<NetworkSummary | undefined> {
    return await this.#running("measure").summary(signalOf("summary(…)", options));
  }

  /**
   * Calls back once at the end of what runs now, with the failure or with undefined when it was stopped;
   * `SUPERVISOR_LOST` when its supervisor is gone, or this connection was closed. The function that is returned
   * takes it back.
   *
   * @throws SbxError `STOPPED`, `USAGE`
   */
  onExit(listener: (error: SbxError | undefined) => void): () => void {
    callable("onExit(…)", listener);
    return callAtExit((signal) => this.events({ kinds: ["exit"], signal }), listener);
  }

  /**
   * What happens from now on; see {@link RunningSandbox.events}. Ends with the sandbox, or with this
   * connection.
   *
   * @throws SbxError `STOPPED`
   */
  events(options: EventsOptions = {}): AsyncGenerator<SandboxEvent, void> {
    optionsOf("events(…)", options, { kinds: true, signal: true });
    return this.#running("follow").events(options);
  }

  /** Starts a command that goes on without anybody; a signal ends the wait alone. @throws SbxError `STOPPED`, `USAGE` */
  async startJob(argv: readonly string[], options: ExecOptions = {}): Promise<JobInfo> {
    return await this.#running("run a command in").startJob(argv, options);
  }

  /** The jobs that run, and those that ended lately. @throws SbxError `STOPPED`, and the signal's reason */
  async jobs(options: Abortable = {}): Promise<readonly JobInfo[]> {
    return await this.#running("list the jobs of").jobs(signalOf("jobs(…)", options));
  }

  /** Resolves at the job's end. @throws SbxError `STOPPED`, `JOB_MISSING`, and the signal's reason */
  async wait(job = "main", options: Abortable = {}): Promise<JobInfo> {
    return await this.#running("wait for a job of").wait(job, signalOf("wait(…)", options));
  }

  /** Signals a job that runs, by number. @throws SbxError `STOPPED`, `JOB_MISSING`, and the reason of `options.signal` */
  async signal(job: string, signal: number, options: Abortable = {}): Promise<void> {
    const client = this.#running("signal a job of");
    await client.signal(job, signal, signalOf("signal(…)", options));
  }

  /**
   * What a job prints, from any place on, and its input where that was left open. The streams end with this
   * connection, and the job goes on.
   *
   * @throws SbxError `STOPPED`; `exit` rejects with `JOB_MISSING`
   */
  attach(job = "main", options: AttachOptions = {}): SandboxProcess {
    optionsOf("attach(…)", options, { from: true, signal: true });
    return this.#running("attach to").attach(job, options);
  }

  /**
   * What a job has printed, also of a sandbox that was stopped; nothing where there is no such job.
   *
   * @throws the signal's reason
   */
  async *logs(job = "main", options: LogOptions = {}): AsyncGenerator<LogPiece, void> {
    const { readLogs } = await import("./job_logs.ts");
    yield* readLogs(this, this.#kept.home, job, options);
  }

  /**
   * Keeps what is on its disk under a tag, for others to begin with: {@link SandboxBuilder.from}. Files are as one
   * moment had them: of a sandbox that runs, whoever writes waits for as long as the copy takes. Of one that is
   * {@link SandboxBuilder.savable}, and where nobody uses it, its memory and processes are kept, too.
   *
   * @throws SbxError `MEMORY_UNSAVABLE` with `memory`, `SNAPSHOT_EXISTS`, `DISK_MISSING`, `FILE_NO_SPACE`,
   * `FILE_UNREADABLE`, `SANDBOX_RUNNING` while it is being started or ended, and the signal's reason
   */
  async snapshot(tag: string, options: SnapshotOptions = {}): Promise<SnapshotInfo> {
    const { memory, ...about } = snapshotOptionsOf(options);
    await this.#look();
    const { snapshotOf } = await import("./named_copies.ts");
    return await snapshotOf({ name: this.name, client: this.#client, ...about }, tag, memory);
  }

  /**
   * Makes another sandbox out of it, with a copy of its disk, its policy and its settings, and starts it. Its name is
   * found where none is given. Published ports have other numbers on this machine; its command begins anew.
   *
   * @throws SbxError `SANDBOX_EXISTS`, and as `snapshot` and `start`
   */
  async fork(name?: string, options: ForkOptions = {}): Promise<NamedSandbox> {
    const { start, ...starting } = forkOptionsOf(options);
    await this.#look();
    const { forkOf } = await import("./named_copies.ts");
    const { signal, onNotice } = starting;
    const own = await forkOf({ name: this.name, client: this.#client, signal, onNotice }, name);
    const fork = await NamedSandbox.find(own);
    if (start) await startOrForget(fork, starting);
    return fork;
  }

  /**
   * Ends it, or its start; resolves when nothing of it runs any more. Does nothing when it is not running.
   *
   * @throws SbxError `SUPERVISOR_LOST` when its supervisor does not answer, which {@link NamedSandbox.kill} ends;
   * the signal's reason
   */
  async stop(options: StopOptions = {}): Promise<void> {
    const { graceMs, signal } = graceOf(options);
    await untilAborted(this.#look(), signal);
    await this.#client?.stop(graceMs, signal);
    this.#client = undefined;
  }

  /**
   * Ends it at once and from outside, whatever it does: also when its supervisor hangs. Resolves when nothing of
   * it runs any more; does nothing when it is not running.
   *
   * @throws SbxError `SUPERVISOR_LOST` when no process of this sandbox can be found; the signal's reason
   */
  async kill(options: Abortable = {}): Promise<void> {
    const signal = signalOf("kill(…)", options);
    this.close();
    await untilAborted(registry().kill(this.name), signal);
  }

  /**
   * Forgets it, and all that is kept of it.
   *
   * @throws SbxError `SANDBOX_RUNNING` unless `force` kills it before
   */
  async remove(options: RemoveNamedOptions = {}): Promise<void> {
    const known = { force: true, signal: true } as const;
    const { force = false, signal } = optionsOf("remove(…)", options, known);
    signal?.throwIfAborted();
    if (flag("remove(…)", force)) this.close();
    await untilAborted(registry().remove(this.name, force), signal);
  }

  /** Lets go of it; it goes on. */
  close(): void {
    this.#client?.close();
    this.#client = undefined;
  }

  /** As {@link NamedSandbox.close}. */
  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve(this.close());
  }

  async #look(): Promise<void> {
    this.#kept = await registry().one(this.name);
    await this.#connect();
  }

  /** As it stands: there is nobody to connect to unless it runs, or is being started. */
  async #connect(): Promise<void> {
    const { isUp, knock } = await import("./knock.ts");
    if (isUp(this.#kept) && this.#client?.isOpen === true) return;
    const { kept, client } = await knock(this.#kept);
    this.#kept = kept;
    this.#client?.close();
    this.#client = client;
  }

  /** @internal */
  protected override changing = (doing: string): SupervisorClient => this.#running(doing);

  #running(doing: string): SupervisorClient {
    if (this.#client !== undefined) return this.#client;
    throw new SbxError("STOPPED", `Cannot ${doing} sandbox ${this.name}: it is not running`, {
      hint: `start it with 'sbx start ${this.name}'`,
    });
  }
}
