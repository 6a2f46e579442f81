/**
 * Text files that a user names.
 *
 * @module
 */
import { type FileHandle, open } from "node:fs/promises";
import { SbxError } from "./errors.ts";
import { fileError } from "./file_error.ts";

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
  const text = await readAll(path).catch((cause) => {
    throw fileError(doing, path, cause);
  });
  if (text === null) {
    throw new SbxError("FILE_UNREADABLE", `Cannot ${doing} ${path}: larger than ${MAX_MIB} MiB`);
  }
  return text;
}

async function readAll(path: string): Promise<string | null> {
  const file = await open(path, "r");
  try {
    return await readBounded(file);
  } finally {
    await file.close();
  }
}

/** Chunk by chunk: the size of a pipe or a device is not known before. */
async function readBounded(file: FileHandle): Promise<string | null> {
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  const chunk = new Uint8Array(CHUNK);
  let text = "";
  for (let size = 0; size <= MAX_BYTES;) {
    const { bytesRead } = await file.read(chunk, 0, CHUNK, null);
    if (bytesRead === 0) return text + decoder.decode();
    size += bytesRead;
    text += decoder.decode(chunk.subarray(0, bytesRead), { stream: true });
  }
  return null;
}
