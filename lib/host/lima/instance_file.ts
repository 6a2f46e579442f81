/**
 * What sbx keeps in the directory of Lima's instance: files of its own, which go where the instance goes.
 *
 * @module
 */
import { join } from "node:path";
import type { z } from "zod";
import { SbxError } from "../../base/errors.ts";
import { escapeText } from "../../base/escape.ts";
import { type PrivateFile, readPrivate } from "../../base/private_file.ts";

/** `what` and `otherwise` as of a {@link PrivateFile}. */
export function instanceFile(
  directory: string,
  name: string,
  { what, otherwise }: Pick<PrivateFile, "what" | "otherwise">,
): PrivateFile {
  return { path: join(directory, name), what, code: "LIMA_INSTANCE", otherwise, sheltered: true };
}

/**
 * Undefined: there is none.
 *
 * @throws SbxError FILE_UNREADABLE, LIMA_INSTANCE when somebody else could have changed it, or has
 */
export async function readInstanceFile<T>(
  file: PrivateFile,
  shape: z.ZodType<T>,
): Promise<T | undefined> {
  const text = await readPrivate(file);
  if (text === null) return undefined;
  try {
    return shape.parse(JSON.parse(text));
  } catch (cause) {
    throw new SbxError(
      "LIMA_INSTANCE",
      `Cannot use ${escapeText(file.path)}: it is not what sbx wrote`,
      { hint: file.otherwise, cause },
    );
  }
}
