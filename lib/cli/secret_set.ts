/**
 * `sbx secret set`: a value is kept for sandboxes to come.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import type { Command } from "commander";
import { Option } from "commander";
import process from "node:process";
import { systemWords } from "../base/file_error.ts";
import { escapeMessage } from "../base/escape.ts";
import { type KeptIn, SbxError, SecretStore } from "../mod.ts";
import { type CommandHost, examples } from "./command.ts";
import { OK } from "./exit.ts";
import { readTypedLine } from "./typed_line.ts";
import { ui } from "./ui.ts";

/** Far more than a value; more than that is none. */
const MAX_INPUT = 64 << 10;

export function declare(command: Command): void {
  command
    .argument("<name>", "what it is called: keychain:NAME reads it")
    .argument("[value...]", "never: the value is typed, or comes from standard input")
    // A value can begin with a dash.
    .allowUnknownOption()
    .addOption(
      new Option("--in <place>", "keychain, or file where you want no other; else what is there")
        .choices(["keychain", "file"]),
    )
    .option("-q, --quiet", "print nothing but errors");
  examples(command, [
    ["sbx secret set GITHUB_TOKEN", "type the value, which is not shown"],
    ["gh auth token | sbx secret set GITHUB_TOKEN", "the value that another program prints"],
    ["sbx run --secret GITHUB_TOKEN=keychain:GITHUB_TOKEN@api.github.com -- ./agent", "use it"],
  ]);
}

interface Flags {
  readonly in?: KeptIn;
  readonly quiet?: true;
}

export async function run(command: Command, host: CommandHost): Promise<number> {
  const flags = command.opts<Flags>();
  if (flags.quiet) ui.quiet();
  const [name = "", ...rest] = command.args;
  if (rest.length > 0 || name.includes("=")) throw inline();
  await SecretStore.requireName(name);
  const value = await readValue(name, host);
  const stored = await SecretStore.set(
    name,
    value,
    flags.in === undefined ? {} : { keptIn: flags.in },
  );
  const { keptIn, path, fallback } = stored;
  const why = fallback === undefined ? "" : `, as there is no keychain here (${fallback})`;
  ui.notice(
    keptIn === "keychain"
      ? `${name} is kept in the keychain`
      : `${name} is kept unencrypted in ${
        escapeMessage(path)
      }, which this user alone can read${why}`,
  );
  ui.notice(`sandboxes get it with --secret ${name}=keychain:${name}@HOST`);
  return OK;
}

/** Options stand in front of it as well, so nothing of what was written is repeated. */
function inline(): SbxError {
  return new SbxError(
    "USAGE",
    "Cannot take a value from the command line: everybody's list of processes shows it, and the " +
      "history of the shell keeps it",
    { hint: "give the name alone, and type the value or pass it by standard input" },
  );
}

async function readValue(name: string, { closedStreams }: CommandHost): Promise<string> {
  if (closedStreams.has(0)) throw unreadable("it is closed");
  if (process.stdin.isTTY) {
    const words = `type the value of ${name}, which is not shown, and end it with Enter`;
    return await readTypedLine(() => ui.notice(words));
  }
  const pieces: Buffer[] = [];
  let size = 0;
  try {
    for await (const piece of process.stdin) {
      pieces.push(piece);
      size += piece.length;
      if (size > MAX_INPUT) throw unreadable("it is longer than a value");
    }
    return new TextDecoder("utf-8", { fatal: true }).decode(Buffer.concat(pieces))
      .replace(/\r?\n$/, "");
  } catch (cause) {
    if (cause instanceof SbxError) throw cause;
    throw unreadable(cause instanceof TypeError ? "it is no text" : systemWords(cause));
  }
}

function unreadable(state: string): SbxError {
  return new SbxError("FILE_UNREADABLE", `Cannot read the value from standard input: ${state}`);
}
