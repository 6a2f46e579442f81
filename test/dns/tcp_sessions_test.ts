/**
 * DNS over TCP as guests speak it: pipelined, dribbled, malformed, abandoned, and far too much of it.
 */
import { Buffer } from "node:buffer";
import { Duplex } from "node:stream";
import { setImmediate } from "node:timers/promises";
import { describe, expect, test } from "bun:test";
import { type Answer, TCP_LIMITS, TcpSessions } from "../../lib/dns/tcp_sessions.ts";
import { frameTcp, TcpDeframer } from "../../lib/dns/wire/tcp_framing.ts";
import { MalformedDns } from "../../lib/dns/wire/wire_name.ts";
import { ManualClock } from "../support/manual_clock.ts";

/** The guest's end of a connection: what it sends and what it got. */
class GuestEnd extends Duplex {
  readonly #deframer = new TcpDeframer();
  readonly got: string[] = [];
  /** False: the guest does not read what it is sent. */
  reads = true;
  #unread: (() => void) | null = null;

  override _read(): void {}

  override _write(bytes: Uint8Array, _: string, done: () => void): void {
    for (const message of this.#deframer.push(bytes)) this.got.push(text(message));
    if (this.reads) done();
    else this.#unread = done;
  }

  readOn(): void {
    this.reads = true;
    this.#unread?.();
  }

  say(...messages: readonly string[]): void {
    for (const message of messages) this.push(frameTcp(Buffer.from(message)));
  }
}

function text(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}

const echo: Answer = (query) => Promise.resolve(query);

/** Enough turns for streams to hand on what they have. */
async function turns(): Promise<void> {
  for (let i = 0; i < 20; i++) await setImmediate();
}

describe("a connection", () => {
  test("carries a hundred questions in one segment, each answered as its answer comes", async () => {
    const sessions = new TcpSessions(new ManualClock());
    const guest = new GuestEnd();
    const waiting: { query: Uint8Array; answer: (reply: Uint8Array) => void }[] = [];
    sessions.serve(guest, (query) => new Promise((answer) => waiting.push({ query, answer })));
    const questions = Array.from({ length: 100 }, (_, i) => `question ${i}`);
    guest.push(Buffer.concat(questions.map((question) => frameTcp(Buffer.from(question)))));
    await turns();
    expect(waiting.length).toBe(100);
    for (const { query, answer } of waiting.toReversed()) answer(query);
    await turns();
    expect(guest.got).toEqual(questions.toReversed());
  });

  test("may be dribbled byte by byte, and split inside the length", async () => {
    const sessions = new TcpSessions(new ManualClock());
    const guest = new GuestEnd();
    sessions.serve(guest, echo);
    const bytes = Buffer.concat(["one", "two"].map((word) => frameTcp(Buffer.from(word))));
    for (const byte of bytes) {
      guest.push(Uint8Array.of(byte));
      await turns();
    }
    expect(guest.got).toEqual(["one", "two"]);
  });

  test("is closed by a message without bytes, or one that deserves no answer", async () => {
    for (const answer of [echo, () => Promise.resolve(null)]) {
      const sessions = new TcpSessions(new ManualClock());
      const guest = new GuestEnd();
      sessions.serve(guest, answer);
      guest.push(answer === echo ? Uint8Array.of(0, 0) : frameTcp(Uint8Array.of(1)));
      await turns();
      expect([guest.destroyed, guest.got, sessions.size]).toEqual([true, [], 0]);
    }
  });

  test("is closed when nothing whole came for half a minute, dribble or not", async () => {
    const clock = new ManualClock();
    const sessions = new TcpSessions(clock);
    const guest = new GuestEnd();
    sessions.serve(guest, echo);
    guest.say("hello");
    await turns();
    guest.push(Uint8Array.of(0xff, 0xff));
    for (let seconds = 1; seconds < 30; seconds++) {
      guest.push(Uint8Array.of(0));
      await turns();
      await clock.pass(1_000);
    }
    expect(guest.destroyed).toBe(false);
    await clock.pass(1_000);
    expect([guest.destroyed, guest.got]).toEqual([true, ["hello"]]);
  });

  test("whose guest has said all gets the answers that are due, then its end", async () => {
    const sessions = new TcpSessions(new ManualClock());
    const guest = new GuestEnd();
    const { promise, resolve } = Promise.withResolvers<void>();
    sessions.serve(guest, (query) => promise.then(() => query));
    guest.say("last");
    guest.push(null);
    await turns();
    expect([guest.got, guest.writableEnded]).toEqual([[], false]);
    resolve();
    await turns();
    expect([guest.got, guest.writableEnded]).toEqual([["last"], true]);
  });

  test("is read no further while many of its questions are under way", async () => {
    const sessions = new TcpSessions(new ManualClock());
    const guest = new GuestEnd();
    let asked = 0;
    sessions.serve(guest, () => (asked++, new Promise(() => {})));
    for (let i = 0; i < 1_000; i++) {
      guest.say(`${i}`);
      await setImmediate();
    }
    expect(asked).toBe(TCP_LIMITS.pipelined);
  });

  test("is read no further while its guest does not read", async () => {
    const sessions = new TcpSessions(new ManualClock());
    const guest = new GuestEnd({ writableHighWaterMark: 1_000 });
    guest.reads = false;
    let asked = 0;
    sessions.serve(guest, () => (asked++, Promise.resolve(new Uint8Array(2_000))));
    for (let i = 0; i < 1_000; i++) {
      guest.say(`${i}`);
      await setImmediate();
    }
    expect(asked).toBeLessThan(70);
    guest.readOn();
    await turns();
    expect(asked).toBeGreaterThan(100);
  });
});

describe("a thousand idle connections", () => {
  const crowd = async (sessions: TcpSessions) => {
    const idle = Array.from({ length: 1_000 }, () => new GuestEnd());
    for (const guest of idle) sessions.serve(guest, echo);
    await turns();
    return idle;
  };

  test("keep no place from one that asks", async () => {
    const sessions = new TcpSessions(new ManualClock());
    const idle = await crowd(sessions);
    expect(sessions.size).toBe(TCP_LIMITS.connections);
    expect(idle.findIndex((guest) => !guest.destroyed)).toBe(1_000 - TCP_LIMITS.connections);
    const guest = new GuestEnd();
    sessions.serve(guest, echo);
    guest.say("here");
    await turns();
    expect(guest.got).toEqual(["here"]);
  });

  test("take none from those that wait for an answer", async () => {
    const sessions = new TcpSessions(new ManualClock());
    const busy = Array.from({ length: TCP_LIMITS.connections }, () => new GuestEnd());
    const { promise, resolve } = Promise.withResolvers<void>();
    for (const guest of busy) {
      sessions.serve(guest, (query) => promise.then(() => query));
      guest.say("slow");
    }
    await turns();
    const idle = await crowd(sessions);
    expect(idle.every((guest) => guest.destroyed)).toBe(true);
    resolve();
    await turns();
    expect(busy.map(({ got }) => got)).toEqual(busy.map(() => ["slow"]));
  });
});

test("random bytes in random pieces are messages or the declared error, and nothing piles up", () => {
  let state = 7;
  const below = (limit: number) =>
    (state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0) % limit;
  for (let round = 0; round < 2_000; round++) {
    const deframer = new TcpDeframer();
    let [came, left] = [0, 0];
    try {
      for (let piece = 0; piece < 10; piece++) {
        const bytes = Uint8Array.from({ length: below(40) }, () => below(3));
        came += bytes.length;
        for (const message of deframer.push(bytes)) left += message.length + 2;
        expect(left).toBeLessThanOrEqual(came);
      }
    } catch (error) {
      expect(error).toBeInstanceOf(MalformedDns);
    }
  }
});

test("a message keeps its bytes when the socket reads on into the same memory", () => {
  const room = Buffer.from(frameTcp(Uint8Array.of(1, 2, 3)));
  const [message] = new TcpDeframer().push(room);
  room.fill(0);
  expect([...message ?? []]).toEqual([1, 2, 3]);
});
