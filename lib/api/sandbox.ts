/**
 * Where a sandbox begins.
 *
 * @module
 */
import type { Sandbox as RunningSandbox } from "../sandbox/sandbox.ts";
import { infoOf, NamedSandbox, type SandboxInfo } from "./named_sandbox.ts";
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
   * Forgets a named sandbox and all that is kept of it.
   *
   * @throws SbxError `SANDBOX_MISSING`; `SANDBOX_RUNNING` unless `force` ends it before
   */
  remove(name: string, options?: { readonly force?: boolean }): Promise<void>;
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

  async remove(name: string, options: { readonly force?: boolean } = {}): Promise<void> {
    await using sandbox = await NamedSandbox.find(name);
    await sandbox.remove(options);
  },
});
