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
 * - What a guest, a server or a file supplied was escaped and cut by whoever made the line; what is
 *   still not fit for a terminal is escaped here.
 * - `--quiet` silences notices, never errors.
 * - What may take more than a second says what it is, on a terminal, for as long as it takes.
 *
 * @module
 */
import process from "node:process";
import { styleText } from "node:util";
import { inSentence, type SbxError } from "../base/errors.ts";
import { escapeLine, escapeMessage } from "../base/escape.ts";
import { fileError, systemCode } from "../base/file_error.ts";
import { Progress } from "./progress.ts";
import { delivered } from "./stdio.ts";
import { unblockedOutput } from "./terminal_output.ts";

type Style = Parameters<typeof styleText>[0];

class Ui {
  #quiet = false;
  /** A terminal in raw mode does not return the carriage on its own. */
  #newline = "\n";
  #outFailure: Error | undefined;
  #isClosed = false;
  #progress: Progress | undefined;
  /** Resolves when what was printed last is gone. An empty write, which Bun calls back for at once, tells nothing. */
  #printed: Promise<void> = Promise.resolve();
  /** Where the command's own standard error goes as well, so that lines keep their order. */
  readonly stderr = unblockedOutput(process.stderr);

  constructor() {
    process.stdout.on("error", (error) => this.#outFailure ??= error);
    // Nobody is left to tell.
    this.stderr.on("error", () => {});
  }

  /** Says that there is no standard output, whatever the runtime has put in its place. */
  withoutOutput(): void {
    this.#isClosed = true;
  }

  /** Silences notices from here on. */
  quiet(): void {
    this.#quiet = true;
  }

  get isQuiet(): boolean {
    return this.#quiet;
  }

  /** Says whether the terminal is in raw mode from here on. */
  raw(on: boolean): void {
    this.#newline = on ? "\r\n" : "\n";
  }

  /** Whether nobody reads standard output any more. */
  get unread(): boolean {
    return this.#outFailure !== undefined;
  }

  /** Text for standard output, printed as it is. */
  out(text: string): void {
    this.#print(text);
  }

  /** One line of an answer, parts of which can be text of others. */
  line(text: string): void {
    this.#print(`${escapeMessage(text)}\n`);
  }

  /** The same for what is no text. */
  bytes(bytes: Uint8Array): void {
    this.#print(bytes);
  }

  /** Lines of a text that others made and that somebody reads to judge it: all of it, and nothing that a terminal obeys. */
  text(text: string): void {
    for (const line of text.trimEnd().split("\n")) this.#print(`${escapeLine(line)}\n`);
  }

  /** A line of progress or information that `--quiet` leaves out. */
  notice(line: string): void {
    if (!this.#quiet) this.#err(`${this.#paint("dim", "sbx:")} ${escapeMessage(line)}`);
  }

  /** A line that somebody asked to see, `--quiet` or not. */
  asked(line: string): void {
    this.#err(`${this.#paint("dim", "sbx:")} ${escapeMessage(line)}`);
  }

  error(error: Pick<SbxError, "message" | "hint"> & Partial<Pick<SbxError, "others">>): void {
    for (const { message, hint } of [error, ...error.others ?? []]) {
      this.#err(`${this.#paint("red", "sbx:")} ${escapeMessage(inSentence({ message }))}`);
      if (hint !== undefined) this.#err(`${this.#paint("bold", "hint:")} ${escapeMessage(hint)}`);
    }
  }

  /** Resolves as `work` does, and says meanwhile what it is, where somebody looks on. */
  async during<T>(what: string, work: Promise<T>): Promise<T> {
    if (this.#quiet || process.stderr.isTTY !== true || process.env["TERM"] === "dumb") {
      return await work;
    }
    const progress = new Progress(escapeMessage(what), {
      write: (text) => void this.stderr.write(text),
      columns: () => process.stderr.columns || 80,
    });
    this.#progress = progress;
    try {
      return await work;
    } finally {
      progress.end();
      this.#progress = undefined;
    }
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
    await Promise.all([this.#printed, delivered(this.stderr)]);
    await delivered(process.stdout);
    if (this.#outFailure !== undefined && systemCode(this.#outFailure) !== "EPIPE") {
      throw fileError("write", "standard output", this.#outFailure);
    }
  }

  #print(content: string | Uint8Array): void {
    this.#progress?.hide();
    // What stands in for a closed stream takes everything, and nobody gets it.
    if (this.#isClosed) this.#outFailure ??= Object.assign(new Error(), { code: "EBADF" });
    else if (content.length > 0 && !process.stdout.destroyed) {
      this.#printed = new Promise((resolve) => process.stdout.write(content, () => resolve()));
    }
  }

  #err(line: string): void {
    this.#progress?.hide();
    this.stderr.write(line + this.#newline);
  }

  #paint(style: Style, text: string): string {
    return styleText(style, text, { stream: process.stderr });
  }
}

/** The one printer of this process. */
export const ui = new Ui();
