/**
 * Secrets in files: `file:/run/secrets/token`.
 *
 * @module
 */
import { type BigIntStats, constants } from "node:fs";
import { type FileHandle, open, realpath, stat } from "node:fs/promises";
import { dirname } from "node:path";
import process from "node:process";
import { SbxError } from "../base/errors.ts";
import { escapeText } from "../base/escape.ts";
import { systemWords } from "../base/file_error.ts";
import { MAX_VALUE } from "../secret/value.ts";
import { expandHome } from "./paths.ts";

/** The longest value and its line end. */
const MOST_OF_VALUE = MAX_VALUE + 2;

/** A file that is being written is looked at so many times. */
const TRIES = 5;

export interface SecretFile {
  readonly text: string;
  /** Others on this machine can read it. */
  readonly isExposed: boolean;
}

/**
 * The text of the file without the line end that it finishes with; of `most` bytes at most.
 *
 * @throws SbxError SECRET_UNAVAILABLE, also for what is no regular file, and for one that others can
 * write: who can choose what goes out could have another file's content sent
 */
export async function readSecretFile(
  name: string,
  given: string,
  most = MOST_OF_VALUE,
): Promise<SecretFile> {
  const path = expandHome(given);
  const refuse = (state: string, hint: string) =>
    new SbxError("SECRET_UNAVAILABLE", `Cannot read secret ${name}: ${escapeText(path)} ${state}`, {
      hint,
    });
  try {
    // Opening alone can do something to a device, and waits for the other end of a pipe.
    requireFile(await stat(path, { bigint: true }), refuse);
    const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      const state = await file.stat({ bigint: true });
      requireFile(state, refuse);
      requireOwn(path, state, refuse);
      await requireFixedDirectory(path, refuse);
      const bytes = await readSteady(file, most, refuse);
      return { text: textOf(bytes, refuse), isExposed: (state.mode & 0o044n) !== 0n };
    } finally {
      await file.close();
    }
  } catch (cause) {
    if (cause instanceof SbxError) throw cause;
    throw new SbxError(
      "SECRET_UNAVAILABLE",
      `Cannot read secret ${name}: ${escapeText(path)}: ${systemWords(cause)}`,
      { cause, hint: "name a file that this user can read, or another source" },
    );
  }
}

type Refuse = (state: string, hint: string) => SbxError;

function requireFile(state: BigIntStats, refuse: Refuse): void {
  if (state.isFile()) return;
  if (state.isFIFO()) {
    throw refuse("is a pipe", "a value is read for each request: write it to a file, or use cmd:");
  }
  throw refuse(
    state.isDirectory() ? "is a directory" : "is no regular file",
    "name the file that holds the value",
  );
}

function requireOwn(path: string, { uid, mode }: BigIntStats, refuse: Refuse): void {
  const own = process.geteuid?.();
  if (own !== undefined && uid !== BigInt(own) && uid !== 0n) {
    throw refuse(`belongs to user ${uid}`, `run 'chown ${own} ${escapeText(path)}', or copy it`);
  }
  if ((mode & 0o022n) === 0n) return;
  throw refuse("can be written by others", `run 'chmod go-w ${escapeText(path)}'`);
}

/** Where anybody may remove files, anybody can put another in its place. */
async function requireFixedDirectory(path: string, refuse: Refuse): Promise<void> {
  const directory = dirname(await realpath(path));
  const { mode } = await stat(directory);
  if ((mode & 0o1002) !== 0o002) return;
  throw refuse(
    "is in a directory that others can write to",
    `run 'chmod o-w ${escapeText(directory)}', or keep it elsewhere`,
  );
}

/** Until it was not changed while it was read. */
async function readSteady(file: FileHandle, most: number, refuse: Refuse): Promise<Uint8Array> {
  for (let tries = 0; tries < TRIES; tries++) {
    const before = await file.stat({ bigint: true });
    const bytes = await readStart(file, most + 1);
    const after = await file.stat({ bigint: true });
    if (before.mtimeNs !== after.mtimeNs || before.size !== after.size) continue;
    if (bytes.length > most) {
      throw refuse("holds more than a value", "name a file that holds the value alone");
    }
    return bytes;
  }
  throw refuse("is being written", "rename(2) a finished file into its place");
}

async function readStart(file: FileHandle, most: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(most);
  let size = 0;
  while (size < bytes.length) {
    const { bytesRead } = await file.read(bytes, size, bytes.length - size, size);
    if (bytesRead === 0) break;
    size += bytesRead;
  }
  return bytes.subarray(0, size);
}

function textOf(bytes: Uint8Array, refuse: Refuse): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes).replace(/\r?\n$/, "");
  } catch {
    throw refuse("is no text", "write the value as it is sent to the server");
  }
}
