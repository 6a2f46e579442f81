/**
 * Lima's driver `sbx` where Lima finds it: a script of two lines, since the program itself is unpacked,
 * and held to what was built in, at each start.
 *
 * @module
 */
import { chmod, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileError } from "../../base/file_error.ts";
import { type PrivateFile, readPrivate, writePrivate } from "../../base/private_file.ts";
import { ownProgram } from "../own_program.ts";
import { dataDir } from "../paths.ts";

const EXECUTABLE = 0o700;

/**
 * Puts it there, unless it is; resolves to the directory, which is for `LIMA_DRIVERS_PATH`.
 *
 * @throws SbxError FILE_UNREADABLE, LIMA_INSTANCE when somebody else could have changed it
 */
export async function installLimaDriver(): Promise<string> {
  const file: PrivateFile = {
    path: join(dataDir(), "lima", "lima-driver-sbx"),
    what: "Lima's driver",
    code: "LIMA_INSTANCE",
    otherwise: "remove it, and sbx writes it again",
  };
  const sbx = ownProgram().map(quoted);
  const text = [
    "#!/bin/sh",
    "# Lima's driver `sbx`. sbx wrote this, and writes it again when it has moved.",
    `driver=$(${sbx.join(" ")} lima-guest driver) || exit 1`,
    `exec "$driver" ${sbx.map((word) => `--sbx ${word}`).join(" ")} "$@"`,
    "",
  ].join("\n");
  try {
    const mode = await stat(file.path).then(({ mode }) => mode & 0o777, () => 0);
    if (mode !== EXECUTABLE || await readPrivate(file) !== text) {
      await writePrivate(file, text, true);
      await chmod(file.path, EXECUTABLE);
    }
  } catch (cause) {
    throw fileError("install Lima's driver as", file.path, cause);
  }
  return dirname(file.path);
}

/** One word of a shell's. */
function quoted(word: string): string {
  return `'${word.replaceAll("'", `'\\''`)}'`;
}
