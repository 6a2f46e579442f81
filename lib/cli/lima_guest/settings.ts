/**
 * What an instance of Lima's is to have: what its yaml says in `vmOpts.sbx`, and what `sbx lima start` was given,
 * both in the words of `sbx run`.
 *
 * @module
 */
import { isAbsolute, join } from "node:path";
import process from "node:process";
import {
  changedNetwork,
  keptLimaArguments,
  type LimaInstance,
  placeOf,
  readLimaOptions,
} from "../../api/lima.ts";
import { fileError } from "../../base/file_error.ts";
import { quote } from "../../base/escape.ts";
import { NetworkPolicy, SbxError } from "../../mod.ts";
import { presetNamed } from "../../policy/model/presets.ts";
import { type LimaSettings, parsed } from "../lima/network.ts";

/**
 * What the guest of an instance is to have. What was given to `sbx lima start` goes before the yaml, and its paths
 * are relative to where that was: this process, which is for one guest alone, goes there. What was changed while it
 * ran goes before both.
 *
 * @throws SbxError LIMA_INSTANCE, SANDBOX_EXISTS, USAGE, POLICY_INVALID, FILE_UNREADABLE
 */
export async function settingsOf(instance: LimaInstance): Promise<LimaSettings> {
  const kept = await keptLimaArguments(instance.dir);
  const argv = [...argvOf(instance), ...kept?.argv ?? []];
  if (kept !== undefined) enter(kept.directory);
  const settings = await parsed(argv);
  return { ...settings, network: await changedNetwork(placeOf(instance), settings.network) };
}

/** A yaml says nothing of where it came from. */
function argvOf(instance: LimaInstance): string[] {
  const { policy, publish = [], log, stopTimeout } = readLimaOptions(instance);
  if (policy !== undefined && presetNamed(policy) === null) requireAbsolute("policy", policy);
  const option = (name: string, value: string | undefined) =>
    value === undefined ? [] : [`--${name}=${value}`];
  return [
    ...option("policy", policy),
    ...publish.flatMap((ports) => option("publish", ports)),
    ...option("log", log === true ? join(instance.dir, "sbx.jsonl") : undefined),
    ...option("stop-timeout", stopTimeout),
  ];
}

function requireAbsolute(key: string, path: string): void {
  if (isAbsolute(path)) return;
  throw new SbxError(
    "LIMA_INSTANCE",
    `Cannot use vmOpts.sbx: ${key} is ${quote(path)}, which is no absolute path`,
    { hint: `the presets are ${NetworkPolicy.presetNames.join(", ")}` },
  );
}

function enter(directory: string): void {
  try {
    process.chdir(directory);
  } catch (cause) {
    throw fileError("find the guest's files relative to", directory, cause);
  }
}
