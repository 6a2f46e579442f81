/**
 * A sandbox that outlives whoever started it, by its name.
 *
 * @module
 */
import { setTimeout as delay } from "node:timers/promises";
import { SbxError } from "../base/errors.ts";
import { flag, misuse, optionsOf } from "../base/misuse.ts";
import type { Proven } from "../guest/lima/proof.ts";
import type { PolicyChange } from "../journal/policy_change.ts";
import type { Policy } from "../policy/model/policy.ts";
import { plainPolicyFile, type PolicyFile } from "../policy/model/settings.ts";
import { connectionTo, type ConnectOptions, type GuestConnection } from "../sandbox/connection.ts";
import type { EventsOptions, SandboxEvent } from "../sandbox/events.ts";
import type { ApplyOptions } from "../sandbox/live_policy.ts";
import type { SandboxMetrics } from "../sandbox/metrics.ts";
import type { PortSelection, Unpublished } from "../sandbox/sandbox.ts";
import type { Publication, PublishedPort } from "../sandbox/options.ts";
import type { Forwarding } from "../sandbox/forwarding.ts";
import type { ExecOptions } from "../sandbox/exec_options.ts";
import type { WaitOptions } from "../sandbox/wait_for_port.ts";
import type { SandboxFiles } from "../sandbox/files.ts";
import type { SandboxProcess } from "../sandbox/process.ts";
import type { SupervisorClient } from "../supervise/client.ts";
import type { JobInfo } from "../supervise/jobs.ts";
import type { LogPiece } from "../supervise/job_log.ts";
import type { CopyOptions } from "../supervise/copies.ts";
import type { KeptSandbox } from "../supervise/registry.ts";
import type { SandboxStatus } from "../supervise/state.ts";
import type {
  Abortable,
  AttachOptions,
  ForkOptions,
  LogOptions,
  RemoveNamedOptions,
  StartNamedOptions,
  StopOptions,
} from "./named_options.ts";
import type { SnapshotInfo } from "./snapshots.ts";
import { startOrForget } from "./start_or_forget.ts";
import { SandboxSsh } from "./sandbox_ssh.ts";
import { isEnd } from "./sandbox_end.ts";
import { infoOf, type SandboxDescription, type SandboxInfo } from "./sandbox_info.ts";

const GRACE_MS = 10_000;

/** Of one that is only beginning. */
const KNOCK_MS = 25;
const KNOCKING_MS = 2_000;

/** A named sandbox. `Sandbox.get` finds one. */
export class NamedSandbox implements AsyncDisposable {
  #kept: KeptSandbox;
  #client: SupervisorClient | undefined;

  private constructor(kept: KeptSandbox, client: SupervisorClient | undefined) {
    this.#kept = kept;
    this.#client = client;
  }

  /** @internal Sandboxes come from `Sandbox.get`. */
  static async find(name: string): Promise<NamedSandbox> {
    const { keptSandbox } = await import("../supervise/registry.ts");
    const sandbox = new NamedSandbox(await keptSandbox(name), undefined);
    await sandbox.#connect();
    return sandbox;
  }

  /** Its name. */
  get name(): string {
    return this.#kept.name;
  }

