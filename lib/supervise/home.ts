/**
 * Where a named sandbox is kept: a directory of its owner's that nobody else can enter. Whoever could write
 * there could run what he likes as its owner, so what others own or can enter is not used, wherever the
 * variables of the environment point.
 *
 * ```
 * sandboxes/NAME/record.json   what the sandbox is
 *                state.json    what has become of it
 *                lock          held by its supervisor for as long as that lives
 *                control       the supervisor's socket
 *                notices.log   what the supervisor would have told a person
 *                fault.log     what it said when it broke
 *                jobs/         what its commands printed
 *                ssh/          keys of whoever logs in, and of the server that he finds
 *                disk          what its guest wrote, where it has a disk
 *                machine/      a saved machine that its next start goes on from, with the memory of the disk's guest
 *                saving        what its machine was saved to last, while others copy it
 * ```
 *
 * @module
 */
import { chmod, lstat, mkdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import process from "node:process";
import { SbxError } from "../base/errors.ts";
import { escapeText } from "../base/escape.ts";
import { fileError, systemCode } from "../base/file_error.ts";
import type { PrivateFile } from "../base/private_file.ts";
import { stateDir } from "../host/paths.ts";

export interface Home {
  readonly name: string;
  readonly directory: string;
  readonly record: PrivateFile;
  readonly state: PrivateFile;
  readonly lock: string;
  readonly control: string;
  readonly notices: string;
  readonly faults: string;
  readonly jobs: string;
  readonly disk: string;
  readonly machine: string;
  readonly saving: string;
}

/** Where all of them are. */
export function sandboxesDir(): string {
  return join(stateDir(), "sandboxes");
}

/** The places of a sandbox, `directory` being another than its name's while it is made. */
export function homeOf(name: string, directory: string = join(sandboxesDir(), name)): Home {
  const file = (base: string, what: string): PrivateFile => ({
    path: join(directory, base),
    what: `${what} of sandbox ${name}`,
    code: "STATE_UNUSABLE",
    otherwise: `'sbx rm ${name}'`,
  });
  return {
    name,
    directory,
    record: file("record.json", "the record"),
    state: file("state.json", "the state"),
    lock: join(directory, "lock"),
    control: join(directory, "control"),
    notices: join(directory, "notices.log"),
    faults: join(directory, "fault.log"),
    jobs: join(directory, "jobs"),
    disk: join(directory, "disk"),
    machine: join(directory, "machine"),
    saving: join(directory, "saving"),
  };
}

/** Where what is kept of them by a tag is. */
export function snapshotsDir(): string {
  return join(stateDir(), "snapshots");
}

/** Makes one of the two where there is none. @throws SbxError STATE_UNUSABLE, FILE_UNREADABLE */
export async function makeOwnDirectory(directory: string): Promise<string> {
  try {
    await mkdir(dirname(dirname(directory)), { recursive: true });
    for (const each of [dirname(directory), directory]) {
      await mkdir(each, { mode: 0o700 }).catch((cause) => {
        if (systemCode(cause) !== "EEXIST") throw cause;
      });
      await requireOwnDirectory(each);
    }
  } catch (cause) {
    throw cause instanceof SbxError ? cause : fileError("keep sandboxes in", directory, cause);
  }
  return directory;
}

/** Whether there is such a directory, which is the user's own and nobody else's. @throws SbxError STATE_UNUSABLE */
export async function isOwnDirectory(directory: string): Promise<boolean> {
  try {
    await requireOwnDirectory(directory);
    return true;
  } catch (cause) {
    const code = systemCode(cause);
    if (code === "ENOENT" || code === "ENOTDIR") return false;
    throw cause instanceof SbxError ? cause : fileError("look into", directory, cause);
  }
}

async function requireOwnDirectory(directory: string): Promise<void> {
  const found = await lstat(directory);
  const own = process.geteuid?.();
  const state = !found.isDirectory()
    ? "it is no directory"
    : own !== undefined && found.uid !== own
    ? `it belongs to user ${found.uid}`
    : undefined;
  if (state !== undefined) throw refused(directory, state);
  if ((found.mode & 0o022) !== 0) throw refused(directory, "others can write to it");
  // Others who can only look in have done no harm yet, and will not.
  if ((found.mode & 0o077) !== 0) await chmod(directory, 0o700);
}

function refused(directory: string, state: string): SbxError {
  return new SbxError(
    "STATE_UNUSABLE",
    `Cannot use ${escapeText(directory)}: ${state}`,
    {
      hint:
        "sandboxes are kept in a directory of your own: see HOME and XDG_STATE_HOME, or remove it",
    },
  );
}
