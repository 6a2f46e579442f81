/**
 * What people are told of denials: the first of a kind at once, the ones after it as a count now and
 * then, so that a guest that retries in a loop cannot bury the line that matters. Every denial counts
 * somewhere: in a report's `count`, or in the summary.
 *
 * @module
 */
import { type Clock, systemClock } from "../base/clock.ts";
import { TokenBucket } from "../base/token_bucket.ts";
import type { ReasonId } from "../policy/policy.ts";

/** What was denied and why, in the words of {@link Denial}. */
export interface Refusal {
  readonly target: string;
  readonly name?: string;
  readonly reason: ReasonId;
  readonly rule?: number;
  /** The reason as a clause for people. */
  readonly because: string;
  /** The options that would allow it; absent where none would. */
  readonly allow?: string;
}

/** Denials of one kind, told to a person. */
export interface Denial {
  /** What was denied: `tcp 10.0.0.5:5432`, `dns ads.example`. */
  readonly target: string;
  /** The name that the flow stated, or that its destination was resolved from; safe to print. */
  readonly name?: string;
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
  readonly refusal: Refusal;
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

  note(refusal: Refusal, count = 1): void {
    this.#total += count;
    const key = `${refusal.target}\n${refusal.name ?? ""}\n${refusal.reason}`;
    const known = this.#kinds.get(key);
    const kind = known ?? { refusal, count: 0, untold: 0, told: false };
    if (known === undefined && this.#kinds.size >= MAX_KINDS) return;
    this.#kinds.set(key, kind);
    kind.count += count;
    kind.untold += count;
    if (!kind.told && this.#bucket.take()) this.#tell(kind);
    else if (!this.#closed) this.#cancel ??= this.#clock.after(GATHER_MS, () => this.#tellUntold());
  }

  /** The most frequent kinds, and how many denials there were beside them. */
  top(most: number): { readonly kinds: readonly DenialCount[]; readonly others: number } {
    const byTarget = new Map<string, number>();
    for (const { refusal, count } of this.#kinds.values()) {
      byTarget.set(refusal.target, (byTarget.get(refusal.target) ?? 0) + count);
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
    const { because, ...refusal } = kind.refusal;
    const count = kind.untold;
    const name = refusal.name === undefined ? "" : ` (${refusal.name})`;
    const again = kind.told ? `${count} more` : count > 1 ? `${count} times` : "";
    const times = again === "" ? "" : `, ${again}`;
    const hint = refusal.allow === undefined || kind.told
      ? ""
      : `; ${refusal.allow} would allow it`;
    kind.untold = 0;
    kind.told = true;
    const line = `denied ${refusal.target}${name}${times}: ${because}${hint}`;
    this.#listener({ ...refusal, count, line });
  }
}

/** A target with how often it was denied. */
export interface DenialCount {
  readonly target: string;
  readonly count: number;
}
