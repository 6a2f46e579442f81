/**
 * What people are told of denials: the first of a kind at once, the ones after it as a count now and
 * then, so that a guest that retries in a loop cannot bury the line that matters. Every denial counts
 * somewhere: in a report's `count`, or in the summary.
 *
 * @module
 */
import { type Clock, systemClock } from "../base/clock.ts";
import { TokenBucket } from "../base/token_bucket.ts";
import type { ReasonId } from "../policy/model/policy.ts";

/** Something that was denied, and why, in the words of {@link Denial}. */
export interface DeniedAttempt {
  readonly target: string;
  readonly name?: string;
  /** Why, by the identifier that the journal has. */
  readonly reason: ReasonId;
  readonly rule?: number;
  /** The reason as a clause for people. */
  readonly because: string;
  /** Asked once, when a person is told. Absent: nothing would allow it. */
  readonly hint?: () => Hint | null;
  /** It is counted, and nobody is told: that is somebody else's to do, or not wanted. */
  readonly silent?: true;
}

/** What would let it pass. */
export interface Hint {
  /** Options, quoted for a shell. */
  readonly allow: string;
  /** The same as a sentence. */
  readonly text: string;
}

/** Denials of one kind, told to a person. */
export interface Denial {
  /** What was denied: `tcp 10.0.0.5:5432`, `dns ads.example`. */
  readonly target: string;
  /** The name that the flow stated, or that its destination was resolved from; safe to print. */
  readonly name?: string;
  /** Why, by the identifier that the journal has. */
  readonly reason: ReasonId;
  /** Index of the rule in the policy. */
  readonly rule?: number;
  /** The options that would allow it, quoted for a shell; absent where none would. */
  readonly allow?: string;
  /** Attempts that this report stands for. */
  readonly count: number;
  /** All of it as one line for a person. */
  readonly line: string;
}

/** Kinds that are told apart; a guest that scans a network has the rest counted together. */
const MAX_KINDS = 1_024;

/** Reports a second, and at once. */
const REPORTS_PER_SECOND = 5;
const BURST = 20;

/** How long repetitions are gathered, and how many kinds of them are reported then. */
const GATHER_MS = 10_000;
const MAX_REPEATED = 5;

interface Kind {
  attempt: DeniedAttempt;
  count: number;
  /** Attempts that no report stands for yet. */
  untold: number;
  /** Whether any report was about it. */
  told: boolean;
}

export class Denials {
  readonly #listener: (denial: Denial) => void;
  readonly #clock: Clock;
  readonly #bucket: TokenBucket;
  readonly #kinds = new Map<string, Kind>();
  #total = 0;
  #cancel: (() => void) | null = null;
  #closed = false;

  constructor(listener: (denial: Denial) => void, clock: Clock = systemClock) {
    this.#listener = listener;
    this.#clock = clock;
    this.#bucket = new TokenBucket(REPORTS_PER_SECOND, BURST, clock.now);
  }

  /** All denials so far. */
  get total(): number {
    return this.#total;
  }

  note(attempt: DeniedAttempt, count = 1): void {
    this.#total += count;
    const key = `${attempt.target}\n${attempt.name ?? ""}\n${attempt.reason}`;
    const known = this.#kinds.get(key);
    const kind = known ?? { attempt, count: 0, untold: 0, told: false };
    if (known === undefined && this.#kinds.size >= MAX_KINDS) return;
    this.#kinds.set(key, kind);
    kind.count += count;
    if (attempt.silent === true) return;
    kind.untold += count;
    if (!kind.told && this.#bucket.take()) this.#tell(kind);
    else if (!this.#closed) this.#cancel ??= this.#clock.after(GATHER_MS, () => this.#tellUntold());
  }

  /** The most frequent kinds, and how many denials there were beside them. */
  top(most: number): { readonly kinds: readonly DenialCount[]; readonly others: number } {
    const byTarget = new Map<string, number>();
    for (const { attempt, count } of this.#kinds.values()) {
      byTarget.set(attempt.target, (byTarget.get(attempt.target) ?? 0) + count);
    }
    const kinds = [...byTarget].map(([target, count]) => ({ target, count }))
      .sort((a, b) => b.count - a.count).slice(0, most);
    return { kinds, others: this.#total - kinds.reduce((sum, { count }) => sum + count, 0) };
  }

  /** No more reports; the summary has what was not told. */
  close(): void {
    this.#closed = true;
    this.#cancel?.();
  }

  #tellUntold(): void {
    this.#cancel = null;
    const untold = [...this.#kinds.values()].filter((kind) => kind.untold > 0)
      .sort((a, b) => b.untold - a.untold);
    for (const kind of untold.slice(0, MAX_REPEATED)) {
      if (this.#bucket.take()) this.#tell(kind);
    }
  }

  #tell(kind: Kind): void {
    const { because, hint, silent: _, ...attempt } = kind.attempt;
    const count = kind.untold;
    const name = attempt.name === undefined ? "" : ` (${attempt.name})`;
    const again = kind.told ? `${count} more` : count > 1 ? `${count} times` : "";
    const times = again === "" ? "" : `, ${again}`;
    const found = hint?.() ?? null;
    kind.attempt = { because, ...attempt, hint: () => found }; // not the one that holds on to bytes
    const hinted = found === null || kind.told ? "" : `; ${found.text}`;
    kind.untold = 0;
    kind.told = true;
    const line = `denied ${attempt.target}${name}${times}: ${because}${hinted}`;
    this.#listener({
      ...attempt,
      ...(found === null ? {} : { allow: found.allow }),
      count,
      line,
    });
  }
}

/** A target with how often it was denied. */
export interface DenialCount {
  /** As in {@link Denial}. */
  readonly target: string;
  /** Attempts so far. */
  readonly count: number;
}
