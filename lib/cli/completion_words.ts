/**
 * What may stand at the end of a command line, told from the declarations of the commands.
 *
 * @module
 */
import type { Command, Option } from "commander";
import { defaultOf } from "./command.ts";
import {
  type Candidate,
  type Completion,
  operandValues,
  optionValues,
} from "./completion_values.ts";

/** How far a command line has come. */
interface Reached {
  readonly command: Command;
  readonly operands: number;
  /** The option whose value comes next. */
  readonly open?: Option;
  /** No option of ours comes any more: after `--`, or within the guest's command. */
  readonly isLiteral: boolean;
}

/** The name of the argument that is a command line of its own. */
const GUEST_COMMAND = "command";

/** `words` are those after the program's name; the last one is begun, or empty. */
export function complete(root: Command, words: readonly string[]): Completion {
  const begun = words.at(-1) ?? "";
  const start: Reached = { command: root, operands: 0, isLiteral: false };
  const { candidates, place } = offers(words.slice(0, -1).reduce(after, start), begun);
  return { candidates: candidates.filter(({ word }) => word.startsWith(begun)), place };
}

function after({ open, ...reached }: Reached, word: string): Reached {
  const { command, operands, isLiteral } = reached;
  if (open !== undefined) return reached;
  if (word === "--" && !isLiteral) return { ...reached, isLiteral: true };
  if (word.startsWith("-") && !isLiteral) {
    const option = takesNext(command, word);
    return option === undefined ? reached : { ...reached, open: option };
  }
  const below = command.commands.find((each) => each.name() === word);
  if (below !== undefined) return { command: below, operands: 0, isLiteral: false };
  const meant = defaultOf(command);
  if (meant !== undefined) return after({ command: meant, operands: 0, isLiteral }, word);
  return {
    command,
    operands: operands + 1,
    isLiteral: isLiteral || argumentAt(command, operands)?.name() === GUEST_COMMAND,
  };
}

/** The option of a word whose value is the next word; `-qm` is `-q` and `-m`. */
function takesNext(command: Command, word: string): Option | undefined {
  if (word.startsWith("--")) return command.options.find((each) => needsValue(each, word));
  for (let at = 1; at < word.length; at++) {
    const option = command.options.find(({ short }) => short === `-${word[at]}`);
    if (option?.required) return at === word.length - 1 ? option : undefined;
  }
  return undefined;
}

function needsValue({ required, long }: Option, word: string): boolean {
  return required && long === word;
}

function argumentAt({ registeredArguments }: Command, index: number) {
  const last = registeredArguments.at(-1);
  return registeredArguments[index] ?? (last?.variadic ? last : undefined);
}

function offers({ command, operands, open, isLiteral }: Reached, begun: string): Completion {
  if (open !== undefined) return optionValues(open, begun);
  if (begun.startsWith("-") && !isLiteral) {
    const [name = "", value] = begun.split(/=(.*)/s);
    const option = command.options.find((each) => value !== undefined && needsValue(each, name));
    if (option === undefined) return { candidates: optionsOf(command), place: "nothing" };
    const { candidates, place } = optionValues(option, value ?? "");
    const attached = candidates.map((each) => ({ ...each, word: `${name}=${each.word}` }));
    return { candidates: attached, place };
  }
  if (command.commands.length > 0) {
    const below = operands > 0 ? [] : command.createHelp().visibleCommands(command);
    const candidates = below.map((each) => ({ word: each.name(), meaning: each.summary() }));
    const meant = defaultOf(command);
    if (meant === undefined) return { candidates, place: "nothing" };
    const others = offers({ command: meant, operands, isLiteral }, begun);
    return { ...others, candidates: [...candidates, ...others.candidates] };
  }
  const argument = argumentAt(command, operands);
  if (argument === undefined) return { candidates: [], place: "nothing" };
  if (argument.name() !== GUEST_COMMAND) return operandValues(argument, begun);
  const begins = operands === command.registeredArguments.indexOf(argument);
  return { candidates: [], place: begins ? "commands" : "files" };
}

function optionsOf(command: Command): readonly Candidate[] {
  return command.createHelp().visibleOptions(command).flatMap(({ short, long, description }) =>
    [long, short].flatMap((word) => word === undefined ? [] : [{ word, meaning: description }])
  );
}
