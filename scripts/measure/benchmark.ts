/**
 * What every benchmark is given, and what it measures with.
 *
 * @module
 */

/** Measures and prints; rejects only when nothing could be measured. */
export type Benchmark = (bench: Bench) => Promise<void>;

export interface Bench {
  /** Another build of sbx to be measured beside this one, where a benchmark runs the binary. */
  readonly against?: string;
  /** How many rounds: the benchmark's usual number, unless the caller gave another. */
  rounds(usual: number): number;
  /** A finished table, for stdout. */
  print(text: string): void;
  /** Progress and what was left out, for people. */
  note(line: string): void;
}

/** One thing that is measured: how it is shown, and in what unit. */
export interface Figure {
  /** In a round's result. */
  readonly key: string;
  readonly title: string;
  readonly unit: string;
  /** Decimal places; default 0. */
  readonly digits?: number;
}

/** What one round of one subject came to, by the figures' keys. A figure may be missing. */
export type Round = Readonly<Record<string, number>>;

export interface Subject {
  readonly name: string;
  round(): Round | Promise<Round>;
}

/** The rounds of one subject, in order; those of all subjects were taken in turn. */
export interface Series {
  readonly name: string;
  readonly rounds: readonly Round[];
}

/** A ratio of two subjects in one figure, and where it should lie. */
export interface Aim {
  readonly figure: string;
  readonly of: string;
  readonly against: string;
  readonly atMost?: number;
  readonly atLeast?: number;
}
