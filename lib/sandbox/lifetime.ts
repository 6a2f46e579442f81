/**
 * Parts that live and die together.
 *
 * States: OPEN → ENDING → ENDED. OPEN: parts are added; each one's own end is watched. The first
 * end, wanted or not, moves to ENDING: every other part is stopped, the last added first, and
 * nothing can be added any more. ENDED: all parts are gone. The reason given first stays.
 *
 * @module
 */
import { SbxError } from "../base/errors.ts";

/** One process or connection of a sandbox. */
export interface Part {
  /** Settles when the part is gone; the error says why when nobody asked for it. */
  readonly gone: Promise<SbxError | undefined>;
  /** Ends the part; called at most once, and never waits for longer than it takes to kill it. */
  stop(): void | Promise<void>;
}

export class Lifetime {
  readonly #parts: Part[] = [];
  readonly #ending = Promise.withResolvers<SbxError | undefined>();
  #ended: Promise<void> | undefined;

  /** Resolves at the first end: to the failure, or to undefined when it was asked for. */
  readonly ending: Promise<SbxError | undefined> = this.#ending.promise;

  get open(): boolean {
    return this.#ended === undefined;
  }

  /** Takes the part in. When the lifetime is already ending the part is stopped at once. */
  add(part: Part): void {
    if (!this.open) {
      void part.stop();
      return;
    }
    this.#parts.push(part);
    void part.gone.then((error) => this.end(error));
  }

  /** Ends everything, for the reason given unless there already is one; resolves when all is gone. */
  end(reason?: SbxError): Promise<void> {
    this.#ending.resolve(reason);
    // A turn later, so that a part that ends while it is being stopped finds the state ENDING.
    this.#ended ??= Promise.resolve().then(() => this.#stopAll());
    return this.#ended;
  }

  /**
   * The value, or the failure that ended the sandbox in the meantime. `doing` completes
   * "Cannot …: the sandbox was stopped".
   */
  async until<T>(value: Promise<T>, doing: string): Promise<T> {
    // A loser of the race must not become an unhandled rejection.
    value.catch(() => {});
    const ended = this.ending.then((reason) => {
      throw reason ?? new SbxError("STOPPED", `Cannot ${doing}: the sandbox was stopped`);
    });
    return await Promise.race([value, ended]);
  }

  async #stopAll(): Promise<void> {
    for (const part of this.#parts.toReversed()) {
      // One part that fails to stop must not keep the others alive.
      await Promise.resolve(part.stop()).catch(() => {});
      await part.gone;
    }
  }
}
