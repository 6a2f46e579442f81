/**
 * A changed text as a patch that `git apply` and `patch -p1` take. Texts that have too little in common are shown whole,
 * so that no pair of them takes long. Pure.
 *
 * @module
 */
import { structuredPatch } from "diff";
import { encodeOsString } from "../../base/os_string.ts";
import type { Change } from "./change.ts";

/** Lines that differ, up to which the shortest difference is looked for: its work grows with their square. */
const MAX_EDITS = 500;

/** What one pair may take of a thread that has others to serve. */
const MAX_MS = 100;

/** What a patch is made of. */
export interface PatchTexts {
  readonly before?: Uint8Array;
  readonly after?: Uint8Array;
}

/** Undefined for what is no text, has nothing to compare, or is another kind of thing than it was. */
export function patchOf(change: Change, { before, after }: PatchTexts): string | undefined {
  if (change.kind === "type" || (before === undefined && after === undefined)) return undefined;
  const [from, to] = [textOf(before), textOf(after)];
  const isBoth = before !== undefined && after !== undefined;
  if (from === undefined || to === undefined || (from === to && isBoth)) return undefined;
  const [name, other] = [quoted(`a/${change.path}`), quoted(`b/${change.path}`)];
  return [
    `diff --git ${name} ${other}\n`,
    ...modeLines(change, before !== undefined, after !== undefined),
    // A file that comes or goes empty is all told.
    ...(from === to ? [] : [
      `--- ${before === undefined ? "/dev/null" : name}\n`,
      `+++ ${after === undefined ? "/dev/null" : other}\n`,
      ...hunksOf(from, to),
    ]),
  ].join("");
}

function modeLines({ before, after }: Change, isBefore: boolean, isAfter: boolean): string[] {
  if (!isBefore) return [`new file mode ${gitMode(after?.mode)}\n`];
  if (!isAfter) return [`deleted file mode ${gitMode(before?.mode)}\n`];
  const [from, to] = [gitMode(before?.mode), gitMode(after?.mode)];
  return from === to ? [] : [`old mode ${from}\n`, `new mode ${to}\n`];
}

/** Git knows two kinds of files. */
function gitMode(mode = 0): string {
  return (mode & 0o100) === 0 ? "100644" : "100755";
}

function hunksOf(from: string, to: string): string[] {
  const patch = from === "" || to === "" ? undefined : structuredPatch("", "", from, to, "", "", {
    context: 3,
    maxEditLength: MAX_EDITS,
    timeout: MAX_MS,
  });
  if (patch === undefined) return wholeHunk(from, to);
  return patch.hunks.flatMap(({ oldStart, oldLines, newStart, newLines, lines }) => [
    `@@ -${range(oldStart, oldLines)} +${range(newStart, newLines)} @@\n`,
    ...lines.map((line) => `${line}\n`),
  ]);
}

function wholeHunk(from: string, to: string): string[] {
  const [removed, added] = [linesOf(from), linesOf(to)];
  return [
    `@@ -${range(1, removed.length)} +${range(1, added.length)} @@\n`,
    ...signed("-", removed, from),
    ...signed("+", added, to),
  ];
}

function signed(sign: string, lines: readonly string[], text: string): string[] {
  const signed = lines.map((line) => `${sign}${line}\n`);
  return text === "" || text.endsWith("\n")
    ? signed
    : [...signed, "\\ No newline at end of file\n"];
}

function linesOf(text: string): string[] {
  if (text === "") return [];
  return (text.endsWith("\n") ? text.slice(0, -1) : text).split("\n");
}

/** An empty side stands before its first line. */
function range(start: number, lines: number): string {
  return lines === 0
    ? `${Math.max(0, start - 1)},0`
    : lines === 1
    ? `${start}`
    : `${start},${lines}`;
}

/** As git quotes names that a line of a patch could not have; with blanks as well, behind which GNU's patch sees a date. */
function quoted(path: string): string {
  // deno-lint-ignore no-control-regex
  if (!/[\x00-\x20"\\\x7f-\uffff]/.test(path)) return path;
  const bytes = [...encodeOsString(path)].map((byte) =>
    byte < 0x20 || byte > 0x7e
      ? `\\${byte.toString(8).padStart(3, "0")}`
      : byte === 0x22 || byte === 0x5c
      ? `\\${String.fromCharCode(byte)}`
      : String.fromCharCode(byte)
  );
  return `"${bytes.join("")}"`;
}

/** Undefined for bytes that are no text. */
function textOf(bytes: Uint8Array = new Uint8Array()): string | undefined {
  if (bytes.includes(0)) return undefined;
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return undefined;
  }
}
