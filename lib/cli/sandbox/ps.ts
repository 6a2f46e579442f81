/**
 * `sbx ps`: the jobs of a sandbox.
 *
 * @module
 */
import type { Command } from "commander";
import { type JobInfo, Sandbox } from "../../mod.ts";
import { examples } from "../command.ts";
import { OK } from "../exit.ts";
import { jsonText } from "../json.ts";
import { table } from "../table.ts";
import { ui } from "../ui.ts";
import { agoText, commandText } from "./info_text.ts";

export function declare(command: Command): void {
  command
    .argument("<sandbox>", "its name")
    .option("--json", "print one JSON array")
    .option("-q, --quiet", "print the numbers alone");
  examples(command, [["sbx ps dev", "what was left running in it, and what has ended"]]);
}

export async function run(command: Command): Promise<number> {
  const { json, quiet } = command.opts<{ json?: true; quiet?: true }>();
  if (quiet) ui.quiet();
  await using sandbox = await Sandbox.get(command.args[0] ?? "");
  const jobs = await sandbox.jobs();
  if (json) ui.out(jsonText(jobs));
  else if (quiet) { for (const { id } of jobs) ui.line(id); }
  else if (jobs.length > 0) {
    ui.out(table([["job", "status", "printed", "command"], ...jobs.map(rowOf)]));
  } else ui.notice(`no job: start one with 'sbx exec -d ${sandbox.name} -- …'`);
  return OK;
}

function rowOf({ id, argv, startedMs, endedMs, exit, printed, lost }: JobInfo): readonly string[] {
  const status = endedMs === undefined
    ? `running ${agoText(startedMs)}`
    : `ended ${agoText(endedMs)} ago (${
      exit === undefined
        ? "it did not run"
        : exit.signal === undefined
        ? `status ${exit.code ?? 0}`
        : `signal ${exit.signal}`
    })`;
  const size = lost === 0 ? `${printed} B` : `${printed} B, ${lost} B lost`;
  return [id, status, size, commandText(argv)];
}
