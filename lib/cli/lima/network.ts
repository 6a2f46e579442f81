/**
 * The network of an instance of Lima's: what its yaml says in `vmOpts.sbx`, and what `sbx lima start` was
 * given, both in the words of `sbx run`.
 *
 * @module
 */
import { Command } from "commander";
import { isAbsolute, join } from "node:path";
import process from "node:process";
import {
  changedNetwork,
  keptLimaArguments,
  type LimaInstance,
  placeOf,
  readLimaOptions,
} from "../../api/lima.ts";
import { NetworkBuilder } from "../../api/network_builder.ts";
import { fileError } from "../../base/file_error.ts";
import { quote } from "../../base/escape.ts";
import { type NetworkOptions, NetworkPolicy, SbxError } from "../../mod.ts";
import { presetNamed } from "../../policy/model/presets.ts";
import { declareRunFlags, type RunFlags, runFlags } from "../run_flags.ts";
import { networkOf } from "../run_setup.ts";
import { parseDuration } from "../values.ts";

/** Long enough for a guest that is emulated. */
const STOP_TIMEOUT_MS = 120_000;

export interface LimaSettings {
  readonly network: NetworkOptions;
  /** Journal file. */
  readonly log?: string;
  /** How long the guest may take to power off. */
  readonly stopMs: number;
}

/** Declares what `sbx lima start` takes of `sbx run`. */
export function declareLimaFlags(command: Command): void {
  declareRunFlags(command, "lima");
  command.optionsGroup("Guest:");
  command.option("--log <file>", "append what happened on the network, one JSON object a line");
  command.option("--stop-timeout <duration>", "how long the guest may take to power off");
  command.optionsGroup("");
}

/**
 * What the guest of an instance is to have. What was given to `sbx lima start` goes before the yaml, and
 * its paths are relative to where that was; this process goes there. What was changed while it ran goes
 * before both.
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

/** @throws SbxError as {@link settingsOf} */
export async function parsed(argv: readonly string[]): Promise<LimaSettings> {
  const command = new Command("sbx lima start").exitOverride().configureOutput({
    writeErr: () => {},
    outputError: () => {},
  });
  declareLimaFlags(command);
  command.parse(argv, { from: "user" });
  const flags = runFlags(command) as RunFlags & { readonly stopTimeout?: string };
  if (!flags.net) {
    throw new SbxError("USAGE", "Cannot use --no-net: Lima reaches its guests over the network", {
      hint: "use --policy none, which lets nothing pass but Lima's SSH",
    });
  }
  const configure = await networkOf(flags);
  const { log, stopTimeout } = flags;
  const network = configure(new NetworkBuilder()).build();
  return {
    network,
    stopMs: stopTimeout === undefined
      ? STOP_TIMEOUT_MS
      : parseDuration("--stop-timeout", stopTimeout),
    ...(log === undefined ? {} : { log }),
  };
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
