/**
 * `sbx cp` with `-` for an end: a tar archive on a standard stream, which tar in the sandbox makes or unpacks.
 *
 * @module
 */
import process from "node:process";
import { escapeText } from "../../base/escape.ts";
import { fileError } from "../../base/file_error.ts";
import { shellWord } from "../../base/shell_word.ts";
import { type Sandbox, type SandboxProcess, SbxError } from "../../mod.ts";
import { OK } from "../exit.ts";
import { pumpIn, pumpOut } from "../stdio.ts";
import { ui } from "../ui.ts";
import type { CopyOperands } from "./copy_operands.ts";

/** What stands for a standard stream, as docker has it; a file of that name is `./-`. */
export const STREAM = "-";

/** Of what tar complains of, so much is kept. */
const MOST_COMPLAINT = 4 << 10;

/** `user`: who unpacks, and whom it belongs to then; `closed`: the standard streams that are. */
export interface ArchiveOptions {
  readonly user?: string;
  readonly closed: ReadonlySet<number>;
  readonly signal: AbortSignal;
}

/**
 * @throws SbxError USAGE at a terminal, FILE_NOT_FOUND, FILE_NOT_DIRECTORY, FILE_UNREADABLE with what tar says, where the
 * stream fails, and without a tar
 */
export async function copyArchive(
  sandbox: Pick<Sandbox, "exec" | "fs">,
  operands: CopyOperands,
  options: ArchiveOptions,
): Promise<number> {
  requireStream(operands, options.closed);
  await requireThere(sandbox, operands, options.signal);
  const { code, signal, said } = await runTar(sandbox, operands, options).catch((cause) => {
    if (!(cause instanceof SbxError && cause.code === "EXEC_NOT_FOUND")) throw cause;
    throw failed(operands, "there is no tar in the sandbox", "copy without -, which needs none");
  });
  if (code !== OK && signal !== SIGPIPE) {
    const how = code === undefined ? `was ended by signal ${signal}` : `ended with status ${code}`;
    throw failed(operands, `tar in the sandbox ${said === "" ? how : `says ${said}`}`);
  }
  if (said !== "") ui.notice(`tar in the sandbox says ${said}`);
  return OK;
}

interface TarEnd {
  readonly code?: number | undefined;
  readonly signal?: number | undefined;
  /** What it complained of, in quotes; empty when of nothing. */
  readonly said: string;
}

async function runTar(
  sandbox: Pick<Sandbox, "exec">,
  { direction, guestPath }: CopyOperands,
  { user, signal }: ArchiveOptions,
): Promise<TarEnd> {
  const isOut = direction === "to-host";
  const child = isOut
    ? sandbox.exec("tar", packing(guestPath), { user: "root", stdin: false, signal })
    : sandbox.exec("tar", unpacking(guestPath), {
      signal,
      ...(user === undefined ? {} : { user }),
    });
  const complaint = complaintOf(child);
  complaint.catch(() => {}); // A lost guest, say: the streams below have it as well.
  if (isOut) {
    // Who reads the archive and went away has had enough, as with any program in a pipe.
    if (!await pumpOut(child.stdout, process.stdout)) child.kill(SIGPIPE);
  } else {
    await Promise.all([pumpArchive(child), child.stdout.cancel()]);
  }
  return { ...await child.exit, said: await complaint };
}

function failed({ direction, guestPath }: CopyOperands, state: string, hint?: string): SbxError {
  const what = `${direction === "to-host" ? "" : "to "}${escapeText(guestPath)}`;
  return new SbxError(
    "FILE_UNREADABLE",
    `Cannot copy ${what}: ${state}`,
    hint === undefined ? {} : { hint },
  );
}

const SIGPIPE = 13;

/** @throws SbxError FILE_UNREADABLE when our input cannot be read; tar then has what came before, and an end */
async function pumpArchive(child: SandboxProcess): Promise<void> {
  try {
    await pumpIn(process.stdin, child.stdin);
  } catch (cause) {
    throw fileError("read", "standard input", cause);
  }
}

/** Docker refuses a terminal as well: no one can read an archive, or type one. */
function requireStream(
  { direction, sandbox, guestPath }: CopyOperands,
  closed: ReadonlySet<number>,
): void {
  const isOut = direction === "to-host";
  const at = shellWord(`${sandbox}:${guestPath}`);
  const [doing, stream, number] = isOut
    ? ["print", process.stdout, 1] as const
    : ["read", process.stdin, 0] as const;
  const state = closed.has(number) ? "closed" : stream.isTTY ? "a terminal" : undefined;
  if (state === undefined) return;
  throw new SbxError(
    "USAGE",
    `Cannot ${doing} an archive: standard ${isOut ? "output" : "input"} is ${state}`,
    {
      hint: isOut
        ? `lead it to a file or a program: sbx cp ${at} - > archive.tar`
        : `lead an archive there: sbx cp - ${at} < archive.tar`,
    },
  );
}

/** Before anything is printed, which an archive of nothing is as well. */
async function requireThere(
  { fs }: Pick<Sandbox, "fs">,
  { direction, guestPath: path }: CopyOperands,
  signal: AbortSignal,
): Promise<void> {
  if (direction === "to-host") return void await fs.lstat(path, { signal });
  const { kind } = await fs.stat(path, { signal });
  if (kind === "directory") return;
  throw new SbxError("FILE_NOT_DIRECTORY", `Cannot copy to ${escapeText(path)}: a file is there`, {
    hint: "an archive is unpacked in a directory",
  });
}

/** A directory goes under its own name, what is in it without one, as in other copies; no other mount goes along. */
function packing(path: string): readonly string[] {
  let end = path.length;
  while (path[end - 1] === "/") end--;
  const whole = path.slice(0, end);
  const slash = whole.lastIndexOf("/");
  const name = whole.slice(slash + 1);
  const isContent = ["", ".", ".."].includes(name);
  const [from, what] = isContent ? [whole || "/", "."] : [whole.slice(0, slash) || "/", name];
  return ["--create", "--file=-", "--one-file-system", `--directory=${from}`, "--", what];
}

function unpacking(path: string): readonly string[] {
  return ["--extract", "--file=-", "--no-same-owner", "--same-permissions", `--directory=${path}`];
}

/**
 * The last line of what it complains of, which names what went wrong where GNU's goes on: the guest's words, which no
 * terminal obeys.
 */
async function complaintOf({ stderr }: SandboxProcess): Promise<string> {
  let text = "";
  const decoder = new TextDecoder();
  for await (const piece of stderr) {
    text = (text + decoder.decode(piece, { stream: true })).slice(-MOST_COMPLAINT);
  }
  const lines = text.split("\n").map((line) => line.replace(/^tar: /, ""));
  const line = lines.findLast((each) => each !== "" && !EPILOGUE.test(each)) ?? "";
  return line === "" ? "" : `"${escapeText(line)}"`;
}

/** What GNU tar and bsdtar say last of all failures, and what says nothing of one. */
const EPILOGUE = /^(?:Exiting with failure status|Error is not recoverable|Error exit delayed)/;
