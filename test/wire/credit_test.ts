import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { CreditReceiver, CreditSender } from "../../lib/wire/credit.ts";

class Violated extends Error {}
const violation = (what: string) => new Violated(what);

/** The two ends of one direction, joined without a wire between them. */
function joined(window: number, maxPayload: number) {
  let given = 0;
  const frames: Uint8Array[] = [];
  const receiver = new CreditReceiver({
    window,
    credit: (bytes) => given += bytes,
    violation,
  });
  const sender = new CreditSender({
    window,
    maxPayload,
    data: (bytes) => void frames.push(bytes),
    violation,
  });
  return {
    receiver,
    sender,
    frames,
    carry() {
      for (const frame of frames.splice(0)) receiver.take(frame);
      if (given > 0) sender.give(given);
      given = 0;
    },
  };
}

test("whatever is written and read, it all arrives, in order, and never more than a window waits", () => {
  const step = fc.oneof(
    fc.record({ write: fc.nat(3_000) }),
    fc.record({ read: fc.integer({ min: 1, max: 3_000 }) }),
    fc.constant("carry" as const),
  );
  fc.assert(
    fc.property(
      fc.array(step, { maxLength: 80 }),
      fc.integer({ min: 1, max: 2_000 }),
      (steps, window) => {
        const { receiver, sender, carry } = joined(window, 700);
        let [written, read] = [0, 0];
        let rest = new Uint8Array();
        const look = (limit: number) => {
          const bytes = receiver.read(limit);
          expect(bytes?.length ?? 0).toBeLessThanOrEqual(limit);
          for (const byte of bytes ?? []) {
            if (byte !== (read++ & 0xff)) throw new Error("out of order");
          }
          return bytes !== null;
        };
        for (const one of steps) {
          if (one === "carry") carry();
          else if ("read" in one) look(one.read);
          else {
            const more = Uint8Array.from({ length: one.write }, () => written++ & 0xff);
            rest = Uint8Array.from([...sender.push(Uint8Array.from([...rest, ...more]))]);
          }
          expect(receiver.unread).toBeLessThanOrEqual(window);
        }
        for (let idle = 0; idle < 2;) {
          carry();
          const before = read;
          while (look(window));
          carry();
          rest = Uint8Array.from(sender.push(rest));
          idle = read === before ? idle + 1 : 0;
        }
        expect([rest.length, read]).toEqual([0, written]);
      },
    ),
    { numRuns: 300 },
  );
});

describe("a receiver", () => {
  test.each<[string, (receiver: CreditReceiver) => void]>([
    ["more than the window", (receiver) => receiver.take(new Uint8Array(101))],
    ["more than is left of it", (receiver) => {
      receiver.take(new Uint8Array(60));
      receiver.take(new Uint8Array(41));
    }],
    ["more than is left of it, though nobody reads", (receiver) => {
      receiver.discard();
      receiver.take(new Uint8Array(60));
      receiver.take(new Uint8Array(41));
    }],
    ["frames without bytes", (receiver) => receiver.take(new Uint8Array())],
    ["bytes after the end", (receiver) => {
      receiver.end();
      receiver.take(new Uint8Array(1));
    }],
    ["the end twice", (receiver) => {
      receiver.end();
      receiver.end();
    }],
  ])("does not take %s", (_what, violate) => {
    const { receiver } = joined(100, 100);
    expect(() => violate(receiver)).toThrow(Violated);
  });

  test("takes a window, and as much again as was read of it", () => {
    const { receiver, carry } = joined(100, 100);
    receiver.take(new Uint8Array(100));
    expect(receiver.read(24)?.length).toBe(24); // less than a part: a frame would cost more
    expect(() => receiver.take(new Uint8Array(1))).toThrow(Violated);
    expect(receiver.read(1)?.length).toBe(1);
    receiver.take(new Uint8Array(25));
    expect(() => carry()).toThrow(Violated); // its own sender never sent anything
  });

  test("keeps a copy of what it is given", () => {
    for (const size of [3, 10_000]) {
      const { receiver } = joined(10_000, 10_000);
      const bytes = new Uint8Array(size).fill(7);
      receiver.take(bytes);
      bytes.fill(0);
      expect(receiver.read(size)?.every((byte) => byte === 7)).toBe(true);
    }
  });

  test("gives no credit back once the sender has ended, nor for what nobody reads", () => {
    for (const over of ["end", "discard"] as const) {
      const given: number[] = [];
      const credit = (bytes: number) => void given.push(bytes);
      const receiver = new CreditReceiver({ window: 100, credit, violation });
      receiver.take(new Uint8Array(100));
      receiver[over]();
      receiver.read(100);
      expect(given).toEqual([]);
    }
  });
});

describe("a sender", () => {
  test("sends a window in frames of the size that they may have, and keeps the rest", () => {
    const { sender, frames } = joined(100, 40);
    expect(sender.push(new Uint8Array(130)).length).toBe(30);
    expect(frames.map(({ length }) => length)).toEqual([40, 40, 20]);
    sender.give(10);
    expect(sender.push(new Uint8Array(30)).length).toBe(20);
  });

  test.each([[0], [1], [2 ** 32 - 1]])("does not take %i bytes of credit for nothing", (bytes) => {
    const { sender } = joined(100, 40);
    expect(() => sender.give(bytes)).toThrow(Violated);
  });
});
