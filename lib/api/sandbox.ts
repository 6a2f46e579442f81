/**
 * Where a sandbox begins.
 *
 * @module
 */
import type { Sandbox as RunningSandbox } from "../sandbox/sandbox.ts";
import { SandboxBuilder } from "./sandbox_builder.ts";

/** A running sandbox, as `create` gives it. */
export type Sandbox = RunningSandbox;

/** Where a sandbox begins. */
export interface SandboxConstructor {
  /** A sandbox with nothing but defaults, to be described call by call. */
  builder(): SandboxBuilder;
}

/** Where a sandbox begins. */
export const Sandbox: SandboxConstructor = Object.freeze({
  builder(): SandboxBuilder {
    return new SandboxBuilder();
  },
});
