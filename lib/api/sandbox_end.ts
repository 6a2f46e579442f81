/**
 * The end of a named sandbox as a call meets it.
 *
 * @module
 */
import { SbxError } from "../base/errors.ts";

/** Whether the error says no more than that the sandbox has ended. */
export function isEnd(error: unknown): boolean {
  return error instanceof SbxError && ["STOPPED", "SUPERVISOR_LOST"].includes(error.code);
}

/** Why a sandbox that runs is not started. */
export function alreadyRuns(name: string): SbxError {
  return new SbxError("SANDBOX_RUNNING", `Cannot start sandbox ${name}: it is running`, {
    hint: `run a command in it with 'sbx exec ${name} -- …'`,
  });
}
