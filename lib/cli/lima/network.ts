/**
 * The network of an instance of Lima's, in the words of `sbx run`.
 *
 * @module
 */
import { Command } from "commander";
import { NetworkBuilder } from "../../api/network_builder.ts";
import { type NetworkOptions, SbxError } from "../../mod.ts";
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

/** @throws SbxError USAGE, POLICY_INVALID, FILE_UNREADABLE */
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
