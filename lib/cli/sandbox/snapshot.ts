/**
 * `sbx snapshot`: what is on the disks of sandboxes, kept under tags.
 *
 * @module
 */
import type { Command } from "commander";
import { escapeText } from "../../base/escape.ts";
import { formatSize } from "../../base/size.ts";
import { Sandbox, type SnapshotInfo } from "../../mod.ts";
import { type CommandModule, examples } from "../command.ts";
import { OK } from "../exit.ts";
import { unlessSignalled } from "../given_up.ts";
import { jsonText } from "../json.ts";
import { table } from "../table.ts";
import { ui } from "../ui.ts";
import { forEach } from "./for_each.ts";
import { agoText } from "./info_text.ts";

export const create: CommandModule = {
  declare(command: Command): void {
    command
      .argument("<sandbox>", "its name; it may run")
      .argument("<tag>", "what the snapshot is called from then on")
      .option("--memory", "keep its memory and processes as well, or nothing");
    examples(command, [
      ["sbx snapshot dev built", "keep what is on the disk of dev as built"],
      ["sbx run --from built -- npm test", "a guest that begins with it, and leaves it as it is"],
    ]);
  },

  async run(command: Command): Promise<number> {
    const [name = "", tag = ""] = command.args;
    return await unlessSignalled(async (signal) => {
      await using sandbox = await Sandbox.get(name);
      const { memory = false } = command.opts<{ memory?: true }>();
      const onNotice = (line: string) => ui.notice(line);
      await ui.during(`keeping ${name}`, sandbox.snapshot(tag, { memory, signal, onNotice }));
      ui.line(tag);
      return OK;
    });
  },
};

export const ls: CommandModule = {
  declare(command: Command): void {
    command
      .option("-q, --quiet", "print the tags alone")
      .option("--json", "print one JSON array");
    examples(command, [["sbx snapshot ls", "each with its sandbox, and what it takes up"]]);
  },

  async run(command: Command): Promise<number> {
    const { json, quiet } = command.opts<{ json?: true; quiet?: true }>();
    const kept = await Sandbox.snapshots();
    if (json) ui.out(jsonText(kept));
    else if (quiet) { for (const { tag } of kept) ui.line(tag); }
    else if (kept.length > 0) ui.out(table([HEAD, ...kept.map(rowOf)]));
    else ui.notice("no snapshot is kept: make one with 'sbx snapshot NAME TAG'");
    return OK;
  },
};

const HEAD = ["snapshot", "sandbox", "created", "size", "on disk", "has"];

function rowOf(
  { tag, sandbox, createdMs, bytes, bytesOnDisk, memory }: SnapshotInfo,
): readonly string[] {
  return [
    escapeText(tag),
    sandbox === undefined ? "cannot be used" : escapeText(sandbox),
    createdMs === undefined ? "" : `${agoText(createdMs)} ago`,
    bytes === undefined ? "" : formatSize(bytes),
    `${Math.ceil(bytesOnDisk / 2 ** 20)}M`,
    memory ? "disk, memory" : "disk",
  ];
}

export const rm: CommandModule = {
  declare(command: Command): void {
    command.argument("<snapshot...>", "their tags");
    examples(command, [["sbx snapshot rm built", "what began with it stays as it is"]]);
  },

  async run(command: Command): Promise<number> {
    return await forEach(command.args, async (tag) => {
      await Sandbox.removeSnapshot(tag);
      ui.line(tag);
    });
  },
};
