/**
 * Where a sandbox begins.
 *
 * @module
 */
import { flag, optionsOf } from "../base/misuse.ts";
import { untilAborted } from "../base/until.ts";
import { registry } from "../supervise/kept.ts";
import { type Abortable, signalOf } from "./abortable.ts";
import type { RemoveNamedOptions } from "./named_options.ts";
import { NamedSandbox } from "./named_sandbox.ts";
import type { RunningSandbox } from "./running_sandbox.ts";
import { infoOf, type SandboxInfo } from "./sandbox_info.ts";
import type { SnapshotInfo } from "./snapshots.ts";
import { SandboxBuilder } from "./sandbox_builder.ts";

/** A running sandbox, as `create` gives it. */
export type Sandbox = RunningSandbox;

/** Where a sandbox begins. */
export interface SandboxConstructor {
  /** A sandbox with nothing but defaults, to be described call by call; `name` is that of `name(…)`. */
  builder(name?: string): SandboxBuilder;
  /**
   * A named sandbox, connected to when it runs.
   *
   * @throws SbxError `SANDBOX_MISSING`, `STATE_UNUSABLE`
   */
  get(name: string, options?: Abortable): Promise<NamedSandbox>;
  /** All named sandboxes of this user, by name. @throws SbxError `STATE_UNUSABLE`, and the signal's reason */
  list(options?: Abortable): Promise<readonly SandboxInfo[]>;
  /**
   * Ends a named sandbox from outside, whatever it does; see {@link NamedSandbox.kill}.
   *
   * @throws SbxError `SANDBOX_MISSING`, `SUPERVISOR_LOST`
   */
  kill(name: string, options?: Abortable): Promise<void>;
  /**
   * Forgets a named sandbox and all that is kept of it.
   *
   * @throws SbxError `SANDBOX_MISSING`; `SANDBOX_RUNNING` unless `force` kills it before
   */
  remove(name: string, options?: RemoveNamedOptions): Promise<void>;
  /** All snapshots of this user, by tag. @throws SbxError `STATE_UNUSABLE` */
  snapshots(options?: Abortable): Promise<readonly SnapshotInfo[]>;
  /**
   * Removes a snapshot. What began with it has a copy, and stays.
   *
   * @throws SbxError `SNAPSHOT_MISSING`, `STATE_UNUSABLE`
   */
  removeSnapshot(tag: string, options?: Abortable): Promise<void>;
}

/** Where a sandbox begins. */
export const Sandbox: SandboxConstructor = Object.freeze({
  builder(name?: string): SandboxBuilder {
    const fresh = new SandboxBuilder();
    return name === undefined ? fresh : fresh.name(name);
  },

  async get(name: string, options: Abortable = {}): Promise<NamedSandbox> {
    const signal = signalOf("get(…)", options);
    return await NamedSandbox.find(name, signal);
  },

  async list(options: Abortable = {}): Promise<readonly SandboxInfo[]> {
    const signal = signalOf("list(…)", options);
    return (await untilAborted(registry().all(), signal)).map(infoOf);
  },

  async kill(name: string, options: Abortable = {}): Promise<void> {
    const signal = signalOf("kill(…)", options);
    await untilAborted(registry().kill(name), signal);
  },

  async remove(name: string, options: RemoveNamedOptions = {}): Promise<void> {
    const { force = false, signal } = optionsOf("remove(…)", options, {
      force: true,
      signal: true,
    });
    signal?.throwIfAborted();
    await untilAborted(registry().remove(name, flag("remove(…)", force)), signal);
  },

  async snapshots(options: Abortable = {}): Promise<readonly SnapshotInfo[]> {
    const signal = signalOf("snapshots(…)", options);
    const [{ keptSnapshots }, { snapshotInfo }] = await Promise.all([
      import("../supervise/snapshots.ts"),
      import("./snapshots.ts"),
    ]);
    return (await untilAborted(keptSnapshots(), signal)).map(snapshotInfo);
  },

  async removeSnapshot(tag: string, options: Abortable = {}): Promise<void> {
    const signal = signalOf("removeSnapshot(…)", options);
    const { removeSnapshot } = await import("../supervise/snapshots.ts");
    await untilAborted(removeSnapshot(tag), signal);
  },
});
