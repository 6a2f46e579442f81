/**
 * The wait for a machine that goes on from one that was saved.
 *
 * ```
 * begun ── all of `work` is done ──────────────────────► it goes on
 *   └───── refused, QEMU ends, silent for too long ────► failed, for what QEMU said where it ended
 * ```
 *
 * @module
 */
import { setTimeout as delay } from "node:timers/promises";
import { SbxError } from "../../base/errors.ts";
import { escapeText } from "../../base/escape.ts";
import { inTime } from "../../base/in_time.ts";
import type { Exit } from "../guest.ts";
import type { QemuProcess } from "./launch.ts";

/** What ends together is heard of within this. */
export const TOGETHER_MS = 500;

/** More is said of a machine that booted before. */
const LAST_LINES = 2;

/** `ended`: what its end is told as. @throws SbxError GUEST_START, and what `work` rejects with */
export async function goesOn<T>(
  qemu: Pick<QemuProcess, "exited" | "consoleTail">,
  limitMs: number,
  work: Promise<T>,
  ended: (exit: Exit) => SbxError = () => saidLast(qemu),
): Promise<T> {
  const dead = qemu.exited.then((exit) => {
    throw ended(exit);
  });
  dead.catch(() => {}); // it may end later, and others hear of that
  const done = work.catch(async (error) => {
    // Its channels end before its own end is known, which says more.
    await Promise.race([dead, delay(TOGETHER_MS, undefined, { ref: false })]);
    throw error;
  });
  return await inTime(
    Promise.race([done, dead]),
    limitMs,
    () => new SbxError("GUEST_START", "Cannot go on: the guest does not answer"),
  );
}

export function saidLast(qemu: Pick<QemuProcess, "consoleTail">): SbxError {
  const said = qemu.consoleTail().trim().split("\n").slice(-LAST_LINES).join(" / ");
  return new SbxError("GUEST_START", `Cannot go on: QEMU ended and said ${escapeText(said)}`);
}
