/**
 * What `sbx run` does at the end with what its command changed in copies.
 *
 * @module
 */
import process from "node:process";
import { createInterface } from "node:readline/promises";
import { escapeText } from "../base/escape.ts";
import { plural } from "../base/plural.ts";
import type { startHere } from "../api/start_here.ts";
import { type Change, SbxError } from "../mod.ts";
import { FAILED, OK } from "./exit.ts";
import type { RunFlags } from "./run_flags.ts";
import { isAll, tellReport } from "./sandbox/apply.ts";
import { printPatch } from "./sandbox/diff.ts";
import { ui } from "./ui.ts";

type SandboxHere = Awaited<ReturnType<typeof startHere>>;

type TakeFlags = Pick<RunFlags, "apply" | "diff" | "includeUnsafe" | "volume" | "name">;

/** @throws SbxError USAGE for options that mean nothing without a copy */
export function refuseUncopied(flags: TakeFlags): void {
  const { apply, includeUnsafe, volume } = flags;
  const option = optionOf(flags);
  if (option === null) return;
  if (!volume.some(({ as }) => as === "copy")) {
    throw new SbxError("USAGE", `Cannot use ${option}: no directory is mounted as a copy`, {
      hint: "mount one with :copy, as in -v .:/work:copy",
    });
  }
  if (includeUnsafe && !apply) {
    throw new SbxError("USAGE", "Cannot use --include-unsafe: nothing is to be taken over", {
      hint: "add --apply",
    });
  }
}

/** @throws SbxError USAGE: the end is not waited for */
export function refuseDetached(flags: TakeFlags): void {
  const { name = "NAME" } = flags;
  const option = optionOf(flags);
  if (option === null) return;
  throw new SbxError("USAGE", `Cannot use ${option} with -d: the command's end is not waited for`, {
    hint: `see what it changed with 'sbx diff ${name}', take it over with 'sbx apply ${name}'`,
  });
}

/** What asks for changes; null for nothing. */
function optionOf({ apply, diff, includeUnsafe }: TakeFlags): string | null {
  return apply ? "--apply" : diff ? "--diff" : includeUnsafe ? "--include-unsafe" : null;
}

/** Resolves to the status that counts where the command succeeded. @throws the signal's reason */
export async function takeBack(
  sandbox: Pick<SandboxHere, "diff" | "apply">,
  status: number,
  { apply, diff, includeUnsafe }: TakeFlags,
  signal: AbortSignal,
): Promise<number> {
  if (!apply && !diff) return OK;
  let digest: string | undefined;
  let shown: readonly Change[] | undefined;
  if (diff) {
    const found = await sandbox.diff({ patch: true }, signal);
    digest = found.digest;
    shown = found.changes;
    printPatch(found.changes);
    if (found.changes.length === 0) {
      ui.notice("the command changed nothing in copies");
      return OK;
    }
  }
  if (!apply) return OK;
  if (status !== OK) {
    ui.notice("nothing is applied, as the command failed: its changes go with the guest");
    return OK;
  }
  if (shown !== undefined && !await isWanted(shown, signal)) {
    ui.notice("nothing is applied");
    return OK;
  }
  const report = await sandbox.apply({
    ...(digest === undefined ? {} : { digest }),
    ...(includeUnsafe ? { includeUnsafe } : {}),
  }, signal);
  tellReport(
    report,
    (line) => ui.notice(`applied: ${line}`),
    // The guest and its side of a conflict are gone with this command.
    { unsafe: "to take over what is unsafe as well, read it, and use --include-unsafe" },
  );
  return isAll(report) ? OK : FAILED;
}

/** Asks where somebody can answer. */
async function isWanted(changes: readonly Change[], signal: AbortSignal): Promise<boolean> {
  if (process.stdin.isTTY !== true || process.stderr.isTTY !== true) return true;
  const [first] = changes;
  const top = first === undefined ? "" : first.hostPath.slice(0, -first.path.length - 1);
  const lines = createInterface({ input: process.stdin, output: process.stderr });
  try {
    const given = Promise.withResolvers<string>();
    for (const end of ["SIGINT", "close"] as const) lines.once(end, () => given.resolve(""));
    const question = `sbx: apply ${plural(changes.length, "change")} to ${escapeText(top)}? [y/N] `;
    lines.question(question, { signal }).then(given.resolve, given.reject);
    return /^y(?:es)?$/i.test((await given.promise).trim());
  } finally {
    lines.close();
  }
}
