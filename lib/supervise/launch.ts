/**
 * Starts the supervisor of a named sandbox and waits until the sandbox runs.
 *
 * @module
 */
import { createInterface } from "node:readline";
import { existsSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { z } from "zod";
import { SbxError } from "../base/errors.ts";
import { escapeText } from "../base/escape.ts";
import { errorOf } from "../base/failure.ts";
import { systemWords } from "../base/file_error.ts";
import type { NoticeTopic } from "../guest/provider.ts";
import { type SpawnedSupervisor, spawnSupervisor } from "../host/spawn_supervisor.ts";
import { sourceVariablesOf } from "../policy/model/aws_pair.ts";
import { jsonOf, networkOf } from "./record.ts";
import { type KeptSandbox, usableRecord } from "./registry.ts";

/** How long a start that failed or was given up may take to leave nothing. */
const LEAVE_MS = 5_000;

export interface LaunchOptions {
  /** Called with what a person should know of the start. */
  readonly onNotice?: (line: string, topic?: NoticeTopic) => void;
  /** Aborting it gives the start up. */
  readonly signal?: AbortSignal;
}

/** A line of a supervisor's report. */
const report = z.union([
  z.object({ notice: z.string(), topic: z.literal("emulation").optional() }),
  z.object({ ready: z.literal(true) }),
  z.object({
    error: z.object({ code: z.string(), message: z.string(), hint: z.string().optional() }),
  }),
]);

export type Report = z.input<typeof report>;

/** @throws SbxError what the start failed of; LIMA_INSTANCE for one that Lima starts; SUPERVISOR_LOST when it does not say */
export async function launch(
  kept: KeptSandbox,
  { onNotice = () => {}, signal }: LaunchOptions = {},
): Promise<void> {
  signal?.throwIfAborted();
  if (usableRecord(kept).lima !== undefined) {
    throw new SbxError("LIMA_INSTANCE", `Cannot start ${kept.name}: it is a guest of Lima's`, {
      hint: `have Lima start it: sbx lima start ${kept.name}`,
    });
  }
  const supervisor = spawnFor(kept);
  const giveUp = () => supervisor.leave();
  signal?.addEventListener("abort", giveUp);
  try {
    for await (const line of createInterface({ input: supervisor.report })) {
      const said = report.safeParse(jsonOf(line)).data;
      if (said === undefined) continue;
      if ("notice" in said) onNotice(said.notice, said.topic);
      else if ("ready" in said) return;
      else throw errorOf(said.error);
    }
    await supervisor.exited;
    signal?.throwIfAborted();
    throw new SbxError(
      "SUPERVISOR_LOST",
      `Cannot start sandbox ${kept.name}: its supervisor ended`,
      {
        hint: `see what it said in ${kept.home.faults}`,
      },
    );
  } catch (error) {
    supervisor.leave();
    // A start that failed has left nothing, unless its supervisor hangs.
    await Promise.race([supervisor.exited, delay(LEAVE_MS, undefined, { ref: false })]);
    throw error;
  } finally {
    signal?.removeEventListener("abort", giveUp);
    supervisor.report.destroy();
    supervisor.leave();
  }
}

function spawnFor(kept: KeptSandbox): SpawnedSupervisor {
  const { name, home } = kept;
  const { directory, spec } = usableRecord(kept);
  const { secrets } = networkOf(name, spec.policy);
  if (!existsSync(directory)) {
    throw new SbxError(
      "FILE_UNREADABLE",
      `Cannot start sandbox ${name}: ${escapeText(directory)}, where it was created, is gone`,
      { hint: "its relative paths are found from there: make the directory again" },
    );
  }
  try {
    const variables = secrets.secrets.flatMap(sourceVariablesOf);
    return spawnSupervisor({ name, directory, faults: home.faults, variables });
  } catch (cause) {
    throw new SbxError(
      "SUPERVISOR_LOST",
      `Cannot start sandbox ${name}: ${systemWords(cause)}`,
      { cause },
    );
  }
}
