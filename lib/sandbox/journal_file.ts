/**
 * The journal as a file, a pipe, or whatever else a path leads to.
 *
 * Events of one moment leave in one write, and the next ones gather while it is under way, so that a
 * slow disk makes writes larger and not a queue of them. A reader that stops costs lines, not memory.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { closeSync, constants, openSync, write } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { fileError, systemCode } from "../base/file_error.ts";
import type { Journal, JournalEvent } from "./journal.ts";

/** Characters that may wait to be written. */
const MAX_HELD = 16 << 20;

/** A pipe that is full is tried again this often, and not for longer once the sandbox has ended. */
const RETRY_MS = 20;
const LAST_TRIES = 100;

const writeSome = promisify(write);

/**
 * Opens (creates, or appends to) the journal, private to the user when it is new.
 *
 * @throws SbxError FILE_UNREADABLE
 */
export function openJournal(path: string): Journal {
  // Without O_NONBLOCK a named pipe that nobody reads would hang the start.
  const { O_WRONLY, O_APPEND, O_CREAT, O_NONBLOCK, O_NOCTTY } = constants;
  try {
    const flags = O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK | O_NOCTTY;
    return new JournalFile(openSync(path, flags, 0o600));
  } catch (cause) {
    const hint = "give --log a file in a directory you can write";
    throw fileError("write the journal", path, cause, hint);
  }
}

class JournalFile implements Journal {
  readonly #fd: number;
  #lines: string[] = [];
  #held = 0;
  /** Lines lost that no `lost` line tells of yet, and all of them. */
  #lost = 0;
  #lostInAll = 0;
  #closing = false;
  #writing: Promise<void> | null = null;

  constructor(fd: number) {
    this.#fd = fd;
  }

  write(event: JournalEvent): void {
    if (this.#closing) return;
    if (this.#lost > 0 && this.#held < MAX_HELD / 2) {
      this.#push({ event: "lost", lines: this.#lost });
      this.#lost = 0;
    }
    if (this.#held > MAX_HELD) this.#lose(1);
    else this.#push(event);
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
    const line = JSON.stringify({ time: new Date().toISOString(), ...event });
    this.#lines.push(line);
    this.#held += line.length;
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
