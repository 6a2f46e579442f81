/**
 * A guest in QEMU, from the moment that QEMU runs.
 *
 * ```
 * booting ── prepare() ──► prepared ── configure() ──► ready ── stop() ──────────────► gone
 *    └────── late, dead, refused ──┴───────────────────────┴── QEMU or agent ends ──► gone, with the reason
 * ```
 *
 * @module
 */
import { setTimeout as delay } from "node:timers/promises";
import { SbxError } from "../../base/errors.ts";
import { MIB, wholeMiB } from "../../base/size.ts";
import {
  Agent,
  type AgentConfig,
  type AgentPreparation,
  type AgentRenewal,
} from "../agent/client.ts";
import type { Exit, Guest, HostProcess, TemplateUse } from "../guest.ts";
import { GuestClock } from "../guest_clock.ts";
import type { TemplateSize } from "../template/manifest.ts";
import type { Accelerator } from "./args.ts";
import { diskBusy } from "./disk_busy.ts";
import { holdMachine } from "./hold.ts";
import { type HeldMachine, type SavedFacts, unsavable } from "../saved.ts";
import type { QemuProcess } from "./launch.ts";
import type { Monitor } from "./monitor.ts";

/** An emulated guest on a loaded machine takes seconds; one that takes this long never comes. */
const START_LIMIT_MS = 60_000;

/** How long after its port closed QEMU has to end and say why. */
const LAST_WORDS_MS = 500;

export interface QemuGuestOptions {
  /** How long it may take to write back what it still holds when it is stopped; 0: nothing that matters. */
  readonly writeBackMs?: number;
  /** It went on from one. */
  readonly resumed?: true;
  /** What a template that it lacked would be for. */
  readonly missing?: TemplateSize;
  /** How many calls its agent has had, where the machine goes on from one that was saved. */
  readonly calls?: number;
  /** Of a machine that can be saved: QEMU's, what else is known of it, and the file that its state goes to. */
  readonly savable?: Savable;
  /** Why it cannot be, where somebody wants it to be. */
  readonly unsavable?: string;
}

export interface Savable extends Omit<SavedFacts, "calls"> {
  readonly monitor: Monitor;
  readonly memoryMiB: number;
  readonly file: {
    /** How many bytes are free there. @throws SbxError FILE_UNREADABLE */
    readonly room: () => number;
    readonly empty: () => void;
  };
}

export class QemuGuest implements Guest {
  readonly accelerator: Accelerator;
  readonly template: TemplateUse;
  readonly missing?: TemplateSize;
  readonly exited: Promise<SbxError | undefined>;
  readonly #qemu: QemuProcess;
  readonly #agent: Agent;
  readonly #clock: GuestClock;
  #begun: ReturnType<GuestClock["begin"]> | undefined;
  #stopping = false;
  /** The guest may hold bytes that belong to the host. */
  #writesBack = false;
  readonly #writeBackMs: number;
  readonly #savable: QemuGuestOptions["savable"];
  readonly #unsavable: string;
  #held = false;
  /** The agent's breach of its protocol, if that is what the guest ends for. */
  #fault: SbxError | undefined;
  /** Which file daemon ended, if that is it. */
  #unserved: string | undefined;

