/**
 * Changes in copies as lines of text. Pure.
 *
 * @module
 */
import { plural } from "../../base/plural.ts";
import type { Change, ChangedFile } from "../../mod.ts";

const LETTERS = { added: "A", modified: "M", deleted: "D", mode: "P", type: "T" } as const;

/** Names each change by its path below the directory, or in the guest where there are several directories. */
export function nameOf(changes: readonly Change[]): (change: Change) => string {
  const tops = new Set(
    changes.map(({ path, guestPath }) => guestPath.slice(0, -path.length)),
  );
  return (change) => tops.size > 1 ? change.guestPath : change.path;
}

/** `M src/main.ts`, with what the letter does not say. */
export function changeLine(change: Change, name: string): string {
  const details = detailsOf(change);
  const held = change.held === undefined ? "" : ` [held back: ${change.why ?? change.held}]`;
  return `${LETTERS[change.kind]} ${name}${details === "" ? "" : ` (${details})`}${held}`;
}

/** `src/main.ts | +3 −1`. */
export function statLine(change: Change, name: string): string {
  return `${name} | ${statOf(change)}`;
}

/** How many of which kind. */
export function totalLine(changes: readonly Change[]): string {
  const held = changes.filter((change) => change.held !== undefined).length;
  return `${plural(changes.length, "change")}${held === 0 ? "" : `, ${held} held back`}`;
}

function detailsOf({ kind, before, after }: Change): string {
  switch (kind) {
    case "mode":
      return `${octal(before)} → ${octal(after)}`;
    case "type":
      return `${kindOf(before)} → ${kindOf(after)}`;
    default:
      return [
        ...((after ?? before)?.kind === "file" ? [] : [kindOf(after ?? before)]),
        ...(kind === "added" && isUnusual(after) ? [octal(after)] : []),
        ...(kind === "modified" && before?.kind === "file" && before.mode !== after?.mode
          ? [`${octal(before)} → ${octal(after)}`]
          : []),
      ].join(", ");
  }
}

/** Other permission bits than new files have as a rule; those of a link mean nothing. */
function isUnusual(file: ChangedFile | undefined): boolean {
  if (file?.kind === "directory") return file.mode !== 0o755;
  return file?.kind === "file" && file.mode !== 0o644;
}

/** Permission bits that a patch cannot say, which knows 644 and 755; undefined where it does. */
export function modeBeyondPatch({ before, after }: Change): string | undefined {
  if (after?.kind !== "file" || before?.mode === after.mode) return undefined;
  if (
    (before === undefined || [0o644, 0o755].includes(before.mode)) &&
    [0o644, 0o755].includes(after.mode)
  ) return undefined;
  return before === undefined ? octal(after) : `${octal(before)} → ${octal(after)}`;
}

function statOf(change: Change): string {
  const { patch, before, after } = change;
  if (patch !== undefined) {
    const { added, removed } = countOf(patch);
    return [...(added > 0 ? [`+${added}`] : []), ...(removed > 0 ? [`−${removed}`] : [])].join(" ");
  }
  if (before?.kind === "file" || after?.kind === "file") {
    if (change.kind !== "mode") return `${before?.size ?? 0} → ${after?.size ?? 0} bytes`;
  }
  return detailsOf(change) || change.kind;
}

/** Lines that a patch adds and removes. */
function countOf(patch: string): { readonly added: number; readonly removed: number } {
  const lines = patch.slice(patch.indexOf("\n@@")).split("\n");
  return {
    added: lines.filter((line) => line.startsWith("+")).length,
    removed: lines.filter((line) => line.startsWith("-")).length,
  };
}

function kindOf(file: ChangedFile | undefined): string {
  if (file?.kind === "symlink") return `link to ${file.target ?? "?"}`;
  return file?.kind === "other" ? "special file" : file?.kind ?? "nothing";
}

function octal(file: ChangedFile | undefined): string {
  return (file?.mode ?? 0).toString(8).padStart(3, "0");
}
