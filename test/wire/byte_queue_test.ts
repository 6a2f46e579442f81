import { expect, test } from "bun:test";
import { Buffer } from "node:buffer";
import fc from "fast-check";
import { ByteQueue } from "../../lib/wire/byte_queue.ts";

test("what goes in comes out, in order, however it is cut", () => {
  const step = fc.oneof(
    fc.record({ push: fc.nat(20_000) }),
    fc.record({ take: fc.integer({ min: 1, max: 20_000 }) }),
  );
  fc.assert(fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
    const queue = new ByteQueue();
    let next = 0;
    let expected = 0;
    for (const one of steps) {
      if ("push" in one) {
        queue.push(Buffer.from(Array.from({ length: one.push }, () => next++ & 0xff)));
      } else {
        const part = queue.take(one.take);
        expect(part.length).toBeLessThanOrEqual(one.take);
        for (const byte of part) if (byte !== (expected++ & 0xff)) throw new Error("out of order");
      }
      expect(queue.size).toBe(next - expected);
    }
    while (queue.size > 0) expected += queue.take(1_000).length;
    expect(expected).toBe(next);
  }));
});

test("takes its own copy of small pieces, whose memory their sender may use again", () => {
  const queue = new ByteQueue();
  const piece = Buffer.from("abc");
  queue.push(piece);
  piece.fill("x");
  expect(queue.take(10).toString()).toBe("abc");
});
