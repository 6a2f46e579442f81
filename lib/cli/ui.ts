/**
 * The only file that prints. Its rules:
 *
 * - Standard output carries what was asked for and nothing else: the command's own bytes, or the
 *   answer of an asking command (`policy show`, `version`, `--help`).
 * - Everything else goes to standard error, one line each, after `sbx: `. Lines begin in lower case
 *   and have no full stop.
 * - A failure is one line that says what could not be done and why, and at most one `hint:` line
 *   that says what to do. There are no stack traces.
 * - Colour only underlines what the words already say; NO_COLOR and pipes turn it off.
 * - What a guest, a server or a file supplied was escaped by whoever made the line.
 * - `--quiet` silences notices, never errors.
 *
 * @module
 */
import process from "node:process";
import { styleText } from "node:util";
import type { SbxError } from "../base/errors.ts";
import { fileError, systemCode } from "../base/file_error.ts";
import { delivered } from "./stdio.ts";

type Style = Parameters<typeof styleText>[0];

export class Ui {
  #quiet = false;
  /** A terminal in raw mode does not return the carriage on its own. */
  #newline = "\n";
  #outFailure: Error | undefined;

  constructor() {
    process.stdout.on("error", (error) => this.#outFailure ??= error);
    // Nobody is left to tell.
    process.stderr.on("error", () => {});
  }

  /** Silences notices from here on. */
  quiet(): void {
    this.#quiet = true;
  }

  /** Says whether the terminal is in raw mode from here on. */
  raw(on: boolean): void {
    this.#newline = on ? "\r\n" : "\n";
  }

  /** Text for standard output, printed as it is. */
  out(text: string): void {
    process.stdout.write(text);
  }

  /** The same for what is no text. */
  bytes(bytes: Uint8Array): void {
    process.stdout.write(bytes);
  }

  /** A line of progress or information that `--quiet` leaves out. */
  notice(line: string): void {
    if (!this.#quiet) this.#err(`${this.#paint("dim", "sbx:")} ${line}`);
  }

  error(error: Pick<SbxError, "message" | "hint">): void {
    this.#err(`${this.#paint("red", "sbx:")} ${lowerFirst(error.message)}`);
    if (error.hint !== undefined) this.#err(`${this.#paint("bold", "hint:")} ${error.hint}`);
  }

  /** `good`, `bad` and `odd` in colour where standard output is a terminal. */
  mark(kind: "good" | "bad" | "odd", text: string): string {
    const style = { good: "green", bad: "red", odd: "yellow" } as const;
    return styleText(style[kind], text, { stream: process.stdout });
  }

  /**
   * Resolves when everything printed so far has left this process.
   *
   * @throws SbxError FILE_UNREADABLE when standard output could not be written; a reader that went
   * away (`sbx policy schema | head`) has what it wanted
   */
  async flush(): Promise<void> {
    await Promise.all([delivered(process.stdout), delivered(process.stderr)]);
    if (this.#outFailure !== undefined && systemCode(this.#outFailure) !== "EPIPE") {
      throw fileError("write", "standard output", this.#outFailure);
    }
  }

  #err(line: string): void {
    process.stderr.write(line + this.#newline);
  }

  #paint(style: Style, text: string): string {
    return styleText(style, text, { stream: process.stderr });
  }
}

/** The one printer of this process. */
export const ui = new Ui();

function lowerFirst(text: string): string {
  // Only the verb of "Cannot …" is ours to bend; names and paths keep their case.
  return text.startsWith("Cannot ") ? `cannot ${text.slice(7)}` : text;
}
