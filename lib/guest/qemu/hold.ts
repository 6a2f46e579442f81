/**
 * Saves a machine that runs, and has it stand still until it is let go.
 *
 * ```
 * running ── clock at rest, processes frozen, agent asked nothing ──► QEMU stopped, saved ── release() ──► running
 *    └──────────── under way, refused, too late, given up ────────────────────► as it was
 * ```
 *
 * @module
 */
import { type Clock, systemClock } from "../../base/clock.ts";
import { SbxError } from "../../base/errors.ts";
import { inTime } from "../../base/in_time.ts";
import { aborted } from "../../base/until.ts";
import type { Agent } from "../agent/client.ts";
import type { GuestClock } from "../guest_clock.ts";
import { type HeldMachine, type SavedFacts, unsavable } from "../saved.ts";
import { goOn, saveMachine } from "./migration.ts";
import type { Monitor } from "./monitor.ts";

/** A guest may have much to write, and need not answer at all; its agent ends this itself, ten seconds earlier. */
const STILL_MS = 110_000;
const SAVED_MS = 600_000;
const GOES_ON_MS = 30_000;

/** A machine that can be saved. */
export interface SavableParts {
  readonly agent: Pick<Agent, "still" | "goOn" | "hold">;
  readonly clock: Pick<GuestClock, "rest" | "set" | "keep">;
  readonly monitor: Monitor;
  readonly facts: Omit<SavedFacts, "calls">;
  /** Gives back what the state takes up, once nobody needs it any more. */
  readonly discard: () => void;
  /** Ends a machine that does not go on. */
  readonly giveUp: () => void;
}

/** @throws SbxError MEMORY_UNSAVABLE, GUEST_FAILED, GUEST_START in QEMU's words; the signal's reason */
export async function holdMachine(
  { agent, clock, monitor, facts, discard, giveUp }: SavableParts,
  signal: AbortSignal,
  time: Clock = systemClock,
): Promise<HeldMachine> {
  const undo: (() => Promise<void> | void)[] = [() => clock.keep()];
  const stands = async (step: Promise<void>) => {
    await inTime(step, STILL_MS, () => late("keep the guest still", STILL_MS), time);
    signal.throwIfAborted();
  };
  const release = async () => {
    try {
      for (const back of undo.splice(0).reverse()) {
        const doing = "let the guest go on";
        await inTime(Promise.resolve(back()), GOES_ON_MS, () => late(doing, GOES_ON_MS), time);
      }
    } catch (error) {
      giveUp();
      throw error;
    }
  };
  try {
    await stands(clock.rest());
    undo.push(() => agent.goOn());
    await stands(agent.still());
    const held = agent.hold();
    if (held === undefined) {
      throw unsavable("something is under way in it", {
        hint: "wait for its commands, jobs and transfers to end",
      });
    }
    // Its processes are to find the time right, which has stood still as well.
    undo.push(() => clock.set(), () => held.release(), discard, () => goOn(monitor));
    await savedInTime({ monitor, giveUp }, signal, time);
    return { facts: { ...facts, calls: held.calls }, release };
  } catch (error) {
    await release().catch(() => {}); // what failed first says more
    throw error;
  }
}

/**
 * A machine goes on when nothing is written of it any more, also where that took too long, or is not wanted now. One of
 * which QEMU goes on to write would stand still at the end of that, whatever it was told before.
 */
async function savedInTime(
  { monitor, giveUp }: Pick<SavableParts, "monitor" | "giveUp">,
  signal: AbortSignal,
  time: Clock,
): Promise<void> {
  const slow = new AbortController();
  const disarm = time.after(SAVED_MS, () => slow.abort());
  const enough = AbortSignal.any([signal, slow.signal]);
  const saving = saveMachine(monitor, enough);
  const cancelled = aborted(enough).then(async () => {
    const stuck = () => (giveUp(), late("stop to save the guest's memory", GOES_ON_MS));
    await inTime(saving, GOES_ON_MS, stuck, time);
  });
  cancelled.catch(() => {}); // nobody gave it up
  try {
    await Promise.race([saving, cancelled]);
  } catch (error) {
    signal.throwIfAborted();
    throw slow.signal.aborted ? late("save the guest's memory", SAVED_MS) : error;
  } finally {
    disarm();
  }
}

function late(doing: string, ms: number): SbxError {
  return new SbxError("GUEST_FAILED", `Cannot ${doing}: it took over ${ms / 1000} seconds`);
}
