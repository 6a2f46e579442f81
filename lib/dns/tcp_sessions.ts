/**
 * DNS over TCP to the guest (RFC 7766): any number of questions per connection, answered as the
 * answers come, whatever their order.
 *
 * A connection is OPEN from `serve` on, with some questions under way, and CLOSED when all answers are
 * out and
 * - the guest closed its side, or
 * - bytes were no message, or a message no query: what came before is answered and nothing after it,
 *   however the guest's bytes were cut,
 *
 * or at once when
 * - nothing whole came or went for `idleMs`; a guest that dribbles bytes is idle,
 * - another connection needs its place and it is the one idle for longest (RFC 7766 §6.2.3).
 *
 * @module
 */
import type { Duplex } from "node:stream";
import { type Clock, systemClock } from "../base/clock.ts";
import { frameTcp, TcpDeframer } from "./wire/tcp_framing.ts";
import { MalformedDns } from "./wire/wire_name.ts";

export interface TcpLimits {
  readonly connections: number;
  /** Questions of one connection under way; the guest is not read beyond that. */
  readonly pipelined: number;
  readonly idleMs: number;
}

export const TCP_LIMITS: TcpLimits = { connections: 128, pipelined: 64, idleMs: 30_000 };

/** Answers one message; null when it deserves none. */
export type Answer = (query: Uint8Array) => Promise<Uint8Array | null>;

interface Session {
  readonly stream: Duplex;
  readonly deframer: TcpDeframer;
  readonly answer: Answer;
  /** Questions so far. */
  asked: number;
  /** The first of them that is not answered. */
  last: number;
  underWay: number;
  /** The guest says no more, or nothing that makes sense. */
  ended: boolean;
  stopTimer: () => void;
}

export class TcpSessions {
  readonly #clock: Clock;
  readonly #limits: TcpLimits;
  /** The one idle for longest first. */
  readonly #sessions = new Set<Session>();

  constructor(clock: Clock = systemClock, limits: TcpLimits = TCP_LIMITS) {
    this.#clock = clock;
    this.#limits = limits;
  }

  get size(): number {
    return this.#sessions.size;
  }

  /** Takes over a connection that the guest opened. */
  serve(stream: Duplex, answer: Answer): void {
    if (this.#sessions.size >= this.#limits.connections && !this.#makeRoom()) {
      stream.destroy();
      return;
    }
    const deframer = new TcpDeframer();
    const session: Session = {
      stream,
      deframer,
      answer,
      asked: 0,
      last: Infinity,
      underWay: 0,
      ended: false,
      stopTimer: () => {},
    };
    stream.on("data", (bytes: Uint8Array) => this.#take(session, bytes));
    stream.on("drain", () => this.#resume(session));
    stream.on("end", () => {
      session.ended = true;
      this.#settle(session);
    });
    stream.on("error", () => {}); // its close follows
    stream.on("close", () => this.#forget(session));
    this.#touch(session);
  }

  close(): void {
    for (const { stream } of [...this.#sessions]) stream.destroy();
  }

  #take(session: Session, bytes: Uint8Array): void {
    if (session.ended) return;
    const queries: Uint8Array[] = [];
    try {
      for (const query of session.deframer.push(bytes)) queries.push(query);
    } catch (error) {
      if (!(error instanceof MalformedDns)) throw error;
      this.#breakOff(session, session.asked + queries.length);
    }
    if (queries.length > 0) this.#touch(session);
    session.underWay += queries.length;
    if (session.underWay >= this.#limits.pipelined) session.stream.pause();
    for (const query of queries) void this.#reply(session, query, session.asked++);
    this.#settle(session);
  }

  async #reply(session: Session, query: Uint8Array, number: number): Promise<void> {
    const { stream } = session;
    const reply = await session.answer(query);
    session.underWay--;
    if (stream.destroyed) return;
    if (reply === null) this.#breakOff(session, number);
    else if (number < session.last) {
      this.#touch(session);
      if (stream.write(frameTcp(reply))) this.#resume(session);
      else stream.pause(); // the guest does not read: neither do we
    }
    this.#settle(session);
  }

  /** Reads no further; questions from that number on are not answered. */
  #breakOff(session: Session, from: number): void {
    session.last = Math.min(session.last, from);
    session.ended = true;
    session.stream.pause();
  }

  #resume({ stream, underWay, ended }: Session): void {
    if (!ended && !stream.writableNeedDrain && underWay < this.#limits.pipelined) stream.resume();
  }

  #settle({ stream, underWay, ended, last }: Session): void {
    if (!ended || underWay > 0 || stream.writableEnded) return;
    if (last === Infinity) stream.end();
    else stream.end(() => stream.destroy()); // the guest may not be done
  }

  /** Starts the idle time anew. */
  #touch(session: Session): void {
    session.stopTimer();
    session.stopTimer = this.#clock.after(this.#limits.idleMs, () => session.stream.destroy());
    this.#sessions.delete(session);
    this.#sessions.add(session);
  }

  #makeRoom(): boolean {
    for (const session of this.#sessions) {
      if (session.underWay > 0) continue;
      this.#forget(session);
      session.stream.destroy();
      return true;
    }
    return false;
  }

  #forget(session: Session): void {
    session.stopTimer();
    this.#sessions.delete(session);
  }
}
