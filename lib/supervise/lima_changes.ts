/**
 * What was changed of a guest of Lima's while it ran, kept beside its disk as well as in its record: there it goes
 * along where Lima clones or renames the instance, of which nobody hears.
 *
 * @module
 */
import { rm } from "node:fs/promises";
import { type PrivateFile, writePrivate } from "../base/private_file.ts";
import { instanceFile, readInstanceFile } from "../host/lima/instance_file.ts";
import type { Home } from "./home.ts";
import { limaChanges, type LimaRecord, type SandboxRecord } from "./record.ts";
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
  return await readInstanceFile(fileIn(directory), limaChanges);
}

/** Its next start was given other options. */
export async function dropChanges(directory: string): Promise<void> {
  await rm(fileIn(directory).path, { force: true });
}

function fileIn(directory: string): PrivateFile {
  // Of an instance `limactl factory-reset` leaves nothing of another name.
  return instanceFile(directory, "sbx-changes.yaml", {
    what: "what was changed of the guest",
    otherwise: "remove it, and give `sbx lima start` its options again",
  });
}
