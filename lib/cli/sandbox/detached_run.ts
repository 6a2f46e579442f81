/**
 * `sbx run -d`: a command whose sandbox outlives this one.
 *
 * @module
 */
import { SbxError } from "../../mod.ts";
import type { CommandHost } from "../command.ts";
import { OK } from "../exit.ts";
import type { RunFlags } from "../run_flags.ts";
import { sandboxOf } from "../run_setup.ts";
import { unlessSignalled } from "../given_up.ts";
import { startNotice } from "../start_notice.ts";
import { ui } from "../ui.ts";

/** Prints the name of the sandbox once its command runs. */
export async function runDetached(
  argv: readonly string[],
  flags: RunFlags,
  host: CommandHost,
): Promise<number> {
  const builder = await sandboxOf(flags, host, argv[0]);
  return await unlessSignalled(async (signal) => {
    const starting = builder.createDetached({
      ...lifeOf(flags),
      main: { argv, tty: flags.tty === true, stdin: flags.interactive === true },
      signal,
      onNotice: startNotice(flags.notices),
    });
    await using sandbox = await ui.during("starting the guest", starting);
    ui.line(sandbox.name);
    return OK;
  });
}

/** How the sandbox lives, as the options say. */
export function lifeOf({ rm, restart, idleTimeout }: RunFlags) {
  return {
    remove: rm === true,
    ...(restart === undefined ? {} : { restart }),
    ...(idleTimeout === undefined ? {} : { idleTimeoutMs: idleTimeout }),
  };
}

/** @throws SbxError USAGE for options that mean something with `-d` only */
export function refuseUndetached({ restart, idleTimeout, savable }: RunFlags): void {
  const option = restart !== undefined
    ? "--restart"
    : idleTimeout !== undefined
    ? "--idle-timeout"
    : savable
    ? "--savable"
    : undefined;
  if (option === undefined) return;
  throw new SbxError("USAGE", `Cannot use ${option} without -d: the guest ends with this command`, {
    hint: `add -d, and the sandbox is left running: see sbx ls`,
  });
}
