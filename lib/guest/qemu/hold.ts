/**
 * Saves a machine that runs, and has it stand still until it is let go.
 *
 * ```
 * running ── clock at rest, processes frozen, agent asked nothing ──► QEMU stopped, saved ── release() ──► running
 *    └──────────── under way, refused, too late ──────────────────────────────► as it was
 * ```
 *
 * @module
 */
import { SbxError } from "../../base/errors.ts";
import { untilAborted } from "../../base/until.ts";
import type { Agent } from "../agent/client.ts";
import type { GuestClock } from "../guest_clock.ts";
import type { HeldMachine, SavedFacts } from "../saved.ts";
import { goOn, saveMachine } from "./migration.ts";
import type { Monitor } from "./monitor.ts";

/** A guest may have much to write, and need not answer at all; nor may QEMU. */
const STILL_MS = 60_000;
const SAVED_MS = 600_000;
const GOES_ON_MS = 30_000;

/** A machine that can be saved. */
export interface SavableParts {
  readonly agent: Pick<Agent, "still" | "goOn" | "hold">;
  readonly clock: Pick<GuestClock, "rest" | "keep">;
  readonly monitor: Monitor;
  readonly facts: Omit<SavedFacts, "calls">;
  /** Ends a machine that does not go on. */
  readonly giveUp: () => void;
}

/** @throws SbxError MEMORY_UNSAVABLE, GUEST_FAILED, GUEST_START in QEMU's words */
export async function holdMachine(
  { agent, clock, monitor, facts, giveUp }: SavableParts,
): Promise<HeldMachine> {
  const undo: (() => Promise<void> | void)[] = [() => clock.keep()];
  const release = async () => {
    try {
      for (const step of undo.splice(0).reverse()) {
        await within(Promise.resolve(step()), GOES_ON_MS, "let the guest go on");
      }
    } catch (error) {
      giveUp();
      throw error;
    }
  };
  try {
    await within(clock.rest(), STILL_MS, "keep the guest still");
    undo.push(() => agent.goOn());
    await within(agent.still(), STILL_MS, "keep the guest still");
    const held = agent.hold();
    if (held === undefined) {
      throw unsavable("something is under way in it", {
        hint: "wait for its commands, jobs and transfers to end",
      });
    }
    undo.push(() => held.release(), () => goOn(monitor));
    await within(saveMachine(monitor), SAVED_MS, "save the guest's memory");
    return { facts: { ...facts, calls: held.calls }, release };
  } catch (error) {
    await release().catch(() => {}); // what failed first says more
    throw error;
  }
}

export function unsavable(state: string, options: { readonly hint?: string } = {}): SbxError {
  return new SbxError("MEMORY_UNSAVABLE", `Cannot save the guest's memory: ${state}`, options);
}

async function within<T>(value: Promise<T>, ms: number, doing: string): Promise<T> {
  const late = AbortSignal.timeout(ms);
  return await untilAborted(value, late).catch((error) => {
    if (!late.aborted) throw error;
    throw new SbxError("GUEST_FAILED", `Cannot ${doing}: it took over ${ms / 1000} seconds`);
  });
}
