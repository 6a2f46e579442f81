/**
 * What happens in a sandbox, for programs that follow it. Each reader has a buffer of its own; one that
 * falls behind loses events and is told how many, and holds up nobody.
 *
 * @module
 */
import type { SbxError } from "../base/errors.ts";
import { type Failure, failureOf } from "../base/failure.ts";
import { quote } from "../base/escape.ts";
import { misuse, optionsOf } from "../base/misuse.ts";
import type { Denial } from "../journal/denials.ts";
import type { JournalEvent, JournalRecord } from "../journal/format.ts";
import type { Journal } from "../journal/journal.ts";

/** One thing that happened, as plain data. */
export type SandboxEvent =
  /** What the journal says of the network, whether one is written or not. */
  | { readonly kind: "journal"; readonly record: JournalRecord }
  /** A refusal as people are told of it: repetitions are gathered. */
  | { readonly kind: "denial"; readonly denial: Denial }
  /** A line worth telling a person. */
  | { readonly kind: "notice"; readonly line: string }
  /** The last event: nothing of the sandbox is left. Without an error it was stopped. */
  | { readonly kind: "exit"; readonly error?: Failure }
  /** So many events are missing here, because the reader was too slow. */
  | { readonly kind: "lost"; readonly count: number };

/** What a reader can ask for. */
export type EventKind = Exclude<SandboxEvent["kind"], "lost">;

/** Which events are read, and until when. */
export interface EventsOptions {
  /** Of these kinds only; all when absent. */
  readonly kinds?: readonly EventKind[];
  /** Aborting it ends the reading. */
  readonly signal?: AbortSignal;
}

const KINDS: readonly string[] = ["journal", "denial", "notice", "exit"] satisfies EventKind[];

/** @throws SbxError USAGE */
export function requireEvents(options: EventsOptions): EventsOptions {
  const { kinds = [] } = optionsOf("events(…)", options, { kinds: true, signal: true });
  const unknown = Array.isArray(kinds) ? kinds.find((kind) => !KINDS.includes(kind)) : null;
  if (unknown === undefined) return options;
  const state = unknown === null ? "kinds is no list" : `there is no kind ${quote(unknown)}`;
  throw misuse("events(…)", state, { hint: `the kinds are ${KINDS.join(", ")}` });
}

/** Bounds of what may wait for one reader: events, and characters of their texts. */
export interface EventLimits {
  readonly events: number;
  readonly characters: number;
}

const LIMITS: EventLimits = { events: 10_000, characters: 8 << 20 };

/** Tells every reader. */
export class Events {
  readonly #limits: EventLimits;
  readonly #readers = new Set<Reader>();
  #exit: SandboxEvent | undefined;

  constructor(limits: EventLimits = LIMITS) {
    this.#limits = limits;
  }

  /** Whether there is anybody to tell. */
  get isFollowed(): boolean {
    return this.#readers.size > 0;
  }

  tell(event: SandboxEvent): void {
    for (const reader of this.#readers) reader.push(event);
  }

  /** The last word. Whoever comes later hears it, too. */
  end(error: SbxError | undefined): void {
    if (this.#exit !== undefined) return;
    this.#exit = { kind: "exit", ...(error === undefined ? {} : { error: failureOf(error) }) };
    for (const reader of this.#readers) reader.end(this.#exit);
  }

  /** From this moment on; leaving the loop ends it. */
  read({ kinds, signal }: EventsOptions = {}): AsyncIterableIterator<SandboxEvent, void> {
    const isWanted = kinds === undefined ? () => true : setOf(kinds);
    const abort = () => void reader.return();
    const reader = new Reader(this.#limits, isWanted, () => {
      this.#readers.delete(reader);
      signal?.removeEventListener("abort", abort);
    });
    this.#readers.add(reader);
    signal?.addEventListener("abort", abort, { once: true });
    if (signal?.aborted) abort();
    else if (this.#exit !== undefined) reader.end(this.#exit);
    return reader;
  }
}

/** The journal, and everybody who follows it as it is written. */
export function followed(journal: Journal, events: Events): Journal {
  return {
    write(event) {
      journal.write(event);
      if (events.isFollowed) events.tell({ kind: "journal", record: recordOf(event) });
    },
    close: () => journal.close(),
  };
}

type Result = IteratorResult<SandboxEvent, void>;

const DONE: Result = { done: true, value: undefined };

class Reader implements AsyncIterableIterator<SandboxEvent, void> {
  readonly #limits: EventLimits;
  readonly #isWanted: (kind: string) => boolean;
  readonly #leave: () => void;
  #held: { readonly event: SandboxEvent; readonly weight: number }[] = [];
  #weight = 0;
  /** Events that no `lost` before them tells of yet. */
  #lost = 0;
  #over = false;
  /** Who waits for the next event, in order. */
  readonly #waiting: ((result: Result) => void)[] = [];

  constructor(limits: EventLimits, isWanted: (kind: string) => boolean, leave: () => void) {
    this.#limits = limits;
    this.#isWanted = isWanted;
    this.#leave = leave;
  }

  push(event: SandboxEvent): void {
    if (this.#over || !this.#isWanted(event.kind)) return;
    const waiting = this.#waiting.shift();
    if (waiting !== undefined) return waiting({ done: false, value: event });
    const weight = JSON.stringify(event).length;
    const { events, characters } = this.#limits;
    if (this.#held.length >= events || this.#weight + weight > characters) {
      this.#lost++;
      return;
    }
    this.#tellLost();
    this.#hold(event, weight);
  }

  /** There is always room for the last word. */
  end(exit: SandboxEvent): void {
    if (this.#over) return;
    this.#over = true;
    this.#leave();
    this.#tellLost();
    if (this.#isWanted(exit.kind)) this.#hold(exit, 0);
    while (this.#waiting.length > 0) this.#waiting.shift()?.(this.#take());
  }

  next(): Promise<Result> {
    if (this.#held.length > 0 || this.#over) return Promise.resolve(this.#take());
    return new Promise((resolve) => void this.#waiting.push(resolve));
  }

  return(): Promise<Result> {
    this.#over = true;
    this.#held = [];
    this.#leave();
    for (const waiting of this.#waiting.splice(0)) waiting(DONE);
    return Promise.resolve(DONE);
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  #take(): Result {
    const first = this.#held.shift();
    if (first === undefined) return DONE;
    this.#weight -= first.weight;
    // What came after the last one that is held could not be.
    if (this.#held.length === 0) this.#tellLost();
    return { done: false, value: first.event };
  }

  #tellLost(): void {
    if (this.#lost === 0) return;
    this.#hold({ kind: "lost", count: this.#lost }, 0);
    this.#lost = 0;
  }

  #hold(event: SandboxEvent, weight: number): void {
    this.#held.push({ event, weight });
    this.#weight += weight;
  }
}

function setOf(kinds: readonly EventKind[]): (kind: string) => boolean {
  const wanted = new Set<string>(kinds);
  return (kind) => wanted.has(kind);
}

function recordOf({ event, ...fields }: JournalEvent): JournalRecord {
  return { time: new Date().toISOString(), event, fields };
}
