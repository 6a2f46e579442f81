/**
 * How a run of a named sandbox's machine ended, and what comes of it. Pure.
 *
 * @module
 */
import { SbxError } from "../base/errors.ts";
import { errorOf, failureOf } from "../base/failure.ts";
import type { ExitStatus } from "../sandbox/process.ts";
import type { JobInfo } from "./jobs.ts";
import type { SandboxRecord } from "./record.ts";
import type { SandboxState } from "./state.ts";

/** How a run of the machine ended. */
export interface End {
  readonly error?: SbxError;
  readonly exit?: ExitStatus;
  readonly lastedMs: number;
}

/** Why a command, or its sandbox, failed; undefined when it did not, or has not ended. */
export function whyFailed(ended: JobInfo | SbxError | undefined | void): SbxError | undefined {
  if (ended === undefined || ended instanceof SbxError || ended.error === undefined) {
    return undefined;
  }
  return errorOf(ended.error);
}

/** Whether the machine is started again by itself. */
export function isRestarted({ life }: Pick<SandboxRecord, "life">, { error, exit }: End): boolean {
  switch (life.restart) {
    case "no":
      return false;
    case "always":
      return true;
    case "on-failure":
      return error !== undefined || exit?.signal !== undefined || (exit?.code ?? 0) !== 0;
  }
}

/** What is written down of it. */
export function endState(end: End | undefined): SandboxState {
  const at = Date.now();
  if (end?.error !== undefined) {
    return { kind: "failed", at, error: failureOf(end.error) };
  }
  const { exit } = end ?? {};
  if (exit === undefined) return { kind: "stopped", at };
  const { code, signal } = exit;
  return { kind: "stopped", at, exit: signal === undefined ? { code: code ?? 0 } : { signal } };
}
