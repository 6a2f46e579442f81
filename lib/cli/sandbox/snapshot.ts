/**
 * `sbx snapshot`: what is on the disks of sandboxes, kept under tags.
 *
 * @module
 */
import { type Command, Option } from "commander";
import { escapeText } from "../../base/escape.ts";
import { formatSize } from "../../base/size.ts";
import { Sandbox, SbxError, type SnapshotInfo } from "../../mod.ts";
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
      .addOption(new Option("--memory").hideHelp());
    examples(command, [
      ["sbx snapshot dev built", "keep what is on the disk of dev as built"],
      ["sbx run --from built -- npm test", "a guest that begins with it, and leaves it as it is"],
    ]);
  },

  async run(command: Command): Promise<number> {
    const [name = "", tag = ""] = command.args;
    if (command.opts<{ memory?: true }>().memory) throw memoryStays(name, tag);
    return await unlessSignalled(async (signal) => {
      await using sandbox = await Sandbox.get(name);
      await sandbox.snapshot(tag, { signal });
      ui.line(tag);
      return OK;
    });
  },
};

/** Others keep memory and processes as well, so it is asked for; docs/sandboxes.md has why not. */
function memoryStays(name: string, tag: string): SbxError {
  const why = "QEMU saves no machine that has directories mounted, as every guest has /usr";
  return new SbxError("USAGE", `Cannot keep the memory of sandbox ${name}: ${why}`, {
    hint: `keep what is on its disk, from which a guest boots: sbx snapshot ${name} ${tag}`,
  });
}

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

const HEAD = ["snapshot", "sandbox", "created", "size", "on disk"];

function rowOf({ tag, sandbox, createdMs, bytes, bytesOnDisk }: SnapshotInfo): readonly string[] {
  return [
    escapeText(tag),
    sandbox === undefined ? "cannot be used" : escapeText(sandbox),
    createdMs === undefined ? "" : `${agoText(createdMs)} ago`,
    bytes === undefined ? "" : formatSize(bytes),
    `${Math.ceil(bytesOnDisk / 2 ** 20)}M`,
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
