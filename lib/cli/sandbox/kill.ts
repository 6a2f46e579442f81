/**
 * `sbx kill`: ends sandboxes from outside, whatever they do; or sends their commands a signal.
 *
 * @module
 */
import type { Command } from "commander";
import { signalNumber } from "../../base/signal.ts";
import { Sandbox, SbxError, type SignalName } from "../../mod.ts";
import { MAIN_JOB } from "../../base/main_job.ts";
import { examples } from "../command.ts";
import { ui } from "../ui.ts";
import { usage } from "../values.ts";
import { forEach } from "./for_each.ts";

export function declare(command: Command): void {
  command
    .argument("<sandbox...>", "their names")
    .option(
      "-s, --signal <signal>",
      "instead, send this to the command that it is for: HUP, SIGHUP or 1",
      signalOf,
    );
  examples(command, [
    ["sbx kill dev", "when 'sbx stop dev' takes too long, or gets no answer"],
    ["sbx kill -s HUP web", "its command may read its settings anew, and go on"],
  ]);
}

export async function run(command: Command): Promise<number> {
  const { signal } = command.opts<{ signal?: number }>();
  return await forEach(command.args, async (name) => {
    if (signal === undefined) await Sandbox.kill(name);
    else await send(name, signal);
    ui.line(name);
  });
}

async function send(name: string, signal: number): Promise<void> {
  await using sandbox = await Sandbox.get(name);
  await sandbox.signal(MAIN_JOB, signal);
}

function signalOf(text: string): number {
  const name = `SIG${text.toUpperCase().replace(/^SIG/, "")}` as SignalName;
  try {
    return signalNumber(/^\d+$/.test(text) ? Number(text) : name);
  } catch (error) {
    if (!(error instanceof SbxError)) throw error;
    throw usage("--signal", text, error.state ?? "unknown signal", error.hint);
  }
}
