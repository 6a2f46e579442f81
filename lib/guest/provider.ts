/**
 * Who runs guests: the seam between a sandbox and the machine under it.
 *
 * @module
 */
import type { Guest } from "./guest.ts";
import type { CommonPlan, GuestPlan } from "./plan.ts";
import type { Root } from "./root/root.ts";
import type { Manifest } from "./template/manifest.ts";

/** The end of the guest's only network, which carries Ethernet frames with their lengths before them. */
export type Cable =
  /** A connected socket of this process, which the machine inherits. */
  | { readonly fd: number }
  /** The path of a socket that the machine connects to. */
  | { readonly socket: string };

/** What was found out about running guests here. */
export interface Probe {
  /** What runs the guest's code: `kvm`, `hvf` or `tcg` (emulation). */
  readonly accelerator: string;
  /** Why nothing faster does; empty when there is nothing faster. */
  readonly reason: string;
}

/** What a check found. */
export interface CheckResult {
  /** `note`: works, with a drawback that is worth knowing. */
  readonly state: "ok" | "note" | "missing";
  /** In words, for a person. */
  readonly found: string;
  /** What to do about it. */
  readonly fix?: string;
}

/** One thing that the machine needs of this host; may reject with the SbxError that a start would. */
export interface Check {
  readonly name: string;
  run(): Promise<CheckResult>;
}

/** What a notice is about, for whoever tells some of them and not others: that no hardware runs the guest. */
export type NoticeTopic = "emulation";

/** Whoever waits for a boot. */
export interface BootWatcher {
  /** Lines worth telling a person. */
  notice(line: string, topic?: NoticeTopic): void;
  /** Called with the process to end when the guest must, as soon as there is one. */
  running(pid: number): void;
  /** A guest that is still starting when this settles is given up. */
  readonly ended?: Promise<unknown>;
}

export interface SaveOptions {
  /** Leaves out what failed not long ago. */
  readonly unlessFailed?: boolean;
  /** Gives it up, and leaves nothing; it counts as no failure. */
  readonly signal?: AbortSignal;
}

/**
 * What became of the making of a template. `kept`: there was one already; `busy`: somebody else is making it;
 * `failed-lately`: left, as that was asked for.
 */
export type TemplateBuild =
  | { readonly outcome: "made"; readonly manifest: Manifest }
  | { readonly outcome: "kept" | "busy" | "failed-lately" };

export interface GuestProvider {
  /** What people call the machine. */
  readonly name: string;
  /** For `sbx doctor`. */
  readonly checks: readonly Check[];
  /**
   * Finds out, once, what a boot needs; nothing of it depends on the guest, so it can go on beside other
   * preparations. `root`: that of a guest that may go on from a template, which is looked at meanwhile.
   *
   * @throws SbxError REQUIREMENT_MISSING, FILE_UNREADABLE
   */
  probe(root?: Root): Promise<Probe>;
  /**
   * Boots and configures; resolves when the first command can run. `cable` and the plan's network are
   * both there or both absent.
   *
   * @throws SbxError GUEST_START with the end of the guest's console, and what `probe` throws
   */
  boot(plan: GuestPlan, cable: Cable | undefined, watcher: BootWatcher): Promise<Guest>;
  /**
   * Makes the template that guests of such plans go on from.
   *
   * @throws SbxError GUEST_START, FILE_UNREADABLE, and what `probe` throws
   */
  saveTemplate(plan: CommonPlan, options?: SaveOptions): Promise<TemplateBuild>;
}
