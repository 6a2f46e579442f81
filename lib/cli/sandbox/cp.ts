/**
 * `sbx cp`: files and trees, from this machine to a sandbox or back.
 *
 * @module
 */
import type { Command } from "commander";
import { plural } from "../../base/plural.ts";
import { type CopyReport, Sandbox } from "../../mod.ts";
import { type CommandHost, examples } from "../command.ts";
import { OK } from "../exit.ts";
import { unlessSignalled } from "../given_up.ts";
import { ui } from "../ui.ts";
import { copyArchive, STREAM } from "./cp_archive.ts";
import { parseCopyOperands } from "./copy_operands.ts";

export function declare(command: Command): void {
  command
    .argument(
      "<source>",
      "NAME:PATH in a sandbox, or a path of this machine; - is an archive of tar",
    )
    .argument("<target>", "the same; one of the two is in a sandbox")
    .option("-u, --user <name|uid[:group]>", "whom copies in the guest belong to");
  examples(command, [
    ["sbx cp dev:/root/report.pdf .", "out of a sandbox"],
    ["sbx cp ./src dev:/work", "a tree into it, with modes, times and links"],
    ["sbx cp ./src/. dev:/work/src", "what is in a directory, without the directory"],
    ["sbx cp dev:/work/out - | tar -t", "as an archive, which the sandbox makes"],
  ]);
}

export async function run(command: Command, { closedStreams }: CommandHost): Promise<number> {
  const { user } = command.opts<{ user?: string }>();
  const [source = "", target = ""] = command.args;
  const operands = parseCopyOperands(source, target);
  const { direction, sandbox: name, guestPath, hostPath } = operands;
  await using sandbox = await Sandbox.get(name);
  return await unlessSignalled(async (signal) => {
    const { fs } = sandbox;
    const options = { signal, ...(user === undefined ? {} : { user }) };
    if (hostPath === STREAM) {
      return await copyArchive(sandbox, operands, { ...options, closed: closedStreams });
    }
    const copying = direction === "from-host"
      ? fs.copyFromHost(hostPath, guestPath, options)
      : fs.copyToHost(guestPath, hostPath, { signal });
    tell(await ui.during("copying", copying));
    return OK;
  });
}

function tell({ leftOut, leftOutPaths: [first = ""], attributesLeftOut }: CopyReport): void {
  if (attributesLeftOut > 0) {
    const what = plural(attributesLeftOut, "extended attribute");
    ui.notice(`left out ${what}, which the file system of the copy does not take`);
  }
  if (leftOut === 0) return;
  const more = leftOut === 1 ? "" : ` and ${leftOut - 1} more`;
  ui.notice(`left out ${plural(leftOut, "special file")}, which no copy has: ${first}${more}`);
}
