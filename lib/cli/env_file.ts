/**
 * Environment files in the form that container tools read: one `KEY=VALUE` or `KEY` a line, `#`
 * starts a comment line, values are taken literally, quotes included.
 *
 * @module
 */
import { readOsTextFile } from "../base/text_file.ts";
import { type Assignment, parseAssignment } from "./values.ts";

export async function readEnvFile(
  path: string,
  own: Readonly<Record<string, string | undefined>>,
): Promise<readonly Assignment[]> {
  return parseEnvFile(await readOsTextFile("read environment file", path), path, own);
}

/** The assignments of the text in order; names that `own` lacks are left out. */
export function parseEnvFile(
  text: string,
  path: string,
  own: Readonly<Record<string, string | undefined>>,
): readonly Assignment[] {
  const assignments: Assignment[] = [];
  for (const [index, raw] of text.replace(/^\uFEFF/, "").split(/\r?\n/).entries()) {
    const line = raw.trimStart();
    if (line === "" || line.startsWith("#")) continue;
    const assignment = parseAssignment(`${path}:${index + 1}`, line, own);
    if (assignment !== null) assignments.push(assignment);
  }
  return assignments;
}
