/**
 * One secret's value while its sandbox runs, or the parts of a pair of keys, which are never of two
 * readings: asked of its source for each request, unless the source said how long it holds.
 *
 * States: ASKED ⇄ IDLE, and KEPT while a reading lasts. IDLE: nobody waits; the next request begins a
 * reading. ASKED: one is under way, and whoever comes waits for it, or for the next one where the
 * source is cheap, as this one may have been at it before the value was changed. KEPT: the last reading
 * said until when it holds. A failure is told to those who wait, and leaves nothing behind.
 *
 * @module
 */

import { SbxError } from "../base/errors.ts";
import type { SourceReading } from "./program_values.ts";
import { SecretValue } from "./value.ts";

/** Asks the source. May answer at once, and reject or throw `SbxError`. */
export type Read = () => SourceReading | Promise<SourceReading>;

/** A value for each part; null: the source has none. */
export type Values = readonly (SecretValue | null)[];

/** Answers can hold one of before: those of requests under way, or what a server cached. */
const REMEMBERED = 8;

/** A value is asked for again so long before its end, or a tenth of its life if that is less. */
const MARGIN_MS = 30_000;

interface Asked {
  readonly kind: "asked";
  readonly reading: Promise<Values>;
  /** For those who came while it was under way, where it may not serve them. */
  next?: Promise<Values>;
}

type State =
  | { readonly kind: "idle" }
  | Asked
  | { readonly kind: "kept"; readonly values: Values; readonly until: number };

const IDLE: State = { kind: "idle" };

export interface LiveValueOptions {
  readonly name: string;
  /** What its parts are called; that is `name` alone where there are none. */
  readonly parts: readonly string[];
  readonly read: Read;
  /** Whether a reading under way serves those who come later: where each one costs. */
  readonly shares: boolean;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

export class LiveValue {
  readonly #options: LiveValueOptions;
  #state: State = IDLE;
  #remembered: readonly Values[] = [];

  constructor(options: LiveValueOptions) {
    this.#options = options;
  }

  /** The values that were read last, newest first, each once. The array changes only with them. */
  get remembered(): readonly Values[] {
    return this.#remembered;
  }

  /** The value of now. @throws what the source does, and SbxError SECRET_INVALID, by rejecting */
  current(): Values | Promise<Values> {
    const state = this.#state;
    if (state.kind === "asked" && !this.#options.shares) {
      return state.next ??= state.reading.then(ignore, ignore).then(() => this.#underWay());
    }
    return this.#underWay();
  }

  /** What is there, or begun by somebody, or else by this call. */
  #underWay(): Values | Promise<Values> {
    const state = this.#state;
    if (state.kind === "asked") return state.reading;
    if (state.kind === "kept" && this.#options.now() < state.until) return state.values;
    return this.#ask();
  }

  #ask(): Values | Promise<Values> {
    this.#state = IDLE;
    let answer: ReturnType<Read>;
    try {
      answer = this.#options.read();
      if (!(answer instanceof Promise)) return this.#take(answer);
    } catch (error) {
      return Promise.reject(error);
    }
    const reading = answer.then((read) => this.#take(read), (error) => {
      this.#state = IDLE;
      throw error;
    });
    this.#state = { kind: "asked", reading };
    return reading;
  }

  #take({ texts, expires }: SourceReading): Values {
    this.#state = IDLE;
    const { name, now } = this.#options;
    const life = expires === undefined ? Infinity : expires.getTime() - now();
    if (!(life > 0)) throw expired(name);
    const values = this.#remembered.find((one) => isOf(one, texts)) ?? this.#make(texts);
    if (values !== this.#remembered[0]) {
      const others = this.#remembered.filter((one) => one !== values);
      this.#remembered = [values, ...others].slice(0, REMEMBERED);
    }
    if (expires !== undefined) {
      const until = expires.getTime() - Math.min(MARGIN_MS, life / 10);
      this.#state = { kind: "kept", values, until };
    }
    return values;
  }

  #make(texts: SourceReading["texts"]): Values {
    return this.#options.parts.map((part, at) => {
      const text = texts[at] ?? null;
      return text === null ? null : SecretValue.of(part, text);
    });
  }
}

function isOf(values: Values, texts: SourceReading["texts"]): boolean {
  return values.every((value, at) => (value?.reveal() ?? null) === (texts[at] ?? null));
}

function expired(name: string): SbxError {
  return new SbxError(
    "SECRET_UNAVAILABLE",
    `Cannot use secret ${name}: what its source gave has expired already`,
    { hint: "look at the clock of this machine, and at what keeps an old answer" },
  );
}

function ignore(): void {}
