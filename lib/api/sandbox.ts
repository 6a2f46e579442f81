/**
 * Where a sandbox begins.
 *
 * @module
 */
import type { Sandbox as RunningSandbox } from "../sandbox/sandbox.ts";
import { flag, optionsOf } from "../base/misuse.ts";
import type { RemoveNamedOptions } from "./named_options.ts";
import { NamedSandbox } from "./named_sandbox.ts";
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
  get(name: string): Promise<NamedSandbox>;
  /** All named sandboxes of this user, by name. @throws SbxError `STATE_UNUSABLE` */
  list(): Promise<readonly SandboxInfo[]>;
  /**
   * Ends a named sandbox from outside, whatever it does; see {@link NamedSandbox.kill}.
   *
   * @throws SbxError `SANDBOX_MISSING`, `SUPERVISOR_LOST`
   */
  kill(name: string): Promise<void>;
  /**
   * Forgets a named sandbox and all that is kept of it.
   *
   * @throws SbxError `SANDBOX_MISSING`; `SANDBOX_RUNNING` unless `force` kills it before
   */
  remove(name: string, options?: RemoveNamedOptions): Promise<void>;
  /** All snapshots of this user, by tag. @throws SbxError `STATE_UNUSABLE` */
  snapshots(): Promise<readonly SnapshotInfo[]>;
  /**
   * Removes a snapshot. What began with it has a copy, and stays.
   *
   * @throws SbxError `SNAPSHOT_MISSING`, `STATE_UNUSABLE`
   */
  removeSnapshot(tag: string): Promise<void>;
}

/** Where a sandbox begins. */
export const Sandbox: SandboxConstructor = Object.freeze({
  builder(name?: string): SandboxBuilder {
    const fresh = new SandboxBuilder();
    return name === undefined ? fresh : fresh.name(name);
  },

  async get(name: string): Promise<NamedSandbox> {
    return await NamedSandbox.find(name);
  },

  async list(): Promise<readonly SandboxInfo[]> {
    const { keptSandboxes } = await import("../supervise/registry.ts");
    return (await keptSandboxes()).map(infoOf);
  },

  async kill(name: string): Promise<void> {
    const { killSandbox } = await import("../supervise/kill.ts");
    await killSandbox(name);
  },

  async remove(name: string, options: RemoveNamedOptions = {}): Promise<void> {
    const { force = false } = optionsOf("remove(…)", options, { force: true });
    const { removeSandbox } = await import("../supervise/remove.ts");
    await removeSandbox(name, { force: flag("remove(…)", force) });
  },

  async snapshots(): Promise<readonly SnapshotInfo[]> {
    const [{ keptSnapshots }, { snapshotInfo }] = await Promise.all([
      import("../supervise/snapshots.ts"),
      import("./snapshots.ts"),
    ]);
    return (await keptSnapshots()).map(snapshotInfo);
  },

  async removeSnapshot(tag: string): Promise<void> {
    const { removeSnapshot } = await import("../supervise/snapshots.ts");
    await removeSnapshot(tag);
  },
});
