/**
 * The guest's agent, as sbx calls it.
 *
 * @module
 */
import type { Duplex } from "node:stream";
import { SbxError } from "../../base/errors.ts";
import { CallClient, sendAll } from "../../wire/call_client.ts";
import { type Peer, serverBounds } from "../../wire/call_frame.ts";
import { type OpenCall, openCall } from "../../wire/open_call.ts";
import type { FileCall, FileRequest } from "../files.ts";
import type { ExecSpec, FrozenDisk, GuestProcess, ReachQuestion } from "../guest.ts";
import type { Correction } from "../guest_clock.ts";
import type { Transport } from "../plan.ts";
import { Command, commandRequest } from "./command.ts";
import { fileRequest } from "./file_call.ts";
import { fileFailure } from "./file_failure.ts";
import { frozenInTime } from "./freeze.ts";
import {
  clockTime,
  commandFailure,
  commandStatus,
  connectFailure,
  type GuestUsage,
  guestUsage,
  listenerAddresses,
  type LoopbackServer,
  loopbackServer,
} from "./result.ts";

/** The guest may own its agent, so what it sends is a stranger's. */
export const AGENT: Peer = { name: "the guest's agent", sends: serverBounds(64 * 1024) };

/** What `prepare` tells the agent, the same for every guest with one root; the names are the protocol's. */
export interface AgentPreparation {
  /** Where commands start. */
  readonly home: string;
  /** Links of the root, such as `bin` to `usr/bin`. */
  readonly links: Readonly<Record<string, string>>;
  /** Lists of kernel modules that mounts need. */
  readonly modules: readonly string[];
  /**
   * Absent: the machine booted. Else it was saved, with its modules, and devices came to it since. At least 32
   * random bytes that no other guest gets, in base64.
   */
  readonly resumed?: { readonly entropy: string };
  /** The device for all that commands write. Absent: their memory has it. */
  readonly disk?: { readonly kept: boolean; readonly owner?: string };
  /** Exports that get a writable layer, such as /usr; one at / is all of the root. */
  readonly trees: readonly {
    readonly tag: string;
    readonly at: string;
    /** 9p when absent. */
    readonly transport?: Transport["transport"];
    /** Of virtiofs, how many files it can have open, where the guest can be made to forget some. */
    readonly files?: number;
  }[];
  /** Absent: a loopback and nothing else. */
  readonly network?: {
    readonly mtu: number;
    readonly guest4: string;
    readonly gateway4: string;
    readonly guest6: string;
    readonly gateway6: string;
  };
}

/** What `configure` tells the agent; the names are the protocol's. */
export interface AgentConfig {
  readonly hostname: string;
  /** At least 32 random bytes, in base64. */
  readonly entropy: string;
  /** What the environment of every command begins with. */
  readonly env: Readonly<Record<string, string>>;
  /** Absent: nothing is intercepted. */
  readonly trust?: {
    readonly authority: string;
    readonly variables: Readonly<Record<string, string>>;
  };
  /** Absent: the kernel has seen all devices. */
  readonly newDevices?: true;
  /** Exports, or files of the archive. */
  readonly mounts: readonly ({
    readonly at: string;
    readonly readOnly: boolean;
    readonly as?: "cached" | "copy";
  } & (({ readonly tag: string } & Transport) | { readonly file: string }))[];
}

/** What `renew` tells the agent; the names are the protocol's. */
export interface AgentRenewal extends Pick<AgentConfig, "hostname" | "entropy" | "env"> {
  /** Whose the disk is. */
  readonly owner?: string;
}

export interface AgentOptions {
  /** How many calls the agent has had from another host. */
  readonly calls?: number;
  /** The error of what is open when the port ends. Absent: the guest is lost with it. */
  readonly gone?: (cause: unknown) => SbxError;
}

/** What the agent itself could not do of a set-up. */
export class SetUpFailure extends SbxError {
  /** The method that failed. */
  readonly method: string;
  /** That another disk would not have failed. */
  readonly isOfDisk: boolean;

  constructor(method: string, message: string, isOfDisk: boolean) {
    super(
      "GUEST_START",
      `Cannot set up the guest: ${message}`,
      isOfDisk ? { hint: "begin with a new disk" } : {},
    );
    this.method = method;
    this.isOfDisk = isOfDisk;
  }
}

/** Asks for what is always there. */
const ROOT: FileRequest = { method: "stat", path: "/", follow: true };

export class Agent {
  readonly #calls: CallClient;

  /** Takes over the port, of which nothing was read. */
  constructor(port: Duplex, { calls = 0, gone = lost }: AgentOptions = {}) {
    this.#calls = new CallClient(port, { peer: AGENT, traced: "agent", gone, calls });
  }

  /** Settles when the agent cannot be reached any more: as `gone` says, or `PROTOCOL` for its fault. */
  get lost(): Promise<SbxError> {
    return this.#calls.lost;
  }

  /**
   * Loads lists of kernel modules, before the machine is prepared. `modules` is a tar archive of those that its
   * first file system lacks.
   *
   * @throws SbxError GUEST_START
   */
  async load(lists: readonly string[], modules: Uint8Array): Promise<void> {
    await this.#setUp({ method: "load", modules: lists }, modules);
  }

