/**
 * What becomes of one question of the guest's, for whoever watches: states and reasons by name, and
 * never the name that was asked for.
 *
 * ```
 * asked ─┬──► known ───────────────────────────► answered | denied
 *        ├──► allowed ──► cached | forwarded ──► answered | denied | failed
 *        └──► denied
 * ```
 *
 * @module
 */
import { trace } from "../base/trace.ts";

export type QuestionState =
  | "new"
  | "asked"
  /** No resolver has to be asked. */
  | "known"
  | "allowed"
  | "cached"
  | "forwarded"
  | "answered"
  | "denied"
  | "failed";

export class QuestionLife {
  readonly #id: number;
  #state: QuestionState = "new";

  constructor(id: number) {
    this.#id = id;
  }

  become(state: QuestionState, event: string): void {
    trace("dns", { id: this.#id, from: this.#state, to: state, event });
    this.#state = state;
  }
}
