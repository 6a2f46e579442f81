/**
 * The question whether a server listens on one port of the guest's loopback, asked for many connections
 * at once and seldom enough that a crowd costs the guest nothing.
 *
 * ```
 * connections   a b c          d e               f
 * questions     └──1──► none   └───2──► found ───┘ (kept for a second)
 * ```
 *
 * No answer is for a connection that came after its question was sent, unless it says that there is a
 * server: a server that has just started is found by the next connection.
 *
 * @module
 */
import type { Clock } from "../base/clock.ts";
import type { LoopbackServer } from "../guest/agent/result.ts";

/** From one question to the next; every one uses up a number of a call, of which there are 16 million. */
const PACE_MS = 100;

/** How long a server that was found is taken to be there. What leads to it stays open for longer. */
const KEEP_MS = 1_000;

export class LoopbackQuestion {
  readonly #ask: () => Promise<LoopbackServer | null>;
  readonly #clock: Clock;
  #found: { readonly server: LoopbackServer; readonly until: number } | undefined;
  /** The one that has not been sent yet. */
  #next: Promise<LoopbackServer | null> | undefined;
  /** The latest that was sent. */
  #sent: Promise<unknown> = Promise.resolve();
  #sentAt = -Infinity;

  constructor(ask: () => Promise<LoopbackServer | null>, clock: Clock) {
    this.#ask = ask;
    this.#clock = clock;
  }

  /** Null: nobody listens, or the guest does not say. Never rejects; may never settle. */
  answer(): Promise<LoopbackServer | null> {
    const server = this.#kept();
    if (server !== undefined) return Promise.resolve(server);
    return this.#next ??= this.#turn();
  }

  async #turn(): Promise<LoopbackServer | null> {
    await this.#sent;
    const server = this.#kept();
    if (server === undefined) await this.#pause(this.#sentAt + PACE_MS - this.#clock.now());
    this.#next = undefined;
    return server ?? this.#send();
  }

  #send(): Promise<LoopbackServer | null> {
    this.#sentAt = this.#clock.now();
    const answer = this.#ask().catch(() => null).then((server) => {
      this.#found = server === null ? undefined : { server, until: this.#clock.now() + KEEP_MS };
      return server;
    });
    this.#sent = answer;
    return answer;
  }

  #kept(): LoopbackServer | undefined {
    if (this.#found === undefined || this.#clock.now() >= this.#found.until) return undefined;
    return this.#found.server;
  }

  #pause(ms: number): Promise<void> {
    if (ms <= 0) return Promise.resolve();
    return new Promise((wake) => void this.#clock.after(ms, wake));
  }
}