  /**
   * Makes the root, as far as it is nobody's yet. `root` is a tar archive of files for it; with
   * a disk, behind one of the modules that it takes, unless the machine has them already (`resumed`).
   *
   * @throws SbxError GUEST_START
   */
  async prepare(preparation: AgentPreparation, root: Uint8Array): Promise<void> {
    await this.#setUp({ method: "prepare", ...preparation }, root);
  }

  /**
   * Makes the machine this guest's, once it is prepared; before, the agent runs nothing. `root` is a tar
   * archive of files for the guest's root.
   *
   * @throws SbxError GUEST_START
   */
  async configure(config: AgentConfig, root: Uint8Array): Promise<void> {
    await this.#setUp({ method: "configure", ...config }, root);
  }

  /**
   * Makes a machine that stands still, and went on from another one's memory, this guest's; its processes go on
   * then. Answers how many of their connections were broken off.
   *
   * @throws SbxError GUEST_START
   */
  async renew(renewal: AgentRenewal, root: Uint8Array): Promise<void> {
    await this.#setUp({ method: "renew", ...renewal }, root);
  }

  /** Has all processes of the machine stand still, with everything written back. @throws SbxError GUEST_FAILED */
  async still(): Promise<void> {
    await this.#plainly("still", "keep the guest still");
  }

  /** Has them go on. @throws SbxError GUEST_FAILED */
  async goOn(): Promise<void> {
    await this.#plainly("go-on", "let the guest go on");
  }

  /**
   * Holds back whatever is said to the agent from here on. Undefined while it is asked anything: what it answers
   * would be lost.
   */
  hold(): { readonly calls: number; readonly release: () => void } | undefined {
    return this.#calls.hold();
  }

  async #plainly(method: string, doing: string): Promise<void> {
    await this.#calls.plain({ method }, ({ message }) => {
      return new SbxError("GUEST_FAILED", `Cannot ${doing}: ${message}`);
    }).ok;
  }

  async #setUp(
    request: { readonly method: string } & Readonly<Record<string, unknown>>,
    root: Uint8Array,
  ): Promise<void> {
    const call = this.#calls.plain(
      request,
      ({ code, message }) => new SetUpFailure(request.method, message, code === "disk-unusable"),
    );
    await sendAll(call.input, [root]);
    await call.ok;
  }

  /** Adjusts the guest's clock and tells its time, in microseconds since 1970. */
  async clock({ adjustUs, slew }: Correction): Promise<number> {
    const call = this.#calls.plain({ method: "clock", adjustUs, slew }, ({ message }) => {
      return new SbxError("GUEST_FAILED", `Cannot set the guest's clock: ${message}`);
    });
    return clockTime(await call.ok);
  }

  /**
   * Runs a command. Like a pipe's, its output must be read for it to go on and its status to come.
   *
   * @throws SbxError USAGE for arguments or an environment that no command can have.
   */
  exec(spec: ExecSpec): GuestProcess {
    return new Command(commandRequest("exec", spec), {
      calls: this.#calls,
      peer: AGENT,
      answers: () => this.files(ROOT).done,
      exit: commandStatus,
      failure: commandFailure,
    });
  }

  /** Does one thing with the guest's files. */
  files(request: FileRequest): FileCall {
    return openCall(fileRequest(request), {
      calls: this.#calls,
      peer: AGENT,
      failure: (failure) => fileFailure(request, failure),
    });
  }

  /** Looks for a server on the guest's loopback; see `Guest.reach`. */
  async reach(question: ReachQuestion): Promise<LoopbackServer | null> {
    const call = this.#calls.plain({ method: "reach", ...question }, ({ message }) => {
      return new SbxError("GUEST_FAILED", `Cannot reach a server in the guest: ${message}`);
    });
    return loopbackServer(await call.ok);
  }

  /** At which addresses of the guest somebody listens on a TCP port. */
  async listening(port: number): Promise<readonly string[]> {
    const call = this.#calls.plain({ method: "listening", port }, ({ message }) => {
      return new SbxError("GUEST_FAILED", `Cannot look for a server in the guest: ${message}`);
    });
    return listenerAddresses(await call.ok);
  }

  /** A connection to a server of the guest, whatever address it listens on; see `Guest.connect`. */
  connect(port: number): OpenCall {
    return openCall({ method: "connect", port }, {
      calls: this.#calls,
      peer: AGENT,
      failure: (failure) => connectFailure(port, failure),
    });
  }

  /** What the guest uses of its machine. */
  async usage(): Promise<GuestUsage> {
    const call = this.#calls.plain({ method: "usage" }, ({ message }) => {
      return new SbxError("GUEST_FAILED", `Cannot ask for the guest's usage: ${message}`);
    });
    return guestUsage(await call.ok);
  }

  /** Writes everything back that the disk lacks, and has whoever writes to it wait. */
  async freeze(): Promise<FrozenDisk> {
    return await frozenInTime(this.#calls.plain({ method: "freeze" }, ({ message }) => {
      return new SbxError("GUEST_FAILED", `Cannot keep the guest's disk still: ${message}`);
    }));
  }

  /** Ends all commands and has everything written that a mount still has to. */
  async shutdown(): Promise<void> {
    await this.#calls.plain({ method: "shutdown" }, ({ message }) => {
      return new SbxError("GUEST_FAILED", `Cannot shut the guest down: ${message}`);
    }).ok;
  }
}

function lost(cause: unknown): SbxError {
  return new SbxError(
    "GUEST_LOST",
    "Cannot reach the guest: its agent is gone",
    cause instanceof Error ? { cause } : {},
  );
}
