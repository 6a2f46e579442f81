/**
 * Where values come from, against what the guest is shown: a value in a directory of the guest's is no
 * secret to it, and a command that it can write to runs on this machine as it likes.
 *
 * @module
 */
import { stat } from "node:fs/promises";
import { isAbsolute } from "node:path";
import { SbxError } from "../base/errors.ts";
import { escapeText } from "../base/escape.ts";
import { expandHome } from "../host/paths.ts";
import { keepsInFiles, storeDirectory } from "../host/secret_store.ts";
import type { Secret } from "../policy/model/secret.ts";
import { holds, locate, locateEach, type Location, readMountTable } from "./directory_tree.ts";
import type { Mount } from "./options.ts";

export interface ShownPlaces {
  /** Their sources are absolute and without links. */
  readonly mounts: readonly Mount[];
  /** The directories that the guest has from this machine for its system: `/usr`. */
  readonly system: readonly string[];
}

interface Shown extends Location {
  readonly readOnly: boolean;
  readonly isSystem: boolean;
}

/**
 * @throws SbxError USAGE when the guest would see a file that a value is read from or kept in, or could
 * write to one that a command names
 */
export async function guardSecrets(
  secrets: readonly Secret[],
  { mounts, system }: ShownPlaces,
): Promise<void> {
  const files = secrets.flatMap(({ name, source }) =>
    source.kind === "file" ? [{ name, path: expandHome(source.path) }] : []
  );
  const commands = secrets.flatMap(({ name, source }) =>
    source.kind === "cmd" ? pathsIn(source.command).map((path) => ({ name, path })) : []
  );
  const keeps = mounts.length > 0 && await keepsInFiles();
  if (files.length === 0 && commands.length === 0 && !keeps) return;
  const shown = await Promise.all([
    ...mounts.map(async ({ host, readOnly }): Promise<Shown> => ({
      ...await locate(host),
      readOnly,
      isSystem: false,
    })),
    ...(files.length === 0 ? [] : system).map(async (path): Promise<Shown> => ({
      ...await locate(path),
      readOnly: true,
      isSystem: true,
    })),
  ]);
  const table = await readMountTable();
  const writable = shown.filter(({ readOnly }) => !readOnly);
  if (keeps) {
    const store = await locate(storeDirectory());
    const mount = shown.find((one) =>
      !one.isSystem && (holds(one, store, table) || holds(store, one, table))
    );
    if (mount !== undefined) throw showsStore(mount, store.path);
  }
  for (const { name, path } of files) {
    const file = await locate(path);
    const seen = shown.find((one) => holds(one, file, table));
    if (seen !== undefined) throw showsFile(name, path, seen);
    // What leads to it can be changed as well, and with it which file is sent.
    const way = await locateEach(path);
    const changed = writable.find((one) => way.some((place) => holds(one, place, table)));
    if (changed !== undefined) throw showsFile(name, path, changed);
  }
  for (const { name, path } of commands) {
    if (!await stat(path).then((state) => state.isFile(), () => false)) continue;
    const places = [await locate(path), ...await locateEach(path)];
    const changed = writable.find((one) => places.some((place) => holds(one, place, table)));
    if (changed !== undefined) throw letsChange(name, path, changed);
  }
}

/**
 * The absolute paths among the words of a command. A shell can make more of it than can be seen here:
 * this finds what somebody forgot, not what somebody hides.
 */
function pathsIn(command: string): string[] {
  return command.split(/[\s"'`;|&()<>=$]+/).map(expandHome).filter(isAbsolute);
}

function showsStore({ path }: Location, store: string): SbxError {
  return new SbxError(
    "USAGE",
    `Cannot mount ${escapeText(path)}: 'sbx secret' keeps values in ${escapeText(store)}, which ` +
      "the guest would see",
    { hint: "mount a directory apart from that, or point XDG_DATA_HOME elsewhere" },
  );
}

function showsFile(name: string, file: string, { path, isSystem }: Shown): SbxError {
  return new SbxError(
    "USAGE",
    isSystem
      ? `Cannot read secret ${name} from ${escapeText(file)}: guests have ${
        escapeText(path)
      } from ` +
        "this machine, and would see the value"
      : `Cannot mount ${escapeText(path)}: secret ${name} is read from ${
        escapeText(file)
      }, which ` +
        "the guest would see",
    { hint: "move the file to a directory that no guest is shown" },
  );
}

function letsChange(name: string, file: string, { path }: Location): SbxError {
  return new SbxError(
    "USAGE",
    `Cannot mount ${escapeText(path)} writable: the command of secret ${name} names ` +
      `${escapeText(file)}, which the guest could change and which runs on this machine`,
    { hint: "mount it with :ro, or move the file to a directory that no guest writes to" },
  );
}
