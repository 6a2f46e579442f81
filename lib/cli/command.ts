/**
 * What a command is. Each one lives in a file of its own that is loaded when it is named, so that
 * `sbx version` does not pay for `sbx run`.
 *
 * @module
 */
import type { Command } from "commander";

/** What commands need of the runtime; main.ts has it. */
export interface CommandHost {
  /** The variables that this process was started with, as no UTF-8 decoder has spoilt them. */
  readonly environment: () => Readonly<Record<string, string | undefined>>;
  /** The standard streams that this process was started without, as by `>&-`. */
  readonly closedStreams: ReadonlySet<0 | 1 | 2>;
}

export interface CommandModule {
  /** Adds arguments, options and examples. */
  declare(command: Command): void;
  /** Does the work; `command` holds what was parsed. Resolves to the exit status. */
  run(command: Command, host: CommandHost): Promise<number>;
}

/** A node of the command tree: a command, or a group of commands. */
export type CommandEntry =
  & {
    readonly name: string;
    readonly summary: string;
    /** Not for people: named by no help, no completion and no manual. */
    readonly isHidden?: true;
    /** The one that its group means when none is named. */
    readonly isDefault?: true;
  }
  & (
    | { readonly load: () => Promise<CommandModule> }
    | { readonly commands: readonly CommandEntry[] }
  );

const DEFAULTS = new WeakMap<Command, Command>();

export function setDefault(group: Command, command: Command): void {
  DEFAULTS.set(group, command);
}

/** The command that a group means when none is named. */
export function defaultOf(group: Command): Command | undefined {
  return DEFAULTS.get(group);
}

/** A command line and what it does. */
export type Example = readonly [line: string, meaning: string];

const EXAMPLES = new WeakMap<Command, readonly Example[]>();

/** The examples under `--help`, and in the manual. */
export function examples(command: Command, lines: readonly Example[]): void {
  EXAMPLES.set(command, lines);
  const text = lines.map(([line, what]) => `  # ${what}\n  $ ${line}`).join("\n");
  command.addHelpText("after", `\nExamples:\n${text}`);
}

export function examplesOf(command: Command): readonly Example[] {
  return EXAMPLES.get(command) ?? [];
}
