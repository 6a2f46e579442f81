/**
 * The way to the supervisor of a named sandbox that runs, or has only begun to.
 *
 * @module
 */
import { setTimeout as delay } from "node:timers/promises";
import { SupervisorClient } from "../supervise/client.ts";
import { registry } from "../supervise/kept.ts";
import type { KeptSandbox } from "../supervise/registry.ts";
import { isEnd } from "./sandbox_end.ts";

/** Of one that is only beginning. */
const KNOCK_MS = 25;
const KNOCKING_MS = 2_000;

export interface Reached {
  /** As it stands by now. */
  readonly kept: KeptSandbox;
  /** Undefined where nothing runs. */
  readonly client: SupervisorClient | undefined;
}

/** @throws SbxError as `SupervisorClient.connect` */
export async function knock(first: KeptSandbox): Promise<Reached> {
  const until = performance.now() + KNOCKING_MS;
  for (let kept = first;; kept = await registry().one(first.name)) {
    if (!isUp(kept)) return { kept, client: undefined };
    try {
      return { kept, client: await SupervisorClient.connect(kept) };
    } catch (error) {
      // It has begun and does not listen yet, or ends and listens no more.
      if (!(isEnd(error) && performance.now() < until)) throw error;
    }
    await delay(KNOCK_MS);
  }
}

/** Whether there is a supervisor to speak with. */
export function isUp({ status }: KeptSandbox): boolean {
  return status === "running" || status === "starting";
}
