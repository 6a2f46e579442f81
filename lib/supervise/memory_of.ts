/**
 * The memory of a sandbox beside a copy of its disk, where it can be kept: of one that runs it is saved, of one that was
 * to go on from another one's, and was not started yet, it is what it was to go on from.
 *
 * @module
 */
import { existsSync } from "node:fs";
import { rm } from "node:fs/promises";
import { type ErrorCode, inSentence, SbxError } from "../base/errors.ts";
import type { FrozenDisk } from "../guest/guest.ts";
import { type HeldMachine, UNSAVED } from "../guest/saved.ts";
import { whyDiskAlone } from "./disk_alone.ts";
import { homeOf } from "./home.ts";
import { keptSandbox, usableRecord } from "./registry.ts";
import { copyMachine, keepMachine } from "./saved_machine.ts";

export interface CopyOptions {
  /** Has a guest that runs stand still. Absent: it does not run. */
  readonly freeze?: () => Promise<FrozenDisk>;
  /** Has one stand still with its memory saved. Absent: it does not run. */
  readonly save?: () => Promise<HeldMachine>;
  /** Called with why a copy that could have memory has the disk alone. */
  readonly onDiskAlone?: (why: string) => void;
  /** Whether there is to be no copy without the memory. */
  readonly needsMemory?: boolean;
  /** Aborting it leaves nothing. */
  readonly signal?: AbortSignal;
}

export class MemoryOf {
  readonly #name: string;
  readonly #options: CopyOptions;
  #held: HeldMachine | undefined;
  /** Has a guest that runs stand still, with its memory where that can be. Absent: it does not run. */
  readonly freeze: CopyOptions["freeze"];

  /** @throws SbxError MEMORY_UNSAVABLE where it is needed, and there is none */
  constructor(name: string, options: CopyOptions) {
    this.#name = name;
    this.#options = options;
    const { freeze, needsMemory = false } = options;
    if (freeze === undefined && needsMemory && !existsSync(homeOf(name).machine)) {
      this.#without("it does not run");
    }
    this.freeze = freeze === undefined
      ? undefined
      : async () => await this.#hold() ?? await freeze();
  }

  /**
   * Keeps it beside a copy of the disk; false where there is none, or no room for it.
   *
   * @throws SbxError MEMORY_UNSAVABLE as before
   */
  async keep(to: { readonly disk: string; readonly machine: string }): Promise<boolean> {
    try {
      return await this.#keep(to);
    } catch (error) {
      if (!(error instanceof SbxError && error.code === "FILE_NO_SPACE")) throw error;
      await rm(to.machine, { recursive: true, force: true });
      this.#without(error.state ?? inSentence(error), error.hint);
      return false;
    }
  }

  async #keep(to: { readonly disk: string; readonly machine: string }): Promise<boolean> {
    const home = homeOf(this.#name);
    const { signal } = this.#options;
    if (this.#held !== undefined) {
      await keepMachine(home.saving, this.#held.facts, to, signal);
      return true;
    }
    if (this.freeze !== undefined || !existsSync(home.machine)) return false;
    const isKept = await copyMachine(home, to, signal);
    if (!isKept) this.#without("what it was to go on from is damaged");
    return isKept;
  }

  async #hold(): Promise<FrozenDisk | undefined> {
    const { save } = this.#options;
    const why = whyDiskAlone(usableRecord(await keptSandbox(this.#name)));
    if (why !== undefined || save === undefined) return this.#without(why ?? "it does not run");
    try {
      const held = this.#held = await save();
      return { thaw: () => held.release() };
    } catch (error) {
      if (!(error instanceof SbxError) || LOST.includes(error.code)) throw error;
      return this.#without(whyOf(error), error.hint);
    }
  }

  /** @throws SbxError MEMORY_UNSAVABLE where it is needed */
  #without(why: string, hint?: string): undefined {
    const { needsMemory = false, onDiskAlone = () => {} } = this.#options;
    if (!needsMemory) return void onDiskAlone(why);
    const message = `Cannot keep the memory of sandbox ${this.#name}: ${why}`;
    throw new SbxError("MEMORY_UNSAVABLE", message, {
      hint: hint === undefined
        ? `'sbx snapshot ${this.#name} TAG' without --memory keeps what is on its disk`
        : `${hint}, or keep its disk alone, without --memory`,
    });
  }
}

/** What has no disk to copy any more either. */
const LOST: readonly ErrorCode[] = ["STOPPED", "SUPERVISOR_LOST", "GUEST_LOST"];

/** Of an error that came from a supervisor its message alone is known. */
function whyOf(error: SbxError): string {
  const { message } = error;
  return message.startsWith(UNSAVED) ? message.slice(UNSAVED.length) : inSentence(error);
}
