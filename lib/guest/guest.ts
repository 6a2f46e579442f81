/**
 * The guest as the rest of sbx sees it, whatever machine runs it.
 *
 * @module
 */
import type { TemplateSize } from "./template/manifest.ts";
import type { SbxError } from "../base/errors.ts";
import type { GuestUsage, LoopbackServer } from "./agent/result.ts";
import type { OpenCall } from "../wire/open_call.ts";
import type { FileGuest } from "./files.ts";
import type { HeldMachine } from "./saved.ts";

/** One command to run. */
export interface ExecSpec {
  /** The program, looked up on the guest's PATH, and its arguments. */
  readonly argv: readonly string[];
  /** Added to the guest's own environment. */
  readonly env: Readonly<Record<string, string>>;
  /** Absent: the home directory. */
  readonly cwd?: string;
  /** `NAME` or `UID`, with `:GROUP` if wanted. Absent: root. */
  readonly user?: string;
  /** Gives the command a terminal. */
  readonly tty?: { readonly cols: number; readonly rows: number; readonly term: string };
  /** False: the command reads an empty input. */
  readonly stdin: boolean;
  /** Standard streams, by number, that are closed for the command; not with a terminal. */
  readonly closed?: readonly (0 | 1 | 2)[];
}

/** How a command ended: with a code, or by the number of a signal. */
export interface CommandExit {
  readonly code?: number;
  readonly signal?: number;
  /** A time limit ended it, which whoever runs it kept. */
  readonly timedOut?: boolean;
}

export interface GuestProcess {
  readonly stdin: WritableStream<Uint8Array>;
  readonly stdout: ReadableStream<Uint8Array>;
  /** Empty with a terminal. */
  readonly stderr: ReadableStream<Uint8Array>;
  /** Rejects with EXEC_NOT_FOUND, EXEC_NOT_EXECUTABLE, or what ended the guest. */
  readonly exit: Promise<CommandExit>;
  /** True once the guest has started it; false when it said nothing of that before `exit` settled. */
  readonly started: Promise<boolean>;
  signal(number: number): void;
  /** Resolves when the agent, which answers in any order, has answered; rejects when it is lost. */
  answers(): Promise<unknown>;
  /** Drops what the command printed and prints from here on, and that nobody reads. */
  discard(): void;
  resize(cols: number, rows: number): void;
}

/** Asks for a server that listens on the guest's loopback alone. */
export interface ReachQuestion {
  readonly port: number;
  /** Whether connections of the gateway are to be carried there. */
  readonly forward: boolean;
  /** Ports that must not lead there. */
  readonly avoid: readonly number[];
}

/** How a process of this machine ended. */
export interface Exit {
  readonly code: number | null;
  readonly signal: string | null;
}

/** A process of this machine, for people by what it is. */
export interface HostProcess {
  /** What it is: `qemu`, `netstack`. */
  readonly name: string;
  /** Its number on this machine. */
  readonly pid: number;
}

/**
 * Whether a guest went on from a template: `used`; or booted, because there was none yet (`missing`), or
 * because templates do not serve guests of its kind (`unserved`).
 */
export type TemplateUse = "used" | "missing" | "unserved";

/** A disk that nobody writes to, with all on it that was written before. */
export interface FrozenDisk {
  /** Lets the guest go on. @throws SbxError when the disk did not stand still all the time */
  thaw(): Promise<void>;
}

export interface Guest extends FileGuest {
  /** What runs the guest's code: `kvm`, `hvf` or `tcg` (emulation). */
  readonly accelerator: string;
  readonly template: TemplateUse;
  /** What a template that is missing would be for. */
  readonly missing?: TemplateSize;
  exec(spec: ExecSpec): GuestProcess;
  /** Null: nobody listens there. May never settle, as the guest may never answer. */
  reach(question: ReachQuestion): Promise<LoopbackServer | null>;
  /** Addresses at which servers of the guest listen on a TCP port. May never settle either. */
  listening(port: number): Promise<readonly string[]>;
  /**
   * A connection to a server on a TCP port of the guest, by the channel to its agent: no network is needed.
   * Failures, CONNECTION_REFUSED among them, come out of the streams and `done`.
   */
  connect(port: number): OpenCall;
  /** May never settle either. */
  usage(): Promise<GuestUsage>;
  /** Has whoever writes to the guest's disk wait. May never settle either. @throws SbxError GUEST_FAILED */
  freeze(): Promise<FrozenDisk>;
  /**
   * Has the machine stand still, and saves it, its memory and processes with it. Absent: none of its kind can be.
   * Aborting the signal has it go on.
   *
   * @throws SbxError MEMORY_UNSAVABLE, and what the machine or its agent says against it; the signal's reason
   */
  hold?(signal: AbortSignal): Promise<HeldMachine>;
  /** The processes of this machine that are the guest's. */
  readonly processes: readonly HostProcess[];
  /** Settles when the machine is gone: with an error unless `stop` was called. */
  readonly exited: Promise<SbxError | undefined>;
  stop(): Promise<void>;
}
