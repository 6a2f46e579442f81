/**
 * `sbx rm`: forgets sandboxes, and all that is kept of them.
 *
 * @module
 */
import type { Command } from "commander";
import { existsSync } from "node:fs";
import { Sandbox } from "../../mod.ts";
import { examples } from "../command.ts";
import { ui } from "../ui.ts";
import { limaDoes } from "../lima/instances.ts";
import { forEach } from "./for_each.ts";

export function declare(command: Command): void {
  command
    .argument("<sandbox...>", "their names")
    .option("-f, --force", "end those that run");
  examples(command, [
    ["sbx rm dev", "its record and what its commands printed"],
    ["sbx rm --force $(sbx ls -aq)", "everything"],
  ]);
}

export async function run(command: Command): Promise<number> {
  const { force = false } = command.opts<{ force?: true }>();
  return await forEach(command.args, async (name) => {
    const lima = (await Sandbox.list()).find((info) => info.name === name)?.lima;
    if (lima !== undefined && existsSync(lima)) {
      return await limaDoes(name, lima, "delete", force);
    }
    await ui.during(`removing ${name}`, Sandbox.remove(name, { force }));
    ui.line(name);
  });
}
