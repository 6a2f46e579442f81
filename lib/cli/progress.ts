/**
 * The line at the end of a terminal that says what is waited for, once that has taken a second, and goes when it is
 * there. Whoever prints takes the line away first; it is back with the next second.
 *
 * @module
 */
import { type Clock, systemClock } from "../base/clock.ts";

/** What is quicker needs no words. */
const SECOND_MS = 1000;

/** A cursor at the beginning of an empty line. */
const ERASE = "\r\x1b[K";

/** A terminal as this line needs it. */
export interface ProgressScreen {
  write(text: string): void;
  /** How many characters a line has; a longer one would stay behind. */
  columns(): number;
}

type State =
  /** Nothing of it is on the screen. */
  | { readonly kind: "hidden"; readonly forget: () => void }
  | { readonly kind: "shown"; readonly forget: () => void }
  | { readonly kind: "over" };

export class Progress {
  readonly #what: string;
  readonly #screen: ProgressScreen;
  readonly #clock: Clock;
  readonly #since: number;
  #state: State;

  constructor(what: string, screen: ProgressScreen, clock: Clock = systemClock) {
    this.#what = what;
    this.#screen = screen;
    this.#clock = clock;
    this.#since = clock.now();
    this.#state = { kind: "hidden", forget: this.#next() };
  }

  /** Before something else is printed. */
  hide(): void {
    if (this.#state.kind !== "shown") return;
    this.#screen.write(ERASE);
    this.#state = { ...this.#state, kind: "hidden" };
  }

  /** What was waited for is there, or never will be. */
  end(): void {
    this.hide();
    if (this.#state.kind !== "over") this.#state.forget();
    this.#state = { kind: "over" };
  }

  #next(): () => void {
    return this.#clock.after(SECOND_MS, () => this.#show());
  }

  #show(): void {
    const seconds = Math.round((this.#clock.now() - this.#since) / 1000);
    const line = `sbx: ${this.#what} … ${seconds} s`;
    this.#screen.write(ERASE + line.slice(0, this.#screen.columns() - 1));
    this.#state = { kind: "shown", forget: this.#next() };
  }
}
