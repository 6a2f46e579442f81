/**
 * What is known of a named sandbox without asking it.
 *
 * @module
 */
import { SbxError } from "../base/errors.ts";
import type { PublishedPort } from "../sandbox/options.ts";
import type { KeptSandbox } from "../supervise/registry.ts";
import type { SandboxStatus } from "../supervise/state.ts";

/** How a named sandbox stands, and what it is. */
export interface SandboxInfo {
  /** Its name, as of `Sandbox.get`. */
  readonly name: string;
  /** `lost`: whatever kept it was ended from outside, or the machine was. */
  readonly status: SandboxStatus;
  /** Milliseconds since 1970; undefined where its record is damaged. */
  readonly createdMs: number | undefined;
  /** Since when it has its status: milliseconds since 1970. */
  readonly sinceMs: number;
  /** The command that it is there for; undefined when it runs until it is stopped. */
  readonly command: readonly string[] | undefined;
  /** The ports that listen for it while it runs. */
  readonly published: readonly PublishedPort[];
  /** The directory of Lima's instance, of a guest that Lima starts; undefined for every other. */
  readonly lima: string | undefined;
  /** How its main command ended, where that was its end. */
  readonly exit: { readonly code?: number; readonly signal?: number } | undefined;
  /** Why it failed, or cannot be used. */
  readonly error: { readonly code: string; readonly message: string } | undefined;
}

/** What a named sandbox was created with, as plain data. */
export interface SandboxDescription {
  /** What its relative paths are relative to. */
  readonly directory: string;
  /** How long it is there: its command, and what happens at its end. */
  readonly life: object;
  /** The guest, and its network as a policy file would have it. */
  readonly spec: object;
}

/** What is known of a sandbox without asking its supervisor. */
export function infoOf({ name, status, state, record }: KeptSandbox): SandboxInfo {
  const damaged = record instanceof SbxError;
  return {
    name,
    status,
    createdMs: damaged ? undefined : record.createdMs,
    sinceMs: state.at,
    command: damaged ? undefined : record.life.main?.argv,
    published: status === "running" && state.kind === "running" ? state.published : [],
    lima: damaged ? undefined : record.lima?.directory,
    exit: state.kind === "stopped" && state.exit !== undefined ? defined(state.exit) : undefined,
    error: damaged
      ? { code: record.code, message: record.message }
      : state.kind === "failed"
      ? state.error
      : undefined,
  };
}

function defined({ code, signal }: { code?: number | undefined; signal?: number | undefined }) {
  return {
    ...(code === undefined ? {} : { code }),
    ...(signal === undefined ? {} : { signal }),
  };
}
