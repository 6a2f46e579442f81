/**
 * A sandbox that outlives whoever started it, by its name.
 *
 * @module
 */
import { SbxError } from "../base/errors.ts";
import type { PolicyChange } from "../journal/policy_change.ts";
import type { Policy } from "../policy/model/policy.ts";
import { plainPolicyFile, type PolicyFile } from "../policy/model/settings.ts";
import type { EventKind, SandboxEvent } from "../sandbox/events.ts";
import type { ApplyOptions } from "../sandbox/live_policy.ts";
import type { SandboxMetrics } from "../sandbox/metrics.ts";
import type { PortSelection, Unpublished } from "../sandbox/sandbox.ts";
import type { Publication, PublishedPort } from "../sandbox/options.ts";
import type { ExecOptions } from "../sandbox/exec_options.ts";
import type { SandboxFiles } from "../sandbox/files.ts";
import type { SandboxProcess } from "../sandbox/process.ts";
import type { SupervisorClient } from "../supervise/client.ts";
import type { JobInfo } from "../supervise/jobs.ts";
import type { LogPiece } from "../supervise/job_log.ts";
import type { KeptSandbox } from "../supervise/registry.ts";
import type { SandboxStatus } from "../supervise/state.ts";

/** How a named sandbox stands, and what it is. */
export interface SandboxInfo {
  /** Its name, as of `Sandbox.get`. */
  readonly name: string;
  /** `lost`: whatever kept it was ended from outside, or the machine was. */
  readonly status: SandboxStatus;
  /** Milliseconds since 1970; undefined where its record is damaged. */
  readonly createdMs: number | undefined;
  /** Since when it has its status: milliseconds since 1970. */
  readonly sinceMs: number;
  /** The command that it is there for; undefined when it runs until it is stopped. */
  readonly command: readonly string[] | undefined;
  /** The ports that listen for it while it runs. */
  readonly published: readonly PublishedPort[];
  /** How its main command ended, where that was its end. */
  readonly exit: { readonly code?: number; readonly signal?: number } | undefined;
  /** Why it failed, or cannot be used. */
  readonly error: { readonly code: string; readonly message: string } | undefined;
}

/** What a named sandbox was created with, as plain data. */
export interface SandboxDescription {
  /** What its relative paths are relative to. */
  readonly directory: string;
  /** How long it is there: its command, and what happens at its end. */
  readonly life: object;
  /** The guest, and its network as a policy file would have it. */
  readonly spec: object;
}

/** How a named sandbox is started. */
export interface StartNamedOptions {
  /** Called with what a person should know of the start. */
  readonly onNotice?: (line: string) => void;
  /** Aborting it gives the start up. */
  readonly signal?: AbortSignal;
}

