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
