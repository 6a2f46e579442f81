/**
 * What a path for the journal leads to. Guests choose names that stand in a journal, and an earlier
 * guest may have had the directory writable: a link that it left there must not take the lines to
 * another file, nor a file that is shared with somebody.
 *
 * @module
 */
import { closeSync, constants, fstatSync, openSync, type Stats, statSync } from "node:fs";
import process from "node:process";
import { SbxError } from "../base/errors.ts";
import { escapeText } from "../base/escape.ts";
import { fileError, systemCode } from "../base/file_error.ts";

const STANDARD = ["/dev/stdin", "/dev/stdout", "/dev/stderr"];
const DESCRIPTOR = /^\/(?:dev|proc\/self)\/fd\/([0-9]+)$/;

/**
 * The number of the descriptor that a path names instead of a file: one of the process that opens it, which the
 * user's shell opened. They are links by nature.
 */
export function descriptorOf(path: string): number | undefined {
  const standard = STANDARD.indexOf(path);
  if (standard >= 0) return standard;
  const [, number] = DESCRIPTOR.exec(path) ?? [];
  return number === undefined ? undefined : Number(number);
}

/** Whether a path names a descriptor instead of a file. */
export function isDescriptor(path: string): boolean {
  return descriptorOf(path) !== undefined;
}

/** Whether the path is, or would be, that of a file, in which lines stay. */
export function isFile(path: string): boolean {
  if (isDescriptor(path)) return false;
  try {
    const stat = statSync(path);
    return !stat.isFIFO() && !stat.isCharacterDevice();
  } catch {
    return true; // opening it will say what is wrong with it
  }
}

/**
 * Opens for appending, or creates, private to the user.
 *
 * @throws SbxError FILE_UNREADABLE
 */
export function openTarget(path: string): number {
  try {
    const fd = openOrCreate(path);
    try {
      if (!isDescriptor(path)) requireOwn(path, fstatSync(fd));
      return fd;
    } catch (error) {
      closeSync(fd);
      throw error;
    }
  } catch (cause) {
    if (cause instanceof SbxError) throw cause;
    if (systemCode(cause) === "ELOOP") {
      throw refused(path, "it is a symbolic link", "give --log the file that it leads to");
    }
    throw fileError(
      "write the journal",
      path,
      cause,
      "give --log a file in a directory you can write",
    );
  }
}

function openOrCreate(path: string): number {
  // Without O_NONBLOCK a named pipe that nobody reads would hang the start.
  const { O_WRONLY, O_APPEND, O_CREAT, O_EXCL, O_NONBLOCK, O_NOCTTY, O_NOFOLLOW } = constants;
  const flags = O_WRONLY | O_APPEND | O_NONBLOCK | O_NOCTTY;
  if (isDescriptor(path)) return openSync(path, flags);
  for (let again = true;; again = false) {
    try {
      return openSync(path, flags | O_NOFOLLOW);
    } catch (error) {
      if (systemCode(error) !== "ENOENT") throw error;
    }
    try {
      return openSync(path, flags | O_CREAT | O_EXCL, 0o600);
    } catch (error) {
      // Somebody else made it in between, perhaps another sbx.
      if (systemCode(error) !== "EEXIST" || !again) throw error;
    }
  }
}

/** A regular file or a pipe of the user's own; a device has no content that could be spoilt. */
function requireOwn(path: string, stat: Stats): void {
  if (stat.isCharacterDevice()) return;
  if (!stat.isFile() && !stat.isFIFO()) throw refused(path, "it is no file", OTHER);
  const own = process.geteuid?.();
  if (own !== undefined && stat.uid !== own) {
    throw refused(path, `it belongs to user ${stat.uid}`, OTHER);
  }
  if (stat.isFile() && stat.nlink > 1) throw refused(path, "it has other names, too", OTHER);
}

const OTHER = "give --log a file of your own, or one that does not exist yet";

function refused(path: string, state: string, hint: string): SbxError {
  return new SbxError("FILE_UNREADABLE", `Cannot write the journal ${escapeText(path)}: ${state}`, {
    hint,
  });
}
