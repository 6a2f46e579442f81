/**
 * Parts that live and die together.
 *
 * States: OPEN → ENDING → ENDED. OPEN: parts are added; each one's own end is watched. The first
 * end, wanted or not, moves to ENDING: every other part is stopped, the last added first, and
 * nothing can be added any more. ENDED: all parts are gone. The reason given first stays.
 *
 * @module
 */
import { setTimeout as delay } from "node:timers/promises";
import { SbxError } from "../base/errors.ts";

/** Killed processes are gone at once, unless the kernel does not let go of one. */
const STOP_MS = 5_000;

/** One process or connection of a sandbox. */
export interface Part {
  /** What people call it. */
  readonly name: string;
  /** Settles when the part is gone; the error says why when nobody asked for it. */
  readonly gone: Promise<SbxError | undefined>;
  /** Ends the part; called at most once, and never waits for longer than it takes to kill it. */
  stop(): void | Promise<void>;
}

export interface LifetimeWatcher {
  /** Lines worth telling a person. */
  readonly notice?: (line: string) => void;
  /** A better reason, when there is one; called once, at the first end. */
  readonly explain?: (reason: SbxError | undefined) => SbxError | undefined;
}

export class Lifetime {
  readonly #parts: Part[] = [];
  readonly #watcher: LifetimeWatcher;
  readonly #ending = Promise.withResolvers<SbxError | undefined>();
  #ended: Promise<void> | undefined;

  /** Resolves at the first end: to the failure, or to undefined when it was asked for. */
  readonly ending: Promise<SbxError | undefined> = this.#ending.promise;

  constructor(watcher: LifetimeWatcher = {}) {
    this.#watcher = watcher;
  }

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

  /**
   * Ends everything, for the reason given unless there already is one; resolves when all is gone, or
   * cannot be ended.
   */
  end(reason?: SbxError): Promise<void> {
    if (this.open) this.#ending.resolve(this.#watcher.explain?.(reason) ?? reason);
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
      // One part that fails to stop, or does not end, must not keep the others alive.
      const stopped = Promise.resolve(part.stop()).catch(() => {}).then(() => part.gone);
      const timer = new AbortController();
      const late = delay(STOP_MS, "late", { signal: timer.signal }).catch(() => {});
      const left = await Promise.race([stopped, late]) === "late";
      timer.abort();
      if (left) this.#watcher.notice?.(`${part.name} does not end, and is left behind`);
    }
  }
}
