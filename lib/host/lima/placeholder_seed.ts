/**
 * The randomness of an instance's placeholders, kept in its directory: the guest hears of them by its
 * cloud-init, from another process than the one that goes by them.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { createHmac, randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { type PrivateFile, readPrivate, writePrivate } from "../../base/private_file.ts";
import type { Draw } from "../../secret/placeholder.ts";
import { instanceFile } from "./instance_file.ts";

const SEED_BYTES = 32;

/**
 * The same bytes in every process, for as long as the instance is there. `directory`: the instance's.
 *
 * @throws SbxError FILE_UNREADABLE, LIMA_INSTANCE when somebody else could have read or changed it
 */
export async function keptDraw(directory: string): Promise<Draw> {
  const file = fileIn(directory);
  await writePrivate(file, randomBytes(SEED_BYTES).toString("hex"), false);
  const seed = await readPrivate(file);
  if (seed === null) throw new TypeError("Cannot read what was written just now");
  return drawFrom(seed);
}

/** Whether there ever were placeholders. */
export function hasDraw(directory: string): boolean {
  return existsSync(fileIn(directory).path);
}

function fileIn(directory: string): PrivateFile {
  return instanceFile(directory, "sbx-placeholders.seed", {
    what: "the seed of the guest's placeholders",
    otherwise: "remove it, and start the guest again",
  });
}

/** HMAC-SHA-256 over a counter. */
function drawFrom(seed: string): Draw {
  let count = 0;
  let rest = Buffer.alloc(0);
  return (wanted) => {
    while (rest.length < wanted) {
      const block = createHmac("sha256", seed).update(String(count++)).digest();
      rest = Buffer.concat([rest, block]);
    }
    const bytes = rest.subarray(0, wanted);
    rest = rest.subarray(wanted);
    return bytes;
  };
}
