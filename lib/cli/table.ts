/**
 * Columns of text that line up.
 *
 * @module
 */

/** One line per row; the last column is not padded. Colour codes do not count as width. */
export function table(rows: readonly (readonly string[])[], gap = 2): string {
  const widths: number[] = [];
  for (const row of rows) {
    for (const [column, cell] of row.entries()) {
      widths[column] = Math.max(widths[column] ?? 0, width(cell));
    }
  }
  return rows.map((row) =>
    row.map((cell, column) =>
      column === row.length - 1
        ? cell
        : cell + " ".repeat((widths[column] ?? 0) - width(cell) + gap)
    ).join("").trimEnd() + "\n"
  ).join("");
}

function width(cell: string): number {
  return cell.replace(ESCAPE, "").length;
}

/** SGR sequences, which colour and take no room (ECMA-48). */
// deno-lint-ignore no-control-regex
const ESCAPE = /\x1b\[[0-9;]*m/g;
