/**
 * A guest of Lima's in QEMU, from the moment that QEMU is there.
 *
 * ```
 * paused ── run() ──► running ── powerDown() ──► leaving ── in time ──► gone
 *    │                  │                          └────── late: killed ─┘
 *    │                  ├── its own power-off ─────────────────────────► gone
 *    └──────────────────┴── QEMU ends, stop() ─────────────────────────► gone
 * ```
 *
 * @module
 */
import { SbxError } from "../../base/errors.ts";
import { escapeText } from "../../base/escape.ts";
import type { GuestUsage, LoopbackServer } from "../agent/result.ts";
import type { OpenCall } from "../../wire/open_call.ts";
import type { FileCall, FileRequest } from "../files.ts";
import type {
  ExecSpec,
  Exit,
  FrozenDisk,
  Guest,
  GuestProcess,
  HostProcess,
  ReachQuestion,
  TemplateUse,
} from "../guest.ts";
import { RemoteAgent, type RemoteAgentSpec } from "./remote_agent.ts";

/** Orders to QEMU, as its monitor takes them. */
export interface LimaMonitor {
  /** Resolves to what QEMU answers. @throws SbxError GUEST_START */
  ask(
    order: readonly [command: string, values?: Readonly<Record<string, unknown>>],
  ): Promise<unknown>;
}

/** QEMU as it runs. */
export interface LimaProcess {
  readonly pid: number;
  readonly monitor: LimaMonitor;
  /** What the guest says on its serial port, to be read once and to its end. */
  readonly console: ReadableStream<Uint8Array>;
  /** The last of what the guest said on its serial port, and QEMU on stderr. */
  consoleTail(): string;
  readonly exited: Promise<Exit>;
  kill(): void;
}

type State = "paused" | "running" | "leaving" | "killed";

/** A timer takes no longer times; 24 days. */
const LONGEST_MS = 2 ** 31 - 1;

/** Guests press on with a shutdown, and some never heard of the button: it is pressed again this often. */
const PRESS_AGAIN_MS = 10_000;

export class LimaGuest implements Guest {
  readonly accelerator: string;
  readonly template: TemplateUse = "unserved";
  readonly monitor: LimaMonitor;
  /** Settles when QEMU is gone: with an error unless it was asked to, or the guest went by itself. */
  readonly exited: Promise<SbxError | undefined>;
  readonly #process: LimaProcess;
  readonly #remote: RemoteAgent;
  #state: State = "paused";

  /** `agent`: how sbx's agent in it is reached, once it has booted. */
  constructor(process: LimaProcess, accelerator: string, agent: RemoteAgentSpec) {
    this.#process = process;
    this.accelerator = accelerator;
    this.#remote = new RemoteAgent(agent);
    this.monitor = process.monitor;
    this.exited = process.exited.then(({ code, signal }) => {
      this.#remote.close();
      if (this.#state === "leaving" || this.#state === "killed") return undefined;
      if (this.#state === "running" && code === 0) return undefined;
      const how = signal === null ? `status ${code}` : signal;
      const last = process.consoleTail().trim().split("\n").at(-1) ?? "";
      const said = last === "" ? "" : `; it last said: ${escapeText(last)}`;
      return new SbxError("GUEST_LOST", `Cannot go on: QEMU ended (${how})${said}`);
    });
  }

  get pid(): number {
    return this.#process.pid;
  }

  get console(): ReadableStream<Uint8Array> {
    return this.#process.console;
  }

  get processes(): readonly HostProcess[] {
    return [{ name: "qemu", pid: this.pid }];
  }

  exec(spec: ExecSpec): GuestProcess {
    return this.#remote.exec(spec);
  }

  files(request: FileRequest): FileCall {
    return this.#remote.calls.files(request);
  }

  async reach(question: ReachQuestion): Promise<LoopbackServer | null> {
    return await this.#remote.calls.reach(question);
  }

  async listening(port: number): Promise<readonly string[]> {
    return await this.#remote.calls.listening(port);
  }

  connect(port: number): OpenCall {
    return this.#remote.calls.connect(port);
  }

  freeze(): Promise<FrozenDisk> {
    return Promise.reject(new SbxError("DISK_MISSING", "Cannot keep the disk still: it is Lima's"));
  }

  async usage(): Promise<GuestUsage> {
    return await this.#remote.calls.usage();
  }

  /** Lets it go. @throws SbxError GUEST_START */
  async run(): Promise<void> {
    await this.monitor.ask(["cont"]);
    if (this.#state === "paused") this.#state = "running";
  }

  /** Presses the guest's power button, and kills it when it takes longer than that. */
  async powerDown(limitMs: number): Promise<void> {
    if (this.#state !== "running") return await this.exited.then(() => {});
    this.#state = "leaving";
    const press = () => void this.monitor.ask(["system_powerdown"]).catch(() => {});
    press();
    const again = setInterval(press, PRESS_AGAIN_MS);
    const late = setTimeout(() => this.#kill(), Math.min(limitMs, LONGEST_MS));
    await this.exited;
    clearInterval(again);
    clearTimeout(late);
  }

  async stop(): Promise<void> {
    this.#kill();
    await this.exited;
  }

  #kill(): void {
    this.#state = "killed";
    this.#process.kill();
  }
}