  constructor(
    qemu: QemuProcess,
    accelerator: Accelerator,
    { writeBackMs = 0, resumed, missing, calls = 0, savable, unsavable }: QemuGuestOptions = {},
  ) {
    this.#savable = savable;
    this.#unsavable = unsavable ?? "it was not made to be saved";
    this.#qemu = qemu;
    this.#writeBackMs = writeBackMs;
    this.accelerator = accelerator;
    this.template = resumed ? "used" : missing === undefined ? "unserved" : "missing";
    if (missing !== undefined) this.missing = missing;
    this.#agent = new Agent(qemu.agent, { calls });
    this.#clock = new GuestClock((correction) => this.#agent.clock(correction));
    void this.#agent.lost.then((error) => this.#abandon(error));
    void qemu.unserved.then((state) => this.#giveUp(state));
    this.exited = qemu.exited.then((exit) => {
      if (this.#stopping) return undefined;
      if (this.#fault !== undefined) return this.#fault;
      const state = this.#unserved ?? `the guest ended (${howEnded(exit)})`;
      return new SbxError("GUEST_LOST", `Cannot go on: ${state}${this.#console()}`);
    });
  }

  /**
   * Loads what guests may need of the kernel, once its agent answers; whatever goes wrong ends it.
   *
   * @throws SbxError GUEST_START
   */
  async load(lists: readonly string[], modules: Uint8Array): Promise<void> {
    await this.#orEnd(() => this.#agent.load(lists, modules));
  }

  /**
   * Makes what is the same for all guests of its kind, once its agent answers; whatever goes wrong ends it.
   *
   * @throws SbxError GUEST_START
   */
  async prepare(preparation: AgentPreparation, archive: Uint8Array): Promise<void> {
    await this.#orEnd(() => this.#agent.prepare(preparation, archive));
  }

  /**
   * Makes the machine this guest's; whatever goes wrong ends it. `prepare` need not have ended.
   *
   * @throws SbxError GUEST_START
   */
  async configure(config: AgentConfig, archive: Uint8Array): Promise<void> {
    await this.#orEnd(() => this.#setUp(config, archive));
    this.#writesBack = this.#writeBackMs > 0;
  }

  async #orEnd(step: () => Promise<void>): Promise<void> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(
        () => reject(this.#startFailure("its agent did not answer")),
        START_LIMIT_MS,
      );
    });
    const dead = this.#qemu.exited.then((exit) => {
      throw this.#startFailure(this.#unserved ?? `QEMU ended (${howEnded(exit)})`);
    });
    dead.catch(() => {});
    try {
      await Promise.race([
        step().catch(async (error) => {
          // The port closes before the exit is known, and QEMU's own words are the better ones.
          await Promise.race([dead, delay(LAST_WORDS_MS)]);
          throw error;
        }),
        late,
        dead,
      ]);
    } catch (error) {
      await this.stop();
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  /** Resolves when the agent has answered, with its clock about to be set. */
  async answers(): Promise<void> {
    await this.#begin();
  }

  #begin(): Promise<{ readonly set: Promise<unknown> }> {
    this.#begun ??= this.#clock.begin();
    return this.#begun;
  }

  async #setUp(config: AgentConfig, archive: Uint8Array): Promise<void> {
    const { set } = await this.#begin();
    await Promise.all([set, this.#agent.configure(config, archive)]);
    this.#clock.keep();
  }

  exec(spec: Parameters<Agent["exec"]>[0]) {
    return this.#agent.exec(spec);
  }

  files(request: Parameters<Agent["files"]>[0]) {
    return this.#agent.files(request);
  }

  reach(question: Parameters<Agent["reach"]>[0]) {
    return this.#agent.reach(question);
  }

  listening(port: number) {
    return this.#agent.listening(port);
  }

  connect(port: number) {
    return this.#agent.connect(port);
  }

  usage() {
    return this.#agent.usage();
  }

  freeze() {
    return this.#agent.freeze();
  }

  /** See `Guest.hold`. */
  async hold(signal: AbortSignal): Promise<HeldMachine> {
    if (this.#savable === undefined) throw unsavable(this.#unsavable);
    const { monitor, memoryMiB, file, ...facts } = this.#savable;
    requireRoom(memoryMiB * MIB, file.room());
    this.#held = true;
    const letGo = () => void (this.#held = false);
    const [agent, clock] = [this.#agent, this.#clock];
    const giveUp = () => void this.#giveUp("it did not go on after it was saved");
    const parts = { agent, clock, monitor, facts, discard: file.empty, giveUp };
    const held = await holdMachine(parts, signal).catch((error) => {
      letGo();
      throw error;
    });
    return { ...held, release: () => held.release().finally(letGo) };
  }

  /** Makes a machine that went on from a saved one this guest; whatever goes wrong ends it. @throws SbxError GUEST_START */
  async renew(renewal: AgentRenewal, archive: Uint8Array): Promise<void> {
    await this.#orEnd(async () => {
      const { set } = await this.#begin();
      await Promise.all([set, this.#agent.renew(renewal, archive)]);
    });
    this.#clock.keep();
    this.#writesBack = this.#writeBackMs > 0;
  }

  /** Which file daemon ended, if the guest was ended for it. */
  get unserved(): string | undefined {
    return this.#unserved;
  }

  get processes(): readonly HostProcess[] {
    const { pid, daemonPids } = this.#qemu;
    return [{ name: "qemu", pid }, ...daemonPids.map((pid) => ({ name: "virtiofsd", pid }))];
  }

  /** Kills QEMU. What was written is with the host already, save for what is mapped into memory. */
  async stop(): Promise<void> {
    this.#stopping = true;
    this.#clock.stop();
    if (this.#writesBack && !this.#held) {
      await Promise.race([
        this.#agent.shutdown().catch(() => {}),
        delay(this.#writeBackMs, undefined, { ref: false }),
      ]);
    }
    this.#qemu.kill();
    await this.#qemu.exited;
  }

  /** A machine without its agent serves nobody. One that is ending anyway is left to say why. */
  async #abandon(error: SbxError): Promise<void> {
    this.#clock.stop();
    if (error.code === "PROTOCOL") this.#fault = error;
    await Promise.race([this.#qemu.exited, delay(LAST_WORDS_MS, undefined, { ref: false })]);
    this.#qemu.kill();
  }

  /** Whatever uses the mount would wait for ever. Where the machine goes, its daemons go, too. */
  async #giveUp(state: string): Promise<void> {
    const ended = await Promise.race([
      this.#qemu.exited,
      delay(LAST_WORDS_MS, undefined, { ref: false }),
    ]);
    if (ended !== undefined) return;
    this.#unserved = state;
    this.#qemu.kill();
  }

  #startFailure(state: string): SbxError {
    return diskBusy(this.#qemu.consoleTail()) ??
      new SbxError("GUEST_START", `Cannot start the guest: ${state}${this.#console()}`, {
        hint: "see 'sbx doctor'",
      });
  }

  #console(): string {
    const lines = this.#qemu.consoleTail().trim().split("\n").filter((line) => !NOISE.test(line));
    const last = lines.slice(-3).join(" / ").trim();
    return last === "" ? "" : `; it last said: ${last.replace(/[^\x20-\x7e]/g, "?")}`;
  }
}

/** What the kernel says in every good boot of a microvm, which finds its bus later. */
const NOISE = /PCI: Fatal: No config space access function found/;

/** A state that takes the last room would be the end of every guest that writes to the same file system. */
function requireRoom(needed: number, free: number): void {
  if (needed <= free) return;
  throw unsavable(`it may take ${wholeMiB(needed)}, and ${wholeMiB(free)} are free`, {
    hint: "free some space below XDG_STATE_HOME, or put that elsewhere",
  });
}

function howEnded({ code, signal }: Exit): string {
  return signal ?? `status ${code}`;
}
