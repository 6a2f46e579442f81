/**
 * `sbx stop`: ends sandboxes; they can be started again.
 *
 * @module
 */
import type { Command } from "commander";
import { Sandbox } from "../../mod.ts";
import { examples } from "../command.ts";
import { ui } from "../ui.ts";
import { forEach } from "./for_each.ts";

export function declare(command: Command): void {
  command.argument("<sandbox...>", "their names");
  examples(command, [["sbx stop dev web", "end two, and all that runs in them"]]);
}

export async function run(command: Command): Promise<number> {
  return await forEach(command.args, async (name) => {
    await using sandbox = await Sandbox.get(name);
    await sandbox.stop();
    ui.line(name);
  });
}
