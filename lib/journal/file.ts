/**
 * The journal as a file, a pipe, or whatever else a path leads to.
 *
 * Events of one moment leave in one write, and the next ones gather while it is under way, so that a
 * slow disk makes writes larger and not a queue of them. A reader that stops costs lines, not memory.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { randomBytes } from "node:crypto";
import { closeSync, fstatSync, write } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { systemCode } from "../base/file_error.ts";
import { type JournalEvent, printLine } from "./format.ts";
import type { Journal } from "./journal.ts";
import { openTarget } from "./target.ts";

/** Characters that may wait to be written. */
const MAX_HELD = 16 << 20;

/**
 * What one sandbox may put into a file. A guest decides how many lines there are, and the disk is its
 * user's: past this they are counted. A pipe has a reader, who decides.
 */
const MAX_FILE = 1 << 30;

/** A pipe that is full is tried again this often, and not for longer once the sandbox has ended. */
const RETRY_MS = 20;
const LAST_TRIES = 100;

const writeSome = promisify(write);

/**
 * Opens (creates, or appends to) the journal, private to the user when it is new.
 *
 * @throws SbxError FILE_UNREADABLE
 */
export function openJournal(path: string, maxFile: number = MAX_FILE): Journal {
  const fd = openTarget(path);
  return new JournalFile(fd, fstatSync(fd).isFile() ? maxFile : Infinity, newRun());
}

/** Two of one file are never the same: 60 bits. */
function newRun(): string {
  return randomBytes(9).toString("base64url").slice(0, 10);
}

class JournalFile implements Journal {
  readonly #fd: number;
  readonly #run: string;
  #lines: string[] = [];
  #held = 0;
  /** Lines lost that no `lost` line tells of yet, and all of them. */
  #lost = 0;
  #lostInAll = 0;
  /** Characters that the file has room for. */
  #room: number;
  #full = false;
  #closing = false;
  #writing: Promise<void> | null = null;

  constructor(fd: number, room: number, run: string) {
    this.#fd = fd;
    this.#run = run;
    this.#room = room;
  }

  write(event: JournalEvent): void {
    if (this.#closing) return;
    if (this.#full && event.event !== "end") return this.#lose(1);
    if (this.#lost > 0 && this.#held < MAX_HELD / 2) {
      this.#push({ event: "lost", lines: this.#lost });
      this.#lost = 0;
    }
    if (this.#held > MAX_HELD) this.#lose(1);
    else this.#push(event);
    if (this.#room < 0 && !this.#full) {
      this.#full = true;
      this.#push({ event: "full" });
    }
    this.#writing ??= this.#drain();
  }

  async close(): Promise<number> {
    if (!this.#closing) {
      this.#closing = true;
      await this.#writing;
      closeSync(this.#fd);
    }
    return this.#lostInAll;
  }

  #lose(lines: number): void {
    this.#lost += lines;
    this.#lostInAll += lines;
  }

  #push(event: JournalEvent): void {
    const line = printLine(new Date(), this.#run, event);
    this.#lines.push(line);
    this.#held += line.length;
    this.#room -= line.length + 1;
  }

  async #drain(): Promise<void> {
    await Promise.resolve(); // whatever else happens in this moment joins in
    while (this.#lines.length > 0) {
      const lines = this.#lines;
      const held = this.#held;
      this.#lines = [];
      if (!await this.#writeAll(Buffer.from(`${lines.join("\n")}\n`))) this.#lose(lines.length);
      this.#held -= held;
    }
    this.#writing = null;
  }

  /** False when the bytes are lost. */
  async #writeAll(bytes: Uint8Array): Promise<boolean> {
    let tries = 0;
    for (let at = 0; at < bytes.length;) {
      try {
        const { bytesWritten } = await writeSome(this.#fd, bytes, at, bytes.length - at);
        at += bytesWritten;
        tries = 0;
      } catch (error) {
        if (systemCode(error) !== "EAGAIN" || this.#closing && ++tries > LAST_TRIES) return false;
        await sleep(RETRY_MS);
      }
    }
    return true;
  }
}
