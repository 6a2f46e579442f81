/**
 * `sbx kill`: ends sandboxes from outside, whatever they do.
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
  examples(command, [["sbx kill dev", "when 'sbx stop dev' takes too long, or gets no answer"]]);
}

export async function run(command: Command): Promise<number> {
  return await forEach(command.args, async (name) => {
    await Sandbox.kill(name);
    ui.line(name);
  });
}
