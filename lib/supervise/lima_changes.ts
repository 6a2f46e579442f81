/**
 * What was changed of a guest of Lima's while it ran, kept beside its disk as well as in its record: there it goes
 * along where Lima clones or renames the instance, of which nobody hears.
 *
 * @module
 */
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { SbxError } from "../base/errors.ts";
import { escapeText } from "../base/escape.ts";
import { type PrivateFile, readPrivate, writePrivate } from "../base/private_file.ts";
import type { Home } from "./home.ts";
import { jsonOf, limaChanges, type LimaRecord, type SandboxRecord } from "./record.ts";
import { rewriteRecord } from "./registry.ts";

/** Writes down what a sandbox is, and what was changed of it where the next start of its instance finds it. */
export async function remember(home: Home, record: SandboxRecord): Promise<void> {
  await rewriteRecord(home, record);
  if (record.lima === undefined) return;
  const { directory, changed } = record.lima;
  await writePrivate(fileIn(directory), `${JSON.stringify(changed)}\n`, true);
}

/**
 * Undefined: nothing was. `directory`: the instance's.
 *
 * @throws SbxError FILE_UNREADABLE, LIMA_INSTANCE when somebody else could have changed it
 */
export async function keptChanges(directory: string): Promise<LimaRecord["changed"] | undefined> {
  const file = fileIn(directory);
  const text = await readPrivate(file);
  if (text === null) return undefined;
  const { data, error } = limaChanges.safeParse(jsonOf(text));
  if (data !== undefined) return data;
  throw new SbxError(
    "LIMA_INSTANCE",
    `Cannot use ${escapeText(file.path)}: it is not what sbx wrote`,
    { hint: file.otherwise, cause: error },
  );
}

/** Its next start was given other options. */
export async function dropChanges(directory: string): Promise<void> {
  await rm(fileIn(directory).path, { force: true });
}

function fileIn(directory: string): PrivateFile {
  return {
    // Of an instance `limactl factory-reset` leaves nothing of another name.
    path: join(directory, "sbx-changes.yaml"),
    what: "what was changed of the guest",
    code: "LIMA_INSTANCE",
    otherwise: "remove it, and give `sbx lima start` its options again",
    sheltered: true,
  };
}
