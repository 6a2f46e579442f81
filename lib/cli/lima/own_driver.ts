/**
 * Starts a guest that one of Lima's own drivers runs: first the sbx that is its network, then Lima.
 *
 * ```
 * asked ── "listening" ──► Lima starts it ── "running", and Lima is done ──► it stays
 *   └── "refused" ────────────┴── "refused", Lima failed ──► it is ended, and Lima's part with it
 * ```
 *
 * What Lima says of a failure comes first, on the terminal; sbx's own reason, if it has one, is what is thrown.
 *
 * @module
 */
import { z } from "zod";
import {
  checkInstance,
  configureLimaGuest,
  type Limactl,
  type ListedInstance,
  readInstance,
  type SpawnedLimaGuest,
  spawnLimaGuest,
} from "../../api/lima.ts";
import { type ErrorCode, SbxError } from "../../mod.ts";
import { OK } from "../exit.ts";

const EVENT = z.union([
  z.object({ event: z.literal("configured"), variables: z.array(z.string()) }),
  z.object({ event: z.enum(["listening", "running"]) }),
  z.object({
    event: z.enum(["refused", "ended"]),
    message: z.string().optional(),
    hint: z.string().optional(),
    code: z.string().optional(),
  }),
]);

/** What the guest's sbx says, as far as a start waits for it. */
interface Said {
  readonly listening: Promise<void>;
  readonly running: Promise<void>;
  /** Once it is gone: why, where that was not asked for. */
  readonly reason: Promise<SbxError | undefined>;
}

/**
 * `argv`: limactl's. Resolves to its exit status.
 *
 * @throws SbxError of the guest's sbx, LIMA_INSTANCE
 */
export async function startOwn(
  limactl: Limactl,
  { name }: ListedInstance,
  argv: readonly string[],
): Promise<number> {
  const whole = await limactl.whole(name);
  const instance = readInstance(whole);
  checkInstance(instance);
  const variables = await configured(instance.dir, whole);
  // What is judged once more, by who is its network, is the yaml that Lima is about to read.
  const guest = spawnLimaGuest(instance.dir, await limactl.whole(name), variables);
  const said = heard(guest);
  try {
    await said.listening;
    // Without its network Lima would wait for the guest to the end of its patience.
    const lost = new AbortController();
    void said.reason.then(() => lost.abort());
    const started = await limactl.runUntil(lost.signal, argv);
    if (started === OK) {
      await said.running;
      guest.stay();
      return started;
    }
    const wasLost = lost.signal.aborted;
    guest.end();
    const reason = await said.reason;
    if (wasLost) {
      await limactl.run("stop", "--force", name); // its hostagent may wait as limactl did
      throw reason ?? new SbxError("LIMA_INSTANCE", ENDED);
    }
    if (reason !== undefined) throw reason;
    return started;
  } finally {
    guest.end(); // which one that stays does not hear
  }
}

/** Has its yaml written; answers the variables that its secrets are read of. @throws SbxError of who wrote it */
async function configured(directory: string, instance: unknown): Promise<readonly string[]> {
  let reason: SbxError | undefined;
  for await (const line of configureLimaGuest(directory, instance)) {
    const said = eventOf(line);
    if (said?.event === "configured") return said.variables;
    if (said?.event === "refused") reason = failure(said);
  }
  throw reason ?? new SbxError("LIMA_INSTANCE", ENDED);
}

function heard(guest: SpawnedLimaGuest): Said {
  const listening = Promise.withResolvers<void>();
  const running = Promise.withResolvers<void>();
  const follow = async () => {
    let reason: SbxError | undefined;
    for await (const line of guest.lines) {
      const said = eventOf(line);
      if (said?.event === "listening") listening.resolve();
      if (said?.event === "running") running.resolve();
      if (said?.event === "refused" || said?.event === "ended") reason ??= failure(said);
    }
    const error = reason ?? new SbxError("LIMA_INSTANCE", ENDED);
    listening.reject(error);
    running.reject(error);
    return reason;
  };
  for (const waited of [listening.promise, running.promise]) waited.catch(() => {});
  return { listening: listening.promise, running: running.promise, reason: follow() };
}

const ENDED = "Cannot start the guest: its sbx ended";

/** Undefined: none that matters here. */
function eventOf(line: string): z.output<typeof EVENT> | undefined {
  try {
    return EVENT.safeParse(JSON.parse(line)).data;
  } catch {
    return undefined;
  }
}

/** Undefined: it ended because this process asked for it. */
function failure(
  { message, hint, code }: {
    readonly message?: string | undefined;
    readonly hint?: string | undefined;
    readonly code?: string | undefined;
  },
): SbxError | undefined {
  if (message === undefined || code === "STOPPED") return undefined;
  // The other process is of this version, or was moments ago.
  const known = (code ?? "LIMA_INSTANCE") as ErrorCode;
  return new SbxError(known, message, hint === undefined ? {} : { hint });
}
