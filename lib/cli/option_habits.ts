/**
 * Options that container tools have for commands of the same name and that these do not have, and what to use here.
 *
 * @module
 */
import { firstOption, habitHint, KEYS, PRIVILEGED } from "./habits.ts";

const ARCHIVE = "leave it out: modes, times and links are kept";
const PICK = "pick it out with jq: sbx inspect NAME | jq -r .status";
const STARTED = "leave it out, and attach afterwards: sbx attach NAME";
const STOPPED = "'sbx stop' sends SIGTERM; another: sbx kill --signal INT NAME";

const TABLE: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  attach: { "--detach-keys": KEYS },
  cp: { "-a": ARCHIVE, "--archive": ARCHIVE },
  exec: {
    "--detach-keys": KEYS,
    "--privileged": PRIVILEGED,
  },
  inspect: {
    "-f": PICK,
    "--format": PICK,
    "--type": "leave it out: a name is always a sandbox's",
  },
  logs: { "--details": "leave it out: a line has no more than its time, with --timestamps" },
  ls: { "--no-trunc": "whole commands are in 'sbx ls --json'" },
  rm: {
    "-v": "leave it out: the disk of a sandbox goes with it",
    "--volumes": "leave it out: the disk of a sandbox goes with it",
    "-l": "guests do not see each other: there is no link to remove",
    "--link": "guests do not see each other: there is no link to remove",
  },
  start: { "-a": STARTED, "--attach": STARTED, "-i": STARTED, "--interactive": STARTED },
  stats: {
    "-a": "leave it out: a sandbox that does not run uses nothing",
    "--all": "leave it out: a sandbox that does not run uses nothing",
    "--no-stream": "leave it out: it prints once",
  },
  stop: { "-s": STOPPED, "--signal": STOPPED, "--timeout": "write --time" },
};

/** What to use in place of an option that a command does not have; undefined for a slip of the finger. */
export function optionHabit(command: string, option: string): string | undefined {
  if (command === "run" || command === "create") return habitHint(option);
  const own = Object.hasOwn(TABLE, command) ? TABLE[command] ?? {} : {};
  const name = firstOption(option);
  return Object.hasOwn(own, name) ? own[name] : undefined;
}

/** The options that are known here by their commands, for a test of all. */
export const OPTION_HABITS: readonly (readonly [command: string, option: string])[] = Object
  .entries(TABLE).flatMap(([command, options]) =>
    Object.keys(options).map((option) => [command, option] as const)
  );
