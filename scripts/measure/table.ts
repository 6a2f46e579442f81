/**
 * Tables of what was measured, as text.
 *
 * @module
 */
import type { Aim, Figure, Series } from "./benchmark.ts";
import { medianOf, ratioOf } from "./rounds.ts";

export interface TableSpec {
  readonly title: string;
  readonly figures: readonly Figure[];
  readonly series: readonly Series[];
  /** The subject that ratios are against; default the first. */
  readonly against?: string;
  readonly aims?: readonly Aim[];
}

/** One line a figure with a column a subject, the medians and below them the ratios; then the aims. */
export function formatTable({ title, figures, series, against, aims = [] }: TableSpec): string {
  const rounds = Math.max(0, ...series.map(({ rounds }) => rounds.length));
  const base = series.find(({ name }) => name === against) ?? series[0];
  const lines = [["", "", ...series.map(({ name }) => name)]];
  for (const { key, title, unit, digits = 0 } of figures) {
    lines.push([title, unit, ...series.map((one) => number(medianOf(one, key), digits))]);
    if (base === undefined || series.length === 1) continue;
    lines.push(["", "x", ...series.map((one) => number(ratioOf(one, base, key), 2))]);
  }
  const how = rounds === 1 ? "one round" : `medians of ${rounds} interleaved rounds`;
  const head = `${title}: ${how}` +
    (series.length === 1 ? "" : `, x is against ${base?.name}`);
  return `${head}\n${columns(lines)}${formatAims(aims, figures, series)}`;
}

function formatAims(
  aims: readonly Aim[],
  figures: readonly Figure[],
  series: readonly Series[],
): string {
  const find = (wanted: string) => series.find(({ name }) => name === wanted);
  const lines = aims.flatMap((aim) => {
    const [one, other] = [find(aim.of), find(aim.against)];
    const figure = figures.find(({ key }) => key === aim.figure);
    if (one === undefined || other === undefined || figure === undefined) return [];
    const ratio = ratioOf(one, other, aim.figure);
    const bound = aim.atMost === undefined ? `at least ${aim.atLeast}` : `at most ${aim.atMost}`;
    const met = aim.atMost === undefined ? ratio >= (aim.atLeast ?? 0) : ratio <= aim.atMost;
    return [[
      `${figure.title}, ${aim.of}`,
      `${number(ratio, 2)} x ${aim.against}`,
      bound,
      met ? "met" : "missed",
    ]];
  });
  return lines.length === 0 ? "" : `aims\n${columns(lines)}`;
}

function number(value: number, digits: number): string {
  return Number.isNaN(value) ? "-" : value.toFixed(digits);
}

/** The first column to the left, the others to the right. */
function columns(lines: readonly (readonly string[])[]): string {
  const widths: number[] = [];
  for (const line of lines) {
    for (const [index, cell] of line.entries()) {
      widths[index] = Math.max(widths[index] ?? 0, cell.length);
    }
  }
  return lines.map((line) =>
    `  ${
      line.map((cell, index) =>
        index === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[index] ?? 0)
      ).join("  ")
    }`.trimEnd() + "\n"
  ).join("");
}
