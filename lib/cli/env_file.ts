/**
 * Environment files in the form that container tools read: one `KEY=VALUE` or `KEY` a line, `#`
 * starts a comment line, values are taken literally, quotes included. A line that begins with `export` was
 * written for a shell, which takes quotes away and puts values in; of these, quotes around the whole value are
 * read, and what a shell would make something else of is refused.
 *
 * @module
 */
import type { CommandHost } from "./command.ts";
import type { EnvironmentFlag } from "./run_flags.ts";
import { SbxError } from "../base/errors.ts";
import { escapeText } from "../base/escape.ts";
import { readOsTextFile } from "../base/text_file.ts";
import { type Assignment, parseAssignment } from "./values.ts";

/** What an option or a file sets. @throws SbxError for files that cannot be read, and what is no assignment */
export async function assignmentsOf(
  flag: EnvironmentFlag,
  { environment }: Pick<CommandHost, "environment">,
): Promise<readonly Assignment[]> {
  if (flag.kind === "file") return await readEnvFile(flag.path, environment());
  const assignment = parseAssignment("--env", flag.text, environment());
  return assignment === null ? [] : [assignment];
}

async function readEnvFile(
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
    const place = `${path}:${index + 1}`;
    const exported = /^export[ \t]+/.exec(line);
    const text = exported === null ? line : unquoted(place, line.slice(exported[0].length));
    const assignment = parseAssignment(place, text, own);
    if (assignment !== null) assignments.push(assignment);
  }
  return assignments;
}

/** What a shell would set: `A=b`, `A='b c'`, `A="b c"`, or `A` alone. Values are not shown. */
function unquoted(place: string, line: string): string {
  const text = line.trimEnd();
  const [, name = "", value = ""] = /^([^=]*=)(.*)$/s.exec(text) ?? [];
  if (name === "") return text;
  const quoted = /^'([^']*)'$/.exec(value) ?? /^"([^"$`\\]*)"$/.exec(value);
  if (quoted !== null) return name + quoted[1];
  if (/^[^\s'"$`\\;&|<>()#*?[~]*$/.test(value)) return text;
  throw new SbxError(
    "USAGE",
    `Cannot use ${escapeText(place)}: a shell would make another value of what stands there`,
    { hint: "leave export out to have the value as it stands, or put single quotes around it" },
  );
}
