/**
 * The commands as commander declares them: to parse a command line, to complete one, and to write the
 * manual.
 *
 * @module
 */
import { Command, Option } from "commander";
import { type CommandEntry, type CommandModule, setDefault } from "./command.ts";
import { COMMANDS } from "./commands.ts";
import { STATUSES } from "./exit.ts";
import { ui } from "./ui.ts";

/**
 * The tree. Of the commands that are not wanted there is the summary alone, which is what the help of
 * others needs: their modules are not loaded.
 */
export async function commandTree(
  isWanted: (path: readonly string[]) => boolean,
  act: (command: Command, module: CommandModule) => Promise<void>,
): Promise<Command> {
  const root = program("sbx", "Run commands in a virtual machine, and decide every flow it opens.");
  root.option("-V, --version", "print the versions of sbx and its components");
  root.option("-q, --quiet", "print nothing but what is asked for, and errors");
  await add(root, COMMANDS, []);
  root.addHelpText("after", `\nEach command explains itself: sbx run --help\n\n${STATUSES}`);
  return root;

  async function add(
    parent: Command,
    entries: readonly CommandEntry[],
    above: readonly string[],
  ): Promise<void> {
    for (const entry of entries) {
      const path = [...above, entry.name];
      const command = program(entry.name, entry.summary);
      command.summary(entry.summary);
      const isDefault = entry.isDefault === true;
      parent.addCommand(command, { hidden: entry.isHidden === true, isDefault });
      if (isDefault) setDefault(parent, command);
      if ("commands" in entry) {
        await add(command, entry.commands, path);
      } else if (isWanted(path) || (isDefault && isWanted(above))) {
        const module = await entry.load();
        module.declare(command);
        takeFormat(command);
        refuseSeparators(command);
        command.action(() => act(command, module));
      }
    }
  }
}

/** All commands, to be looked at and not to be run. */
export function wholeTree(): Promise<Command> {
  return commandTree(() => true, () => Promise.resolve());
}

/** What prints JSON when asked to with `--json` takes `--format json`, too, as other tools spell it. */
function takeFormat(command: Command): void {
  if (!command.options.some(({ long }) => long === "--json")) return;
  command.addOption(new Option("--format <format>").choices(["json", "text"]).hideHelp());
  command.on("option:format", (format) => {
    if (format === "json") command.setOptionValue("json", true);
  });
}

/**
 * Commander gives an option whatever stands behind it: in `sbx run --log -- curl --policy none` the two dashes, and
 * nobody would know any more where the command begins.
 */
function refuseSeparators(command: Command): void {
  for (const option of command.options.filter(({ required }) => required)) {
    command.on(`option:${option.name()}`, (value: string) => {
      if (value === "--") command.error(`error: option '${option.flags}' argument missing`);
    });
  }
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
