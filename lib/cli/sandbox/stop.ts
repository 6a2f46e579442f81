/**
 * `sbx stop`: ends sandboxes; they can be started again.
 *
 * @module
 */
import type { Command } from "commander";
import { Sandbox } from "../../mod.ts";
import { examples } from "../command.ts";
import { ui } from "../ui.ts";
import { parseDuration } from "../values.ts";
import { forEach } from "./for_each.ts";

export function declare(command: Command): void {
  command
    .argument("<sandbox...>", "their names")
    .option(
      "-t, --time <duration>",
      "how long its command may take to end after SIGTERM (10s)",
      timeOf,
    );
  examples(command, [
    ["sbx stop dev web", "end two, and all that runs in them"],
    ["sbx stop --time 0 dev", "without asking its command"],
  ]);
}

export async function run(command: Command): Promise<number> {
  const { time } = command.opts<{ time?: number }>();
  return await forEach(command.args, async (name) => {
    await using sandbox = await Sandbox.get(name);
    await ui.during(`stopping ${name}`, sandbox.stop(time === undefined ? {} : { graceMs: time }));
    ui.line(name);
  });
}

/** Unlike elsewhere, nothing is a time as well. */
function timeOf(text: string): number {
  return /^0+s?$/.test(text) ? 0 : parseDuration("--time", text);
}
