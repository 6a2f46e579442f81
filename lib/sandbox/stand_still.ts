/**
 * A guest that stands still for a copy: its disk alone, or all of its machine.
 *
 * @module
 */
import { SbxError } from "../base/errors.ts";
import type { FrozenDisk, Guest } from "../guest/guest.ts";
import { type HeldMachine, unsavable } from "../guest/saved.ts";
import type { Lifetime } from "./lifetime.ts";
import type { SandboxOptions } from "./options.ts";
import type { Stillness } from "./stillness.ts";

interface Parts {
  readonly guest: Guest;
  readonly lifetime: Lifetime;
}

/** The time that the turns of others take is theirs. @throws SbxError DISK_MISSING, STOPPED; the signal's reason */
export async function freezeDisk(
  { guest, lifetime, options }: Parts & { readonly options: Pick<SandboxOptions, "disk"> },
  stillness: Stillness,
  signal: AbortSignal,
): Promise<FrozenDisk> {
  if (options.disk === undefined) {
    throw new SbxError("DISK_MISSING", "Cannot keep the disk still: the guest has none");
  }
  const turn = { lifetime, stillness, signal, doing: "keep the disk still" };
  const [{ thaw }, over] = await inTurn(turn, () => guest.freeze());
  return { thaw: () => over(thaw()) };
}

/** The same for all of the machine. @throws SbxError MEMORY_UNSAVABLE, STOPPED; the signal's reason */
export async function holdMachine(
  { guest, lifetime, placeholders, hasAuthority = false }: Parts & {
    readonly placeholders: Readonly<Record<string, string>>;
    readonly hasAuthority?: boolean;
  },
  stillness: Stillness,
  signal: AbortSignal,
): Promise<HeldMachine> {
  // What was taken back since is with its processes all the same.
  if (Object.keys(placeholders).length > 0) throw unsavable(HAS_PLACEHOLDERS);
  if (hasAuthority) throw unsavable(HAS_AUTHORITY);
  const hold = holdOf(guest);
  const turn = { lifetime, stillness, signal, doing: "save the guest's memory" };
  const [{ facts, release }, over] = await inTurn(turn, () => hold(signal));
  return { facts, release: () => over(release()) };
}

interface Turn {
  readonly lifetime: Lifetime;
  readonly stillness: Stillness;
  readonly signal: AbortSignal;
  readonly doing: string;
}

/** What a step answers that has the guest stand still, and what ends the turn once the guest has gone on. */
async function inTurn<T>(
  { lifetime, stillness, signal, doing }: Turn,
  step: () => Promise<T>,
): Promise<readonly [value: T, over: (goingOn: Promise<void>) => Promise<void>]> {
  const end = await lifetime.until(stillness.begin(signal), doing);
  try {
    const value = await lifetime.until(step(), doing);
    return [value, (goingOn) => lifetime.until(goingOn, "let the guest go on").finally(end)];
  } catch (error) {
    end();
    throw error;
  }
}

/** Why the memory of a guest is of no use to another one, nor another one's to it. */
export const HAS_PLACEHOLDERS = "it has secrets, whose placeholders are its own";
export const HAS_AUTHORITY = "its TLS is opened by an authority that is its own";

function holdOf(guest: Guest): NonNullable<Guest["hold"]> {
  const { hold } = guest;
  if (hold === undefined) throw unsavable("no guest of its kind can be saved");
  return hold.bind(guest);
}
