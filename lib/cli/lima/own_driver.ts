/**
 * Starts a guest that one of Lima's own drivers runs: first the sbx that is its network, then Lima.
 *
 * ```
 * asked ── "listening" ──► Lima starts it ── "running", and Lima is done ──► it stays
 *   └── "refused" ────────────┴── "refused", Lima failed ──► it is ended
 * ```
 *
 * @module
 */
import { z } from "zod";
import {
  checkInstance,
  configureInstance,
  configureYaml,
  type Limactl,
  type ListedInstance,
  readInstance,
  spawnLimaGuest,
} from "../../api/lima.ts";
import { SbxError } from "../../mod.ts";
import { OK } from "../exit.ts";
import { settingsOf } from "./network.ts";

const EVENT = z.union([
  z.object({ event: z.enum(["listening", "running"]) }),
  z.object({
    event: z.enum(["refused", "ended"]),
    message: z.string().optional(),
    hint: z.string().optional(),
  }),
]);

/** Resolves to the exit status. @throws SbxError LIMA_INSTANCE, and as {@link settingsOf} */
export async function startOwn(limactl: Limactl, listed: ListedInstance): Promise<number> {
  const instance = readInstance(listed);
  checkInstance(instance);
  const { network } = await settingsOf(instance);
  const { config } = await configureInstance(listed, network, true);
  await configureYaml(instance.dir, config as Readonly<Record<string, unknown>>);
  const guest = spawnLimaGuest(instance.dir, listed);
  const running = Promise.withResolvers<void>();
  const listening = Promise.withResolvers<void>();
  void (async () => {
    let refused: SbxError | undefined;
    for await (const line of guest.lines) {
      const said = eventOf(line);
      if (said?.event === "listening") listening.resolve();
      if (said?.event === "running") running.resolve();
      if (said?.event === "refused" || said?.event === "ended") refused ??= failure(said);
    }
    const error = refused ?? failure({});
    listening.reject(error);
    running.reject(error);
  })();
  running.promise.catch(() => {}); // Lima's own words come first
  try {
    await listening.promise;
    const started = await limactl.run("start", "--tty=false", instance.name);
    if (started === OK) await running.promise;
    else await leave(guest);
    if (started === OK) guest.stay();
    return started;
  } catch (error) {
    await leave(guest);
    throw error;
  }
}

/** Undefined: none that matters here. */
function eventOf(line: string): z.output<typeof EVENT> | undefined {
  try {
    return EVENT.safeParse(JSON.parse(line)).data;
  } catch {
    return undefined;
  }
}

async function leave(guest: ReturnType<typeof spawnLimaGuest>): Promise<void> {
  guest.end();
  await guest.exited;
}

function failure(
  { message = "Cannot start the guest: its sbx ended", hint }: {
    readonly message?: string | undefined;
    readonly hint?: string | undefined;
  },
): SbxError {
  return new SbxError("LIMA_INSTANCE", message, hint === undefined ? {} : { hint });
}
