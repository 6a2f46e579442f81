/**
 * Asks a sandbox to end by itself, before it is ended: its main command by SIGTERM, a machine that has one by
 * its power button.
 *
 * @module
 */
import { setTimeout as delay } from "node:timers/promises";
import { MAIN_JOB } from "../base/main_job.ts";
import type { Sandbox } from "../sandbox/sandbox.ts";
import type { Jobs } from "./jobs.ts";

const SIGTERM = 15;

export interface Asked {
  readonly sandbox: Sandbox;
  readonly jobs: Jobs;
  /** Settles when it has ended anyway, or is not to be asked any more. */
  readonly over: Promise<unknown>;
}

/** Resolves when it has ended, when it takes longer than that, or with `over`. */
export async function askToEnd(
  { sandbox, jobs, over }: Asked,
  graceMs: number,
): Promise<void> {
  if (sandbox.hasPowerButton) {
    await Promise.race([sandbox.powerDown(graceMs), over]);
    return;
  }
  const main = jobs.list().find(({ id }) => id === MAIN_JOB);
  if (main === undefined || main.endedMs !== undefined) return;
  jobs.signal(MAIN_JOB, SIGTERM);
  await Promise.race([jobs.wait(MAIN_JOB), over, delay(graceMs, undefined, { ref: false })]);
}
