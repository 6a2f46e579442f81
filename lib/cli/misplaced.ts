/**
 * Options of sbx that stand behind the command. They are the command's there, as with any wrapper, and
 * who meant `sbx run curl … --policy none` would have a guest with more network than he asked for.
 *
 * @module
 */
import type { Command } from "commander";
import { SbxError } from "../base/errors.ts";
import { quote } from "../base/escape.ts";

/** What decides over the network, by the groups of `--help`: losing one of these opens something. */
const GUARDED: ReadonlySet<string> = new Set(["Network:", "Names:", "TLS:", "Secrets:"]);

/**
 * Refuses them unless `--` says where the command begins.
 *
 * @throws SbxError USAGE
 */
export function refuseMisplaced(command: Command): void {
  const [program, ...words] = command.args;
  if (program === undefined || isSeparated(command)) return;
  const guarded = command.options
    .filter(({ helpGroupHeading }) => GUARDED.has(helpGroupHeading ?? ""))
    .flatMap(({ long }) => long ?? []);
  const end = words.indexOf("--");
  const option = words.slice(0, end < 0 ? undefined : end)
    .map((word) => word.split("=", 1)[0] ?? "")
    .find((word) => guarded.includes(word));
  if (option === undefined) return;
  const verb = command.name();
  throw new SbxError(
    "USAGE",
    `Cannot ${verb} ${quote(program)}: ${option} stands behind it, where it is not read`,
    {
      hint: `write sbx ${verb} ${option} … -- COMMAND, ` +
        `or sbx ${verb} -- COMMAND … ${option} if it is the command's own`,
    },
  );
}

/** Whether a `--` stands before the command. */
export function isSeparated(command: Command): boolean {
  const { rawArgs } = rootOf(command);
  return rawArgs[rawArgs.length - command.args.length - 1] === "--";
}

function rootOf(command: Command): Command & { readonly rawArgs: readonly string[] } {
  let root = command;
  while (root.parent !== null) root = root.parent;
  return root as Command & { readonly rawArgs: readonly string[] };
}
