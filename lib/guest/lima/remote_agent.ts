/**
 * sbx's agent in a guest that Lima has booted: it is brought there over SSH when something is wanted of it,
 * and again when that connection has ended.
 *
 * ```
 * nobody ── a call ──► connecting ──► there ── the connection ends ──► nobody
 *                          └── no SSH in time: what was asked fails ──► nobody
 * ```
 *
 * @module
 */
import type { Duplex } from "node:stream";
import { SbxError } from "../../base/errors.ts";
import { Agent } from "../agent/client.ts";
import type { CommandExit, ExecSpec, GuestProcess } from "../guest.ts";

/**
 * How long a killed command may take to be seen to end. A machine of ours would be ended after a little more
 * (`lib/sandbox/ending.ts`); this one has a disk, and lives on.
 */
const OBEY_MS = 2_800;
const SIGKILL = 9;

export interface RemoteAgentSpec {
  /** A port to it, which need not be open yet: what is written waits. */
  readonly connect: () => Duplex;
  /** It broke its protocol. */
  readonly onFault: (error: SbxError) => void;
}

export class RemoteAgent {
  readonly #spec: RemoteAgentSpec;
  #current: { readonly agent: Agent; readonly port: Duplex } | undefined;

  constructor(spec: RemoteAgentSpec) {
    this.#spec = spec;
  }

  /** The one that is there, or on its way. Calls of one that does not come fail with GUEST_FAILED. */
  get calls(): Agent {
    if (this.#current !== undefined) return this.#current.agent;
    const port = this.#spec.connect();
    const agent = new Agent(port, { gone: unreachable });
    const current = { agent, port };
    this.#current = current;
    void agent.lost.then((error) => {
      if (this.#current === current) this.#current = undefined;
      if (error.code === "PROTOCOL") this.#spec.onFault(error);
    });
    return agent;
  }

  exec(spec: ExecSpec): GuestProcess {
    return new RemoteProcess(this.calls.exec(spec));
  }

  close(): void {
    this.#current?.port.destroy();
  }
}

function unreachable(cause: unknown): SbxError {
  if (cause instanceof SbxError) return cause;
  return new SbxError("GUEST_FAILED", "Cannot reach the guest: its SSH connection ended", {
    cause,
  });
}

/** A command whose end is not waited for without end. */
class RemoteProcess implements GuestProcess {
  readonly stdin: WritableStream<Uint8Array>;
  readonly stdout: ReadableStream<Uint8Array>;
  readonly stderr: ReadableStream<Uint8Array>;
  readonly exit: Promise<CommandExit>;
  readonly started: Promise<boolean>;
  readonly #command: GuestProcess;
  readonly #unseen = Promise.withResolvers<never>();

  constructor(command: GuestProcess) {
    this.#command = command;
    this.stdin = command.stdin;
    this.stdout = command.stdout;
    this.stderr = command.stderr;
    this.started = command.started;
    this.exit = Promise.race([command.exit, this.#unseen.promise]);
    this.exit.catch(() => {}); // whoever reads only the streams need not look at the status
  }

  signal(number: number): void {
    this.#command.signal(number);
    if (number !== SIGKILL) return;
    const timer = setTimeout(() => {
      const state = "the guest does not say that the command ended";
      this.#unseen.reject(new SbxError("GUEST_FAILED", `Cannot wait any longer: ${state}`));
      this.discard();
    }, OBEY_MS);
    const over = () => clearTimeout(timer);
    this.#command.exit.then(over, over);
  }

  /** That SSH is slow, or gone, ends no machine. */
  answers(): Promise<unknown> {
    return Promise.resolve();
  }

  discard(): void {
    this.#command.discard();
  }

  resize(cols: number, rows: number): void {
    this.#command.resize(cols, rows);
  }
}
