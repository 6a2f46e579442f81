/**
 * From arguments to an exit status. Commander parses and knows the near misses; the modules named
 * in `commands.ts` work; `ui.ts` prints.
 *
 * @module
 */
import process from "node:process";
import { type Command, CommanderError } from "commander";
import { SbxError } from "../base/errors.ts";
import { systemCode, systemWords } from "../base/file_error.ts";
import { nearest } from "../base/nearest.ts";
import type { CommandHost, CommandModule } from "./command.ts";
import { commandTree } from "./command_tree.ts";
import { COMMANDS, COMPLETE } from "./commands.ts";
import { FAILED, OK, statusOf, USAGE } from "./exit.ts";
import { commandHabit } from "./command_habits.ts";
import { optionHabit } from "./option_habits.ts";
import { traceAsked } from "./tracing.ts";
import { ui } from "./ui.ts";

/** Runs one command line, without the program's name; resolves to the exit status. Never rejects. */
export async function main(argv: readonly string[], host: CommandHost): Promise<number> {
  try {
    traceAsked(process.env.SBX_TRACE);
    if (host.closedStreams.has(1)) ui.withoutOutput();
    const named = argv.findIndex((word) => word !== "-q" && word !== "--quiet");
    if (named > 0) ui.quiet();
    const status = await dispatch(argv.slice(Math.max(0, named)), host);
    await ui.flush();
    return status;
  } catch (error) {
    return report(error, argv);
  }
}

/** The status for a failure that nothing above caught, after saying so in one line. */
export function fault(error: unknown): number {
  return report(error, []);
}

async function dispatch(given: readonly string[], host: CommandHost): Promise<number> {
  const argv = normalised(given);
  let status = OK;
  const act = async (command: Command, module: CommandModule) => {
    status = await module.run(command, host);
  };
  const isNamed = (path: readonly string[]) => path.every((word, index) => argv[index] === word);
  const root = await commandTree(argv[0] === COMPLETE ? () => true : isNamed, act);
  if (given[0] === "help" && await showedManual(root, given.slice(1))) return OK;
  try {
    await root.parseAsync(argv, { from: "user" });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.code === "commander.help") groupOf(root, argv).outputHelp();
    else if (error.code !== "commander.helpDisplayed") throw error;
  }
  return status;
}

/** False where `--help` has to answer. */
async function showedManual(root: Command, path: readonly string[]): Promise<boolean> {
  const command = path.reduce<Command | undefined>(
    (above, word) => above?.commands.find((each) => each.name() === word),
    root,
  );
  if (command === undefined) return false;
  const { openManual } = await import("./help.ts");
  return openManual(command);
}

/** The group of commands that was named without one of them. */
function groupOf(root: Command, argv: readonly string[]): Command {
  return root.commands.find((command) => argv.includes(command.name())) ?? root;
}

/** Other tools' ways to ask for a version or help, as this one's. */
function normalised(argv: readonly string[]): readonly string[] {
  const [first, ...rest] = argv;
  if (first === "--version" || first === "-V") return ["version"];
  if (first !== "help") return argv;
  const [about = "--help"] = rest;
  if (about === "help") return ["--help"];
  const isThere = about.startsWith("-") || COMMANDS.some(({ name }) => name === about);
  return isThere ? [...rest, "--help"] : rest;
}

function report(error: unknown, argv: readonly string[]): number {
  if (error instanceof CommanderError) {
    ui.error(usageError(error, argv));
    return USAGE;
  }
  if (error instanceof SbxError) {
    ui.error(error);
    return statusOf(error);
  }
  const code = systemCode(error);
  if (code === "EMFILE" || code === "ENFILE") {
    ui.error({ message: `Cannot go on: ${systemWords(error)}`, hint: "see 'ulimit -n'" });
    return FAILED;
  }
  ui.error({
    message: `internal error: ${error instanceof Error ? error.message : String(error)}`,
    hint:
      "this is a fault of sbx: please report it with the command line and 'sbx doctor --report'",
  });
  return FAILED;
}

/** Commander's two lines, "error: …" and "(Did you mean …?)", in the words of sbx. */
function usageError(error: CommanderError, argv: readonly string[]): SbxError {
  const named = COMMANDS.find((entry) => entry.name === argv[0])?.name;
  const help = named === undefined ? "see 'sbx --help'" : `see 'sbx ${named} --help'`;
  const [first = "", second = ""] = error.message.split("\n");
  const near = suggestion(error, first, second);
  // A value may be secret, and is not what was mistyped.
  const said = /^error: (unknown option '-[^=]*)=[^]*'$/.exec(first)?.[1];
  const message = said === undefined ? first.replace(/^error: /, "") : `${said}'`;
  const option = /^error: unknown option '(-[^=']*)/.exec(first)?.[1];
  const unknown = /^error: unknown command '(.*)'$/.exec(first)?.[1];
  const habit = named === undefined && unknown !== undefined
    ? commandHabit(unknown)
    : named !== undefined && option !== undefined
    ? optionHabit(named, option)
    : undefined;
  return new SbxError("USAGE", message, {
    hint: habit ?? (near === undefined ? help : `did you mean ${near}?`),
  });
}

/** What commander found near, unless it is further away than a slip of the finger. */
function suggestion(error: CommanderError, first: string, second: string): string | undefined {
  const near = /^\(Did you mean (.*)\?\)$/.exec(second)?.[1];
  if (near === undefined || error.code !== "commander.unknownOption") return near;
  const typed = /'(-[^=']*)/.exec(first)?.[1] ?? "";
  return nearest(typed, near.replace(/^one of /, "").split(", "), 2) ?? undefined;
}
