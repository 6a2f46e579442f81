/**
 * A child that did not start, which the runtime tells by the streams that it does not have.
 *
 * @module
 */
import { SbxError } from "../base/errors.ts";

export function noMoreProcesses(what: string): SbxError {
  return new SbxError("GUEST_START", `Cannot start ${what}: the system starts no more processes`, {
    hint: "see the limits on processes and open files: 'ulimit -a'",
  });
}