  /** How it stands now. @throws SbxError `SANDBOX_MISSING` once it was removed */
  async info(): Promise<SandboxInfo> {
    await this.#look();
    return infoOf(this.#kept);
  }

  /** The first word of {@link NamedSandbox.info}. @throws SbxError `SANDBOX_MISSING` once it was removed */
  async status(): Promise<SandboxStatus> {
    return (await this.info()).status;
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
    await this.#look();
    if (["running", "starting"].includes(this.#kept.status)) {
      throw new SbxError("SANDBOX_RUNNING", `Cannot start sandbox ${this.name}: it is running`, {
        hint: `run a command in it with 'sbx exec ${this.name} -- …'`,
      });
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
    return new SandboxSsh({
      name,
      home,
      user: this.#user,
      client: () => this.#running("log in to"),
    });
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
   * @throws SbxError `STOPPED`, `POLICY_FIXED`, `POLICY_INVALID`, `FILE_UNREADABLE`, `TLS_INVALID`
   */
  async applyPolicy(
    next: Policy | PolicyFile,
    { dryRun = false }: ApplyOptions = {},
  ): Promise<PolicyChange> {
    const { policyFileValue } = await import("../supervise/record.ts");
    const file = "policy" in next ? next : plainPolicyFile(next);
    return await this.#running("apply a policy to").applyPolicy(policyFileValue(file), dryRun);
  }

  /** Leads a port of this machine to one of the guest. @throws SbxError `STOPPED`, `PORT_BUSY`, `PORT_UNAVAILABLE` */
  async publish(publication: Publication): Promise<readonly PublishedPort[]> {
    return await this.#running("publish a port of").publish(publication);
  }

  /** Closes a published port, and its connections. @throws SbxError `STOPPED`, `PORT_MISSING` */
  async unpublish(port: PortSelection): Promise<Unpublished> {
    return await this.#running("unpublish a port of").unpublish(port);
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
   * @throws SbxError `PORT_BUSY`, `PORT_UNAVAILABLE`, `USAGE`
   */
  async forward(publication: Publication): Promise<Forwarding> {
    const { forward } = await import("../sandbox/forwarding.ts");
    return await forward(publication, (port) => this.connect(port));
  }

  /** What it uses now. @throws SbxError `STOPPED`, and the signal's reason */
  async metrics(options: Abortable = {}): Promise<SandboxMetrics> {
    const { signal } = optionsOf("metrics(…)", options, { signal: true });
    return await this.#running("measure").metrics(signal);
  }

  /** Proves anew that a guest of Lima's has no network but sbx, or it ends. @throws SbxError `STOPPED`, `GUEST_FAILED`, `USAGE` */
  async prove(): Promise<readonly Proven[]> {
    return await this.#running("prove the network of").prove();
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

  /** Starts a command that goes on without anybody. @throws SbxError `STOPPED`, `USAGE` */
  async startJob(
    argv: readonly string[],
    options: Omit<ExecOptions, "signal"> = {},
  ): Promise<JobInfo> {
    return await this.#running("run a command in").startJob(argv, options);
  }

  /** The jobs that run, and those that ended lately. @throws SbxError `STOPPED` */
  async jobs(): Promise<readonly JobInfo[]> {
    return await this.#running("list the jobs of").jobs();
  }

  /** Resolves at the job's end. @throws SbxError `STOPPED`, `JOB_MISSING`, and the signal's reason */
  async wait(job = "main", options: Abortable = {}): Promise<JobInfo> {
    const { signal } = optionsOf("wait(…)", options, { signal: true });
    return await this.#running("wait for a job of").wait(job, signal);
  }

  /** Sends a signal, by number, to a job. @throws SbxError `STOPPED`, `JOB_MISSING` */
  async signal(job: string, signal: number): Promise<void> {
    await this.#running("signal a job of").signal(job, signal);
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
   * moment had them: of a sandbox that runs, whoever writes waits for as long as the copy takes.
   *
   * @throws SbxError `SNAPSHOT_EXISTS`, `DISK_MISSING`, `FILE_NO_SPACE`, `FILE_UNREADABLE`, `SANDBOX_RUNNING` while it
   * is being started or ended, and the signal's reason
   */
  async snapshot(tag: string, options: Abortable = {}): Promise<SnapshotInfo> {
    const { signal } = optionsOf("snapshot(…)", options, { signal: true });
    const [{ takeSnapshot }, { snapshotInfo }] = await Promise.all([
      import("../supervise/copies.ts"),
      import("./snapshots.ts"),
    ]);
    return snapshotInfo(await takeSnapshot(this.name, tag, await this.#copying(signal)));
  }

  /**
   * Makes another sandbox out of it, with a copy of its disk, its policy and its settings, and starts it. Its name is
   * found where none is given. Published ports have other numbers on this machine; its command begins anew.
   *
   * @throws SbxError `SANDBOX_EXISTS`, and as `snapshot` and `start`
   */
  async fork(name?: string, options: ForkOptions = {}): Promise<NamedSandbox> {
    const { start = true, ...starting } = optionsOf("fork(…)", options, {
      start: true,
      onNotice: true,
      signal: true,
    });
    flag("fork(…)", start);
    const { makeFork } = await import("../supervise/copies.ts");
    const own = await makeFork(this.name, name, await this.#copying(starting.signal));
    const fork = await NamedSandbox.find(own);
    if (start) await startOrForget(fork, starting);
    return fork;
  }

  /**
   * Ends it, or its start; resolves when nothing of it runs any more. Does nothing when it is not running.
   *
   * @throws SbxError `SUPERVISOR_LOST` when its supervisor does not answer, which {@link NamedSandbox.kill} ends
   */
  async stop(options: StopOptions = {}): Promise<void> {
    const { graceMs = GRACE_MS } = optionsOf("stop(…)", options, { graceMs: true });
    if (typeof graceMs !== "number" || !(graceMs >= 0)) {
      throw misuse("stop(…)", "graceMs is no number of milliseconds");
    }
    await this.#look();
    const client = this.#client;
    if (client === undefined) return;
    await client.stop(Math.min(graceMs, Number.MAX_SAFE_INTEGER));
    this.#client = undefined;
  }

  /**
   * Ends it at once and from outside, whatever it does: also when its supervisor hangs. Resolves when nothing of
   * it runs any more; does nothing when it is not running.
   *
   * @throws SbxError `SUPERVISOR_LOST` when no process of this sandbox can be found
   */
  async kill(): Promise<void> {
    this.close();
    const { killSandbox } = await import("../supervise/kill.ts");
    await killSandbox(this.name);
  }

  /**
   * Forgets it, and all that is kept of it.
   *
   * @throws SbxError `SANDBOX_RUNNING` unless `force` kills it before
   */
  async remove(options: RemoveNamedOptions = {}): Promise<void> {
    const { force = false } = optionsOf("remove(…)", options, { force: true });
    if (flag("remove(…)", force)) this.close();
    const { removeSandbox } = await import("../supervise/remove.ts");
    await removeSandbox(this.name, { force });
  }

  /** Lets go of it; it goes on. */
  close(): void {
    this.#client?.close();
    this.#client = undefined;
  }

  /** As {@link NamedSandbox.close}. */
  // deno-lint-ignore require-await -- the interface wants a promise
  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
  }

  /** What a copy of its disk needs: who has it stand still, where it runs. */
  async #copying(signal: AbortSignal | undefined): Promise<CopyOptions> {
    await this.#look();
    const client = this.#client;
    return {
      ...(signal === undefined ? {} : { signal }),
      ...(client === undefined ? {} : { freeze: async () => await client.freeze(signal) }),
    };
  }

  async #look(): Promise<void> {
    const { keptSandbox } = await import("../supervise/registry.ts");
    this.#kept = await keptSandbox(this.name);
    await this.#connect();
  }

  /** As it stands: there is nobody to connect to unless it runs, or is being started. */
  async #connect(): Promise<void> {
    const { SupervisorClient } = await import("../supervise/client.ts");
    const until = performance.now() + KNOCKING_MS;
    for (;;) {
      const { status } = this.#kept;
      if (status !== "running" && status !== "starting") return this.close();
      if (this.#client?.isOpen === true) return;
      try {
        this.#client = await SupervisorClient.connect(this.#kept);
        return;
      } catch (error) {
        // It has begun and does not listen yet, or ends and listens no more.
        if (!(isEnd(error) && performance.now() < until)) throw error;
      }
      await delay(KNOCK_MS);
      const { keptSandbox } = await import("../supervise/registry.ts");
      this.#kept = await keptSandbox(this.name);
    }
  }

  #running(doing: string): SupervisorClient {
    if (this.#client !== undefined) return this.#client;
    throw new SbxError("STOPPED", `Cannot ${doing} sandbox ${this.name}: it is not running`, {
      hint: `start it with 'sbx start ${this.name}'`,
    });
  }
}
