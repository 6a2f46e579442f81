/**
 * `sbx start`: starts sandboxes that were created, or have ended.
 *
 * @module
 */
import type { Command } from "commander";
import { limaDoes } from "../lima/instances.ts";
import { Sandbox } from "../../mod.ts";
import { type CommandHost, examples } from "../command.ts";
import { unlessSignalled } from "../given_up.ts";
import { startNotice } from "../start_notice.ts";
import { ui } from "../ui.ts";
import { forEach } from "./for_each.ts";

export function declare(command: Command): void {
  command.argument("<sandbox...>", "their names");
  examples(command, [["sbx start dev", "and wait until commands can run in it"]]);
}

export async function run(command: Command, _: CommandHost): Promise<number> {
  return await unlessSignalled(async (signal) => {
    return await forEach(command.args, async (name) => {
      await using sandbox = await Sandbox.get(name);
      const { lima } = await sandbox.info();
      if (lima !== undefined) return await limaDoes(name, lima, "start");
      const starting = sandbox.start({ signal, onNotice: startNotice(true) });
      await ui.during(`starting ${name}`, starting);
      ui.line(name);
    });
  });
}
