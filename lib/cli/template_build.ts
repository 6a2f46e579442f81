/**
 * `sbx template build`: boots a guest that is nobody's and saves it, for later ones to go on from.
 *
 * @module
 */
import type { Command } from "commander";
import { type TemplateBuild, Templates } from "../mod.ts";
import { examples } from "./command.ts";
import { OK } from "./exit.ts";
import { unlessSignalled } from "./given_up.ts";
import { ui } from "./ui.ts";
import { parseCount, parseMemory } from "./values.ts";

export function declare(command: Command): void {
  command
    .option("-c, --cpus <n>", "processors (default 1)", (text) => parseCount("--cpus", text))
    .option("-m, --memory <size>", "memory such as 512M or 2G (default 1G)", parseMemory)
    .option("--no-net", "for guests without a network device")
    .option("--no-root", "for guests with a disk of their own, or with --root")
    .option(
      "--distrust <dir>",
      "take no program from here, as a guest can write to it; may be repeated",
      (directory: string, others: readonly string[] = []) => [...others, directory],
    )
    .option("--unless-failed", "leave it where it failed within a day")
    .option("-q, --quiet", "print nothing but errors");
  examples(command, [
    ["sbx template build", "for 'sbx run' without options of size"],
    ["sbx template build -c 4 -m 4G", "for 'sbx run -c 4 -m 4G'"],
    ["sbx template build --no-root", "for 'sbx run --disk 10G', and 'sbx run --root DIR'"],
  ]);
}

const SAID: Readonly<Record<TemplateBuild["outcome"], string>> = {
  "made": "the template is made",
  "kept": "there is one already",
  "busy": "another process is making it",
  "failed-lately": "it is not tried: it failed within a day",
};

export async function run(command: Command): Promise<number> {
  const { cpus, memory, net, root, distrust, unlessFailed = false, quiet } = command.opts<{
    readonly cpus?: number;
    readonly memory?: number;
    readonly net: boolean;
    readonly root: boolean;
    readonly distrust?: readonly string[];
    readonly unlessFailed?: true;
    readonly quiet?: true;
  }>();
  if (quiet) ui.quiet();
  const size = {
    network: net,
    root,
    ...(cpus === undefined ? {} : { cpus }),
    ...(memory === undefined ? {} : { memoryMiB: memory }),
  };
  return await unlessSignalled(async (signal) => {
    const building = Templates.build(size, {
      unlessFailed,
      signal,
      ...(distrust === undefined ? {} : { distrusted: distrust }),
    });
    const { outcome } = await ui.during("building the template", building);
    ui.notice(SAID[outcome]);
    return OK;
  });
}
