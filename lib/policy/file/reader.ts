/**
 * Runs the readers of a file's single values, and gathers what they complain about, each with its place:
 * who mends a file wants all of it at once.
 *
 * @module
 */

import { PolicyFault } from "../text/fault.ts";
import { type Position, Positions } from "./positions.ts";
import { type Path, type Source, SourceFault } from "./source.ts";

/** Whoever has more to mend than this reads the file again anyway, and finding a place takes time. */
export const MOST_TOLD = 20;

export class Reader {
  readonly faults: SourceFault[] = [];
  readonly #source: Source;
  readonly #positions: Positions;

  constructor(source: Source, positions: Positions) {
    this.#source = source;
    this.#positions = positions;
  }

  /** Line and column of the value at the path. */
  position(path: Path): Position {
    return this.#positions.at(this.#source.offsetOf(path));
  }

  /** What was read, or `instead` where that failed. */
  at<T>(path: Path, instead: T, read: () => T): T {
    try {
      return read();
    } catch (fault) {
      if (!(fault instanceof PolicyFault)) throw fault;
      if (this.faults.length === MOST_TOLD) return instead;
      const place = fault instanceof SourceFault
        ? fault.offset
        : this.#source.offsetOf([...path, ...fault.path]);
      this.faults.push(new SourceFault(place, fault.message, fault.hint));
      return instead;
    }
  }

  /** Those that could be read. */
  each<T, R>(
    values: readonly T[] | undefined,
    path: Path,
    read: (value: T, index: number) => R,
  ): R[] {
    return (values ?? []).flatMap((value, index) =>
      this.at<R[]>([...path, index], [], () => [read(value, index)])
    );
  }
}
