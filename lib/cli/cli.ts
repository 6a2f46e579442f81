/**
 * From arguments to an exit status. Commander parses and knows the near misses; the modules named
 * in `commands.ts` work; `ui.ts` prints.
 *
 * @module
 */
import { Command, CommanderError } from "commander";
import { SbxError } from "../base/errors.ts";
import type { CommandEntry, CommandModule } from "./command.ts";
import { COMMANDS } from "./commands.ts";
import { FAILED, OK, statusOf, USAGE } from "./exit.ts";
import { ui } from "./ui.ts";

/** Runs one command line, without the program's name; resolves to the exit status. Never rejects. */
export async function main(argv: readonly string[]): Promise<number> {
  try {
    const status = await dispatch(spelledOut(argv));
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

async function dispatch(argv: readonly string[]): Promise<number> {
  const outcome = { status: OK };
  const root = program("sbx", "Run commands in a virtual machine, and decide every flow it opens.");
  root.option("-V, --version", "print the versions of sbx and its components");
  await grow(root, COMMANDS, argv, outcome);
  root.addHelpText("after", "\nEach command explains itself: sbx run --help");
  try {
    await root.parseAsync(argv, { from: "user" });
  } catch (error) {
    if (!(error instanceof CommanderError) || error.code !== "commander.helpDisplayed") throw error;
  }
  return outcome.status;
}

/**
 * Adds the entries below `parent`. Only the one that `argv` names is loaded; of the others the help
 * needs no more than the summary.
 */
async function grow(
  parent: Command,
  entries: readonly CommandEntry[],
  argv: readonly string[],
  outcome: { status: number },
): Promise<void> {
  for (const entry of entries) {
    const command = program(entry.name, entry.summary);
    command.summary(entry.summary);
    parent.addCommand(command);
    if ("commands" in entry) {
      await grow(command, entry.commands, argv[0] === entry.name ? argv.slice(1) : [], outcome);
    } else if (argv[0] === entry.name) {
      attach(command, await entry.load(), outcome);
    }
  }
}

function attach(command: Command, module: CommandModule, outcome: { status: number }): void {
  module.declare(command);
  command.action(async () => {
    outcome.status = await module.run(command);
  });
}

function program(name: string, description: string): Command {
  return new Command(name)
    .description(description)
    .enablePositionalOptions()
    .exitOverride()
    .helpOption("-h, --help", "show this help")
    .helpCommand(false)
    .configureOutput({
      writeOut: (text) => ui.out(text),
      writeErr: () => {},
      outputError: () => {},
    })
    .configureHelp({ sortOptions: false, subcommandTerm: (command) => command.name() });
}

/** Other tools' ways to ask for a version or help, as this one's. */
function spelledOut(argv: readonly string[]): readonly string[] {
  const [first, ...rest] = argv;
  if (first === "--version" || first === "-V") return ["version"];
  return first === "help" ? [...rest, "--help"] : argv;
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
  ui.error({
    message: `internal error: ${error instanceof Error ? error.message : String(error)}`,
    hint: "this is a fault of sbx: please report it with the command line and `sbx version`",
  });
  return FAILED;
}

/** Commander's two lines, "error: …" and "(Did you mean …?)", in the words of sbx. */
function usageError(error: CommanderError, argv: readonly string[]): SbxError {
  const named = COMMANDS.find((entry) => entry.name === argv[0])?.name;
  const help = named === undefined ? "see `sbx --help`" : `see \`sbx ${named} --help\``;
  if (error.code === "commander.help") {
    return new SbxError(
      "USAGE",
      named === undefined ? "no command given" : `no ${named} command given`,
      { hint: help },
    );
  }
  const [first = "", second = ""] = error.message.split("\n");
  const near = /^\(Did you mean (.*)\?\)$/.exec(second)?.[1];
  return new SbxError("USAGE", first.replace(/^error: /, ""), {
    hint: near === undefined ? help : `did you mean ${near}?`,
  });
}
