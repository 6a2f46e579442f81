/**
 * The streams of one HTTP/2 connection with their states. Those that are closed are remembered for a
 * while, because what may still come for them depends on how they ended.
 *
 * @module
 */
import { isTraced, trace } from "../../base/trace.ts";
import { Code, H2Error } from "./frame.ts";
import { type Closed, isLive, type Live, type StreamState } from "./stream_state.ts";

/**
 * Closed streams that are remembered. More than can be reset at once, so that what crosses a reset of
 * ours is known for what it is.
 */
const MAX_CLOSED = 2_048;

export class StreamTable {
  readonly #name: string;
  readonly #live = new Map<number, Live>();
  /** Oldest first. */
  readonly #closed = new Map<number, Closed>();
  /** The highest that was ever opened; all of them by the client. */
  #last = 0;
  /** Streams up to this one may have been closed and forgotten. */
  #forgotten = 0;

  /** `name`: of the session, in traces. */
  constructor(name: string) {
    this.#name = name;
  }

  /** Streams that are open in either direction. */
  get size(): number {
    return this.#live.size;
  }

  get last(): number {
    return this.#last;
  }

  /** The number of a client's next stream. */
  get next(): number {
    return this.#last === 0 ? 1 : this.#last + 2;
  }

  isLive(id: number): boolean {
    return this.#live.has(id);
  }

  /** @throws H2Error for a stream that only a server could open: none may (RFC 9113 8.4). */
  stateOf(id: number): StreamState {
    const live = this.#live.get(id);
    if (live !== undefined) return live;
    if (id % 2 === 0) throw new H2Error(Code.Protocol, "a stream of the wrong side");
    if (id > this.#last) return "idle";
    return this.#closed.get(id) ?? (id <= this.#forgotten ? "forgotten" : "passed over");
  }

  /** `event`: the frame that did it, for traces. */
  set(id: number, state: StreamState, event: string): void {
    if (isTraced("http")) this.#trace(id, state, event);
    if (id > this.#last) this.#last = id;
    if (isLive(state)) return void this.#live.set(id, state);
    if (state === "idle") return;
    this.#live.delete(id);
    this.#closed.set(id, state);
    if (this.#closed.size <= MAX_CLOSED) return;
    for (const [oldest] of this.#closed) {
      this.#closed.delete(oldest);
      this.#forgotten = Math.max(this.#forgotten, oldest);
      break;
    }
  }

  #trace(id: number, to: StreamState, event: string): void {
    const from = this.stateOf(id);
    if (from !== to) trace("http", { id: `${this.#name}/${id}`, from, to, event });
  }
}
