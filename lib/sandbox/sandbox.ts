/**
 * A running sandbox as a program sees it.
 *
 * @module
 */
import { SbxError } from "../base/errors.ts";
import { escapeText } from "../base/escape.ts";
import type { FileRequest } from "../guest/files.ts";
import type { Guest } from "../guest/guest.ts";
import type { NetworkSummary } from "../journal/summary.ts";
import type { Vault } from "../secret/vault.ts";
import { type ExecOptions, requireExec } from "./exec_options.ts";
import { FileOperation } from "./file_operation.ts";
import type { SandboxFiles } from "./files.ts";
import { GuestFiles } from "./guest_files.ts";
import type { Lifetime } from "./lifetime.ts";
import type { Network } from "./network_spec.ts";
import type { PublishedPort, SandboxOptions } from "./options.ts";
import { promptOf } from "./prompt.ts";
import { SandboxProcess } from "./process.ts";
import { requireNoValue } from "./revealed.ts";

/** The parts that a start put together. */
export interface SandboxParts {
  readonly options: SandboxOptions;
  readonly lifetime: Lifetime;
  readonly guest: Guest;
  /** Absent when the guest has no network device. */
  readonly network?: Network;
  readonly published: readonly PublishedPort[];
  /** Variables of every command that hold the placeholders of secrets. */
  readonly placeholders: Readonly<Record<string, string>>;
  /** Has the machine ended from outside; see {@link TimeLimit}. */
  readonly watch: (ms: number) => () => void;
  /** Absent when the guest has no secrets. */
  readonly vault?: Vault;
}

/** A guest that runs, with its network. */
export class Sandbox implements AsyncDisposable {
  /** The guest's files. */
  readonly fs: SandboxFiles;
  readonly #parts: SandboxParts;

  /** @internal Sandboxes come from a builder's `create`. */
  constructor(parts: SandboxParts) {
    this.#parts = parts;
    const { guest, lifetime, options: { user } } = parts;
    this.fs = new GuestFiles({ guest, lifetime, ...(user === undefined ? {} : { user }) });
  }

  /** What runs the guest's code: `kvm`, `hvf` or `tcg` (emulation). */
  get accelerator(): string {
    return this.#parts.guest.accelerator;
  }

  /** The ports that listen for the guest, with the numbers that the system chose. */
  get published(): readonly PublishedPort[] {
    return this.#parts.published;
  }

  /** Resolves at the end of the sandbox: to the failure, or to undefined when it was stopped. */
  get ended(): Promise<SbxError | undefined> {
    return this.#parts.lifetime.ending;
  }

  /**
   * Starts a command. The streams are ready at once; failures to start come out of `exit`.
   *
   * @throws SbxError STOPPED, or USAGE for wrong options and for arguments and variables with the value of
   * a secret
   */
  exec(command: string, args: readonly string[] = [], options: ExecOptions = {}): SandboxProcess {
    const { guest, lifetime, options: own, placeholders } = this.#parts;
    requireExec(command, args, options);
    if (!lifetime.open) {
      throw new SbxError("STOPPED", `Cannot run ${escapeText(command)}: the sandbox was stopped`);
    }
    const { tty } = options;
    const cwd = options.workdir ?? own.workdir;
    const user = options.user ?? own.user;
    this.#requireNoValue([command, ...args], { ...own.env, ...options.env });
    const process = guest.exec({
      argv: [command, ...args],
      env: {
        ...(tty === undefined ? {} : promptOf(own, user)),
        ...own.env,
        ...placeholders,
        ...options.env,
      },
      stdin: options.stdin ?? true,
      ...(cwd === undefined ? {} : { cwd }),
      ...(user === undefined ? {} : { user }),
      ...(options.closed === undefined ? {} : { closed: options.closed }),
      ...(tty === undefined ? {} : { tty: { cols: tty.columns, rows: tty.rows, term: tty.term } }),
    });
    const ms = options.timeoutMs ?? own.timeoutMs;
    return new SandboxProcess(
      process,
      lifetime,
      ms === undefined ? undefined : { ms, watch: this.#parts.watch },
    );
  }

  #requireNoValue(argv: readonly string[], env: Readonly<Record<string, string>>): void {
    const { vault } = this.#parts;
    if (vault === undefined) return;
    requireNoValue(vault, [
      ...argv.map((text, at) => [at === 0 ? "its name" : `its argument ${at}`, text] as const),
      ...Object.entries(env).map(([key, text]) =>
        [`its variable ${escapeText(key)}`, text] as const
      ),
    ]);
  }

  /** @internal A call about the guest's files, for who passes it on; programs have `fs`. @throws SbxError STOPPED */
  openFiles(request: FileRequest, signal: AbortSignal): FileOperation {
    return new FileOperation(this.#parts, request, signal);
  }

  /** Counts of flows, bytes and refusals so far; undefined without a network. */
  summary(): NetworkSummary | undefined {
    return this.#parts.network?.summary();
  }

  /** Ends every command and the guest. Resolves when nothing of it is left; may be called again. */
  async stop(): Promise<void> {
    await this.#parts.lifetime.end();
  }

  /** The end of `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}
