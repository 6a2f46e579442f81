/**
 * Secrets that a command prints: `cmd:gh auth token`.
 *
 * @module
 */
import { SbxError } from "../base/errors.ts";
import { escapeText } from "../base/escape.ts";
import { systemWords } from "../base/file_error.ts";
import { runBounded, type RunEnd } from "./bounded_run.ts";
import { ownEnvironment } from "./own_strings.ts";
import { trustedDirectory, trustedPath } from "./trusted_path.ts";

/** Long enough for a login at the other end of the world, too short to be taken for a server's silence. */
const LIMIT_MS = 30_000;

/** Of the line that is shown of a command that failed. */
const MAX_LINE = 200;

export interface CommandContext {
  /** Directories that the guest can write to, absolute and without links. */
  readonly writable: readonly string[];
  /** The command ends with the sandbox. */
  readonly signal: AbortSignal;
  /** Takes values that are known out of a text. */
  readonly conceal: (text: string) => string;
  readonly limitMs?: number;
}

/**
 * What the command prints. It is run by `/bin/sh -c`, with this process's environment, and with nothing to read. The
 * guest has no say in it: directories that it can write to are not on its PATH, and it does not start
 * in one, where programs look for settings that name other programs.
 *
 * @throws SbxError SECRET_UNAVAILABLE, with the first line that the command said in the hint alone, as
 * messages are kept in journals
 */
export async function readCommand(
  name: string,
  command: string,
  { writable, signal, conceal, limitMs = LIMIT_MS }: CommandContext,
): Promise<string> {
  const environment = ownEnvironment();
  const end = await runBounded({
    argv: ["/bin/sh", "-c", command],
    env: { ...environment, PATH: trustedPath(environment["PATH"] ?? "", writable) },
    cwd: trustedDirectory(writable),
    limitMs,
    signal,
  });
  if (end.kind === "exited" && end.status === 0) return textOf(name, end.output);
  const words = "said" in end ? firstLine(conceal(end.said)) : "";
  throw unavailable(
    name,
    stateOf(end, limitMs),
    words === "" ? "run the command in a shell to see why" : `it said: ${words}`,
  );
}

function textOf(name: string, output: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(output);
  } catch {
    throw unavailable(name, "printed something that is no text", "let it print the value alone");
  }
}

function stateOf(end: RunEnd, limitMs: number): string {
  switch (end.kind) {
    case "exited":
      return `ended with status ${end.status}`;
    case "killed":
      return `was ended by ${end.signal}`;
    case "late":
      return `took longer than ${limitMs / 1000} s`;
    case "flood":
      return "printed more than a value";
    case "stopped":
      return "was ended with the sandbox";
    case "unstarted":
      return `did not start: ${systemWords(end.cause)}`;
  }
}

/** A first line can be all blank. */
function firstLine(said: string): string {
  const line = said.split("\n").map((one) => one.trim()).find((one) => one !== "") ?? "";
  return escapeText(line.length > MAX_LINE ? `${line.slice(0, MAX_LINE)}…` : line);
}

function unavailable(name: string, state: string, hint: string): SbxError {
  return new SbxError("SECRET_UNAVAILABLE", `Cannot read secret ${name}: its command ${state}`, {
    hint,
  });
}
