/**
 * `sbx update`: how this sbx is brought up to date; with `--check`, whether there is a newer one. Nothing
 * else of sbx ever asks.
 *
 * @module
 */
import type { Command } from "commander";
import process from "node:process";
import { isNewer, newestRelease } from "../api/newest_release.ts";
import { SbxError, versions } from "../mod.ts";
import { examples } from "./command.ts";
import { NO, OK } from "./exit.ts";
import { ui } from "./ui.ts";

export function declare(command: Command): void {
  command
    .option(
      "--check",
      "ask npm's registry for the newest version; status 1 when there is a newer one",
    )
    .option("--json", "with --check, print one JSON object");
  examples(command, [
    ["sbx update", "the command that updates this sbx, without asking anybody"],
    ["sbx update --check", "whether there is a newer one"],
  ]);
}

export async function run(command: Command): Promise<number> {
  const { check, json } = command.opts<{ check?: true; json?: true }>();
  if (json && !check) {
    throw new SbxError("USAGE", "Cannot use --json: nothing is asked without --check", {
      hint: "add --check",
    });
  }
  if (!check) {
    ui.line(`update with: ${updateCommand(process.execPath)}`);
    return OK;
  }
  const own = versions()["sbx"] ?? "";
  const newest = await ui.during("asking the registry", newestRelease());
  const isOld = isNewer(newest, own);
  if (json) ui.out(`${JSON.stringify({ version: own, newest, isNewest: !isOld }, null, 2)}\n`);
  else if (!isOld) ui.line(`sbx ${own} is the newest; the registry has ${newest}`);
  else {ui.line(
      `sbx ${newest} is there, this is ${own}; update with: ${updateCommand(process.execPath)}`,
    );}
  return isOld ? NO : OK;
}

/** By where the program stands. */
function updateCommand(path: string): string {
  if (path.includes("/Cellar/")) return "brew upgrade sbx";
  if (path.includes("/node_modules/")) return "npm install --global @sbx-dev/sbx";
  if (path === "/usr/bin/sbx") {
    return "sudo apt install ./sbx_VERSION_ARCH.deb, from https://sbx.dev/releases";
  }
  return "a tarball from https://sbx.dev/releases";
}
