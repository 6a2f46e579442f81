/**
 * The options of a command in a sandbox that is there already.
 *
 * @module
 */
import type { Command } from "commander";
import type { ExecOptions } from "../../mod.ts";
import type { CommandHost } from "../command.ts";
import type { ConverseFlags } from "../converse.ts";
import { assignmentsOf } from "../env_file.ts";
import type { EnvironmentFlag } from "../run_flags.ts";
import { parseDuration, parseKey } from "../values.ts";

export interface ExecFlags extends ConverseFlags {
  readonly environment: readonly EnvironmentFlag[];
  readonly workdir?: string;
  readonly user?: string;
  readonly detach?: true;
  readonly interactive?: true;
}

export function declareExecFlags(command: Command): void {
  const environment: EnvironmentFlag[] = [];
  command.setOptionValue("environment", environment);
  const add = (flag: EnvironmentFlag) => {
    environment.push(flag);
    return environment;
  };
  command
    .option(
      "-e, --env <key[=value]>",
      "set a variable, or pass on this shell's",
      (text) => add({ kind: "assignment", text }),
    )
    .option(
      "--env-file <file>",
      "set the variables listed in a file",
      (path) => add({ kind: "file", path }),
    )
    .option("-w, --workdir <dir>", "directory in the guest to start in")
    .option("-u, --user <name|uid[:group]>", "run it as this user of the guest")
    .option(
      "--timeout <duration>",
      "end it after this long, with status 124",
      (text) => parseDuration("--timeout", text),
    )
    .option("-t, --tty", "give it a terminal; done anyway where input and output are one")
    .option("--no-tty", "do not")
    .option("-i, --interactive", "with -d, leave its input open; else input is always passed on")
    .option(
      "--escape-char <key>",
      "at a terminal, Enter, this key (~) and a full stop end it; ^X for Ctrl-X, or none",
      (text) => parseKey("--escape-char", text),
    );
}

/** @throws SbxError for files that cannot be read, and what is no assignment */
export async function execOptions(flags: ExecFlags, host: CommandHost): Promise<ExecOptions> {
  const env: Record<string, string> = {};
  for (const flag of flags.environment) {
    for (const [key, value] of await assignmentsOf(flag, host)) env[key] = value;
  }
  const { workdir, user, timeout } = flags;
  return {
    env,
    ...(workdir === undefined ? {} : { workdir }),
    ...(user === undefined ? {} : { user }),
    ...(timeout === undefined ? {} : { timeoutMs: timeout }),
  };
}
