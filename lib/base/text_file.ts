/**
 * Text files that a user names.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { type FileHandle, open } from "node:fs/promises";
import { SbxError } from "./errors.ts";
import { escapeText } from "./escape.ts";
import { fileError } from "./file_error.ts";
import { decodeOsString } from "./os_string.ts";

/** Far more than a list of a million names; what is larger is not what was meant, or has no end. */
const MAX_MIB = 64;
const MAX_BYTES = MAX_MIB << 20;
const CHUNK = 64 << 10;

/**
 * The whole text. `doing` completes "Cannot … PATH".
 *
 * @throws SbxError FILE_UNREADABLE, also of a file that is larger than 64 MiB or has no end
 */
export async function readTextFile(doing: string, path: string): Promise<string> {
  return new TextDecoder("utf-8", { ignoreBOM: true }).decode(await readAll(doing, path));
}

/** The same of a file whose content is a system's strings: what is not UTF-8 in it is kept. */
export async function readOsTextFile(doing: string, path: string): Promise<string> {
  return decodeOsString(await readAll(doing, path));
}

async function readAll(doing: string, path: string): Promise<Uint8Array> {
  const bytes = await openAndRead(path).catch((cause) => {
    throw fileError(doing, path, cause);
  });
  if (bytes === null) {
    throw new SbxError(
      "FILE_UNREADABLE",
      `Cannot ${doing} ${escapeText(path)}: larger than ${MAX_MIB} MiB`,
    );
  }
  return bytes;
}

async function openAndRead(path: string): Promise<Uint8Array | null> {
  const file = await open(path, "r");
  try {
    return await readBounded(file);
  } finally {
    await file.close();
  }
}

/** Chunk by chunk: the size of a pipe or a device is not known before. */
async function readBounded(file: FileHandle): Promise<Uint8Array | null> {
  const chunks: Uint8Array[] = [];
  for (let size = 0; size <= MAX_BYTES;) {
    const { bytesRead, buffer } = await file.read(new Uint8Array(CHUNK), 0, CHUNK, null);
    if (bytesRead === 0) return Buffer.concat(chunks);
    size += bytesRead;
    chunks.push(buffer.subarray(0, bytesRead));
  }
  return null;
}
