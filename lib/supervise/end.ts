/**
 * How a run of a named sandbox's machine ended, and what comes of it. Pure.
 *
 * @module
 */
import { type ErrorCode, SbxError } from "../base/errors.ts";
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
export function failureOf(ended: JobInfo | SbxError | undefined | void): SbxError | undefined {
  if (ended === undefined || ended instanceof SbxError || ended.error === undefined) {
    return undefined;
  }
  const { code, message } = ended.error;
  return new SbxError(code as ErrorCode, message);
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
    const { code, message, hint } = end.error;
    return {
      kind: "failed",
      at,
      error: { code, message, ...(hint === undefined ? {} : { hint }) },
    };
  }
  const { exit } = end ?? {};
  if (exit === undefined) return { kind: "stopped", at };
  const { code, signal } = exit;
  return { kind: "stopped", at, exit: signal === undefined ? { code: code ?? 0 } : { signal } };
}
