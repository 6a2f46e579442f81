/**
 * A disk that another QEMU has locked, as this one says.
 *
 * @module
 */
import { SbxError } from "../../base/errors.ts";

const LOCKED = /Failed to get "write" lock/;

/** Null: it says something else. */
export function diskBusy(said: string): SbxError | null {
  if (!LOCKED.test(said)) return null;
  return new SbxError("DISK_BUSY", "Cannot start the guest: another one has its disk", {
    hint: "stop that one first, or use another disk",
  });
}
