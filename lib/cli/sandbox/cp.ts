/**
 * `sbx cp`: files and trees, from this machine to a sandbox or back.
 *
 * @module
 */
import type { Command } from "commander";
import { plural } from "../../base/plural.ts";
import { type CopyReport, Sandbox } from "../../mod.ts";
import { examples } from "../command.ts";
import { OK } from "../exit.ts";
import { unlessSignalled } from "../given_up.ts";
import { ui } from "../ui.ts";
import { parseCopyOperands } from "./copy_operands.ts";

export function declare(command: Command): void {
  command
    .argument("<source>", "NAME:PATH in a sandbox, or a path of this machine")
    .argument("<target>", "the same; one of the two is in a sandbox")
    .option("-u, --user <name|uid[:group]>", "whom copies in the guest belong to");
  examples(command, [
    ["sbx cp dev:/root/report.pdf .", "out of a sandbox"],
    ["sbx cp ./src dev:/work", "a tree into it, with modes, times and links"],
    ["sbx cp ./src/. dev:/work/src", "what is in a directory, without the directory"],
  ]);
}

export async function run(command: Command): Promise<number> {
  const { user } = command.opts<{ user?: string }>();
  const [source = "", target = ""] = command.args;
  const { direction, sandbox: name, guestPath, hostPath } = parseCopyOperands(source, target);
  await using sandbox = await Sandbox.get(name);
  return await unlessSignalled(async (signal) => {
    const { fs } = sandbox;
    const options = { signal, ...(user === undefined ? {} : { user }) };
    const report = direction === "from-host"
      ? await fs.copyFromHost(hostPath, guestPath, options)
      : await fs.copyToHost(guestPath, hostPath, { signal });
    tell(report);
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
