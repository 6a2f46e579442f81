/**
 * A running sandbox as a program sees it.
 *
 * @module
 */
import { SbxError } from "../base/errors.ts";
import type { Guest } from "../guest/guest.ts";
import { SandboxBuilder } from "./builder.ts";
import type { Lifetime } from "./lifetime.ts";
import type { Network } from "./network.ts";
import type { PublishedPort, SandboxOptions } from "./options.ts";
import { SandboxProcess } from "./process.ts";
import type { NetworkSummary } from "./summary.ts";

/** How one command runs; absent fields come from the sandbox. */
export interface ExecOptions {
  /** Added to the sandbox's own variables. */
  readonly env?: Readonly<Record<string, string>>;
  readonly workdir?: string;
  /** Gives the command a terminal of this size. */
  readonly tty?: { readonly columns: number; readonly rows: number; readonly term: string };
  /** False gives the command an empty input. */
  readonly stdin?: boolean;
  /** At the limit the command is asked to end, and killed two seconds later. */
  readonly timeoutMs?: number;
}

/** The parts that a start put together. */
export interface SandboxParts {
  readonly options: SandboxOptions;
  readonly lifetime: Lifetime;
  readonly guest: Guest;
  /** Absent when the guest has no network device. */
  readonly network?: Network;
  readonly published: readonly PublishedPort[];
}

export class Sandbox implements AsyncDisposable {
  readonly #parts: SandboxParts;

  /** @internal Sandboxes come from {@link Sandbox.builder}. */
  constructor(parts: SandboxParts) {
    this.#parts = parts;
  }

  static builder(): SandboxBuilder {
    return new SandboxBuilder();
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

  /** Starts a command. The streams are ready at once; failures to start come out of `exit`. */
  exec(command: string, args: readonly string[] = [], options: ExecOptions = {}): SandboxProcess {
    const { guest, lifetime, options: own } = this.#parts;
    if (!lifetime.open) {
      throw new SbxError("STOPPED", `Cannot run ${command}: the sandbox was stopped`);
    }
    const { tty } = options;
    const cwd = options.workdir ?? own.workdir;
    const process = guest.exec({
      argv: [command, ...args],
      env: { ...own.env, ...options.env },
      stdin: options.stdin ?? true,
      ...(cwd === undefined ? {} : { cwd }),
      ...(tty === undefined ? {} : { tty: { cols: tty.columns, rows: tty.rows, term: tty.term } }),
    });
    return new SandboxProcess(process, lifetime, options.timeoutMs ?? own.timeoutMs);
  }

  /** Counts of flows, bytes and refusals so far; undefined without a network. */
  summary(): NetworkSummary | undefined {
    return this.#parts.network?.summary();
  }

  /** Ends every command and the guest. Resolves when nothing of it is left; may be called again. */
  async stop(): Promise<void> {
    await this.#parts.lifetime.end();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}