/** What of a job's output is wanted. */
export interface AttachOptions {
  /** Begins at this offset, in bytes of both streams together; 0 when absent. */
  readonly from?: number;
}

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
    if (sandbox.#kept.status === "running") await sandbox.#connect();
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
    if (this.#kept.status === "running" || this.#kept.status === "starting") {
      throw new SbxError("SANDBOX_RUNNING", `Cannot start sandbox ${this.name}: it is running`, {
        hint: `run a command in it with 'sbx exec ${this.name} -- …'`,
      });
    }
    const { launch } = await import("../supervise/launch.ts");
    await launch(this.#kept, options);
    await this.#connect();
  }

  /**
   * Starts a command, which ends with this connection. The streams are ready at once; failures to start come
   * out of `exit`.
   *
   * @throws SbxError `STOPPED`, `USAGE`
   */
  exec(command: string, args: readonly string[] = [], options: ExecOptions = {}): SandboxProcess {
    return this.#running("run a command in").exec(command, args, options);
  }

  /** Its files. @throws SbxError `STOPPED` */
  get fs(): SandboxFiles {
    const { record } = this.#kept;
    const user = record instanceof SbxError ? undefined : record.spec.user;
    return this.#running("use the files of").files(user);
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

  /** The addresses that a server listens on, once one does. @throws SbxError `STOPPED`, `PORT_TIMEOUT` */
  async waitForPort(
    port: number,
    { timeoutMs }: { readonly timeoutMs?: number } = {},
  ): Promise<readonly string[]> {
    return await this.#running("wait for a port of").waitForPort(port, timeoutMs);
  }

  /** What it uses now. @throws SbxError `STOPPED` */
  async metrics(): Promise<SandboxMetrics> {
    return await this.#running("measure").metrics();
  }

  /**
   * What happens from now on; see {@link RunningSandbox.events}. Ends with the sandbox, or with this
   * connection.
   *
   * @throws SbxError `STOPPED`
   */
  events(
    { kinds }: { readonly kinds?: readonly EventKind[] } = {},
  ): AsyncGenerator<SandboxEvent, void> {
    return this.#running("follow").events(kinds);
  }

  /** Starts a command that goes on without anybody. @throws SbxError `STOPPED`, `USAGE` */
  async startJob(argv: readonly string[], options: ExecOptions = {}): Promise<JobInfo> {
    return await this.#running("run a command in").startJob(argv, options);
  }

  /** The jobs that run, and those that ended lately. @throws SbxError `STOPPED` */
  async jobs(): Promise<readonly JobInfo[]> {
    return await this.#running("list the jobs of").jobs();
  }

  /** Resolves at the job's end. @throws SbxError `STOPPED`, `JOB_MISSING` */
  async wait(job: string): Promise<JobInfo> {
    return await this.#running("wait for a job of").wait(job);
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
    return this.#running("attach to").attach(job, options);
  }

  /**
   * What a job has printed, also of a sandbox that was stopped.
   *
   * @throws SbxError `JOB_MISSING`
   */
  async *logs(job = "main", { from = 0 }: AttachOptions = {}): AsyncGenerator<LogPiece, void> {
    const [{ JobLogReader }, { jobLogPath }] = await Promise.all([
      import("../supervise/job_log.ts"),
      import("../supervise/jobs.ts"),
    ]);
    const reader = new JobLogReader(jobLogPath(this.#kept.home, job), from);
    try {
      for (let piece = reader.next(); piece !== null; piece = reader.next()) yield piece;
    } finally {
      reader.close();
    }
  }

  /** Ends it; resolves when nothing of it runs any more. Does nothing when it is not running. */
  async stop(): Promise<void> {
    await this.#look();
    if (this.#client === undefined) return;
    await this.#client.stop();
    this.#client = undefined;
  }

  /**
   * Forgets it, and all that is kept of it.
   *
   * @throws SbxError `SANDBOX_RUNNING` unless `force` ends it before
   */
  async remove({ force = false }: { readonly force?: boolean } = {}): Promise<void> {
    await this.#look();
    if (force) await this.stop();
    const { forgetSandbox, lockSandbox } = await import("../supervise/registry.ts");
    const lock = lockSandbox(this.#kept.home);
    if (lock === null) {
      throw new SbxError("SANDBOX_RUNNING", `Cannot remove sandbox ${this.name}: it is running`, {
        hint: `stop it first, or use 'sbx rm --force ${this.name}'`,
      });
    }
    try {
      await forgetSandbox(this.#kept.home);
    } finally {
      lock.release();
    }
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

  async #look(): Promise<void> {
    const { keptSandbox } = await import("../supervise/registry.ts");
    this.#kept = await keptSandbox(this.name);
    if (this.#kept.status !== "running") this.close();
    else if (this.#client === undefined) await this.#connect();
  }

  async #connect(): Promise<void> {
    const { SupervisorClient } = await import("../supervise/client.ts");
    this.#client = await SupervisorClient.connect(this.#kept);
  }

  #running(doing: string): SupervisorClient {
    if (this.#client !== undefined) return this.#client;
    throw new SbxError("STOPPED", `Cannot ${doing} sandbox ${this.name}: it is not running`, {
      hint: `start it with 'sbx start ${this.name}'`,
    });
  }
}

/** What is known of a sandbox without asking its supervisor. */
export function infoOf({ name, status, state, record }: KeptSandbox): SandboxInfo {
  const damaged = record instanceof SbxError;
  return {
    name,
    status,
    createdMs: damaged ? undefined : record.createdMs,
    sinceMs: state.at,
    command: damaged ? undefined : record.life.main?.argv,
    published: status === "running" && state.kind === "running" ? state.published : [],
    exit: state.kind === "stopped" && state.exit !== undefined ? defined(state.exit) : undefined,
    error: damaged
      ? { code: record.code, message: record.message }
      : state.kind === "failed"
      ? state.error
      : undefined,
  };
}

function defined({ code, signal }: { code?: number | undefined; signal?: number | undefined }) {
  return {
    ...(code === undefined ? {} : { code }),
    ...(signal === undefined ? {} : { signal }),
  };
}
