/**
 * Values that a program gave for the secrets of a sandbox, apart from what may be printed of them.
 *
 * @module
 */

import { inspect } from "node:util";

/** What a source has: a text for each part of a secret, one for all but a pair of keys. */
export interface SourceReading {
  /** Null: the source has no such part. */
  readonly texts: readonly (string | null)[];
  /** It is asked for again shortly before. Absent: for each request. */
  readonly expires?: Date;
}

/** What a program says of a value. */
export interface SecretReading {
  /** The value itself. */
  readonly value: string;
  /** It is asked for again shortly before. Absent: for each request. */
  readonly expires?: Date;
}

/** A value, or what is called for each request and says it. */
export type ProgramValue =
  | string
  | (() => string | SecretReading | Promise<string | SecretReading>);

/**
 * What a program's function answered, as a reading; null for what is none. What is misspelt there would be a value
 * that is good for ever, or none.
 */
export function readingOf(answer: unknown): SecretReading | null {
  const reading = typeof answer === "string" ? { value: answer } : answer;
  if (typeof reading !== "object" || reading === null) return null;
  const { value, expires, ...others } = reading as Partial<SecretReading>;
  const isDate = expires instanceof Date && !Number.isNaN(expires.getTime());
  if (typeof value !== "string" || Object.keys(others).length > 0) return null;
  if (expires === undefined) return { value };
  return isDate ? { value, expires } : null;
}

/** By the secret's name. Not in JSON, not in what `console.log` or a debugger's inspect prints. */
export class ProgramValues {
  readonly #values: ReadonlyMap<string, ProgramValue>;

  /** @internal The builders fill it. */
  constructor(values: Iterable<readonly [name: string, value: ProgramValue]> = []) {
    this.#values = new Map(values);
  }

  /** With one more, or another in the place of an earlier one. */
  with(name: string, value: ProgramValue): ProgramValues {
    return new ProgramValues([...this.#values, [name, value]]);
  }

  /** What was given for the secret of this name. */
  get(name: string): ProgramValue | undefined {
    return this.#values.get(name);
  }

  /** No value is in JSON. */
  toJSON(): string {
    return "[secret values]";
  }

  /** Nor in what a debugger shows. */
  [inspect.custom](): string {
    return "[secret values]";
  }
}
