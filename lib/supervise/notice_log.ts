/**
 * What a supervisor would have told a person, had one been there. The guest has a hand in how much that is,
 * so a file that is full takes the place of the one before it.
 *
 * @module
 */
import { appendFileSync, renameSync, statSync } from "node:fs";
import { escapeMessage } from "../base/escape.ts";
import { systemCode } from "../base/file_error.ts";

const LARGEST = 2 << 20;

export class NoticeLog {
  readonly #path: string;
  #size: number;

  constructor(path: string) {
    this.#path = path;
    this.#size = statSync(path, { throwIfNoEntry: false })?.size ?? 0;
  }

  /** One line, fit for a terminal, on which the file will be read. */
  write(line: string): void {
    const text = `${new Date().toISOString()} ${escapeMessage(line)}\n`;
    try {
      if (this.#size > LARGEST) {
        renameSync(this.#path, `${this.#path}.older`);
        this.#size = 0;
      }
      appendFileSync(this.#path, text, { mode: 0o600 });
      this.#size += text.length;
    } catch (cause) {
      if (systemCode(cause) === undefined) throw cause; // a full disk is no reason to end
    }
  }
}
