/**
 * A guest that stands still for a copy: its disk alone, or all of its machine.
 *
 * @module
 */
import { SbxError } from "../base/errors.ts";
import type { FrozenDisk, Guest } from "../guest/guest.ts";
import type { HeldMachine } from "../guest/saved.ts";
import type { Lifetime } from "./lifetime.ts";
import type { SandboxOptions } from "./options.ts";

interface Parts {
  readonly guest: Guest;
  readonly lifetime: Lifetime;
  readonly options: Pick<SandboxOptions, "disk">;
}

/** @throws SbxError DISK_MISSING, STOPPED */
export async function freezeDisk({ guest, lifetime, options }: Parts): Promise<FrozenDisk> {
  if (options.disk === undefined) {
    throw new SbxError("DISK_MISSING", "Cannot keep the disk still: the guest has none");
  }
  const freezing = guest.freeze();
  const { thaw } = await lifetime.until(freezing, "keep the disk still");
  return { thaw: async () => await lifetime.until(thaw(), "let the guest go on") };
}

/** @throws SbxError MEMORY_UNSAVABLE, STOPPED */
export async function holdMachine({ guest, lifetime }: Parts): Promise<HeldMachine> {
  if (guest.hold === undefined) {
    throw new SbxError(
      "MEMORY_UNSAVABLE",
      "Cannot save the guest's memory: no guest of its kind can be saved",
    );
  }
  const { facts, release } = await lifetime.until(guest.hold(), "save the guest's memory");
  return { facts, release: async () => await lifetime.until(release(), "let the guest go on") };
}
