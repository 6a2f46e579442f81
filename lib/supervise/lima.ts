/**
 * Guests of Lima's among the named sandboxes: they share names with them, and a supervisor, which is the sbx
 * that Lima's driver starts. Their disk and their yaml are Lima's; what is kept here says how they stand.
 *
 * @module
 */
import { existsSync } from "node:fs";
import process from "node:process";
import { SbxError } from "../base/errors.ts";
import { escapeText } from "../base/escape.ts";
import { buildInfo } from "../host/build_info.ts";
import type { NetworkOptions, SandboxOptions } from "../sandbox/options.ts";
import { dropChanges, keptChanges } from "./lima_changes.ts";
import { FOREVER, type LimaRecord, networkOf, type SandboxRecord, specOf } from "./record.ts";
import {
  forgetSandbox,
  keepSandbox,
  type KeptSandbox,
  keptSandbox,
  lockSandbox,
  rewriteRecord,
} from "./registry.ts";

/** An instance, by what Lima calls it and where it keeps it. */
export interface LimaPlace {
  readonly name: string;
  readonly directory: string;
}

/**
 * Refuses a name that another sandbox has, or an instance of another home of Lima's.
 *
 * @throws SbxError SANDBOX_EXISTS, STATE_UNUSABLE, USAGE for a name that no sandbox can have
 */
export async function requireLimaName(place: LimaPlace): Promise<void> {
  await keptLima(place);
}

/** The network as it was changed while the guest ran. @throws SbxError as {@link requireLimaName}, POLICY_INVALID */
export async function changedNetwork(
  place: LimaPlace,
  given: NetworkOptions,
): Promise<NetworkOptions> {
  const { policy, publish } = await changesOf(place);
  const { name } = place;
  return {
    ...given,
    ...(policy === undefined ? {} : networkOf(name, policy)),
    ...(publish === undefined ? {} : { publish: publish as NetworkOptions["publish"] }),
  };
}

/** What was changed while it ran holds no more: its next start was given other options. */
export async function forgetLimaChanges(place: LimaPlace): Promise<void> {
  const kept = await keptLima(place);
  if (kept !== null) {
    const { home, record } = kept;
    await rewriteRecord(home, { ...record, lima: { directory: place.directory, changed: {} } });
  }
  await dropChanges(place.directory);
}

/** An instance that was cloned or renamed brings its own. */
async function changesOf(place: LimaPlace): Promise<LimaRecord["changed"]> {
  const kept = await keptLima(place);
  return await keptChanges(place.directory) ?? kept?.record.lima?.changed ?? {};
}

/**
 * Writes down what the guest is about to be.
 *
 * @throws SbxError as {@link requireLimaName}, FILE_UNREADABLE; USAGE for what only another process could know
 */
export async function keepLima(place: LimaPlace, options: SandboxOptions): Promise<void> {
  const kept = await keptLima(place);
  const lima: LimaRecord = { directory: place.directory, changed: await changesOf(place) };
  const record = {
    sbx: buildInfo()["sbx"] ?? "",
    name: place.name,
    createdMs: kept?.record.createdMs ?? Date.now(),
    directory: process.cwd(),
    life: FOREVER,
    spec: specOf(options),
    lima,
  };
  if (kept === null) await keepSandbox(record);
  else await rewriteRecord(kept.home, record);
}

/**
 * Forgets it, where it is there and does not run; false: it runs.
 *
 * @throws SbxError STATE_UNUSABLE, FILE_UNREADABLE
 */
export async function forgetLima(place: LimaPlace): Promise<boolean> {
  const kept = await found(place.name);
  if (kept === null || directoryOf(kept) !== place.directory) return true;
  const lock = await lockSandbox(kept.home);
  if (lock === null) return false;
  try {
    await forgetSandbox(kept.home);
    return true;
  } finally {
    lock.release();
  }
}

/** What is kept of it; null: nothing yet. */
async function keptLima(
  { name, directory }: LimaPlace,
): Promise<KeptSandbox & { readonly record: SandboxRecord } | null> {
  const kept = await found(name);
  if (kept === null) return null;
  const { record } = kept;
  if (record instanceof SbxError) throw record;
  const other = record.lima?.directory;
  if (other === directory) return { ...kept, record };
  if (other !== undefined && !existsSync(other)) {
    // Lima removed that instance, and nobody heard of it.
    await forgetLima({ name, directory: other });
    if (await found(name) === null) return null;
  }
  const who = other === undefined ? "a sandbox has" : `Lima's instance in ${escapeText(other)} has`;
  throw new SbxError("SANDBOX_EXISTS", `Cannot use Lima's instance ${name}: ${who} the name`, {
    hint: other === undefined
      ? `give the instance another name, or remove the sandbox with 'sbx rm ${name}'`
      : "give one of them another name",
  });
}

async function found(name: string): Promise<KeptSandbox | null> {
  try {
    return await keptSandbox(name);
  } catch (error) {
    if (error instanceof SbxError && error.code === "SANDBOX_MISSING") return null;
    throw error;
  }
}

function directoryOf({ record }: KeptSandbox): string | undefined {
  return record instanceof SbxError ? undefined : record.lima?.directory;
}
