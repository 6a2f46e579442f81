import { expect, test } from "bun:test";
import { type Correction, correctionFor, GuestClock } from "../../lib/guest/guest_clock.ts";
import { until } from "../support/process.ts";

test("what may be behind is stepped, a little ahead is left, and more goes back slowly or at once", () => {
  const received = 1_700_000_000_000_000;
  for (
    const [ahead, adjustUs, slew] of [
      [-9_000_000, 9_000_000, false],
      [-1, 1, false],
      [0, 0, false],
      [10_000, 0, false],
      [10_001, -10_001, true],
      [127_999, -127_999, true],
      [128_000, -128_000, false],
      [3_600_000_000, -3_600_000_000, false],
    ] as const
  ) {
    expect(correctionFor({ guest: received + ahead, received })).toEqual({ adjustUs, slew });
  }
});

/** A guest whose clock is off, and whose answers take a while. */
function guest({ offMs, delaysMs }: { offMs: number; delaysMs: number[] }) {
  let off = offMs * 1000;
  const asked: Correction[] = [];
  const ask = async (correction: Correction) => {
    asked.push(correction);
    const delay = delaysMs.shift() ?? 0;
    await new Promise((resolve) => setTimeout(resolve, delay));
    off += correction.adjustUs;
    return Date.now() * 1000 + off;
  };
  return { ask, asked, off: () => off };
}

test("a clock is set by one answer, and the wait for the boot counts for nothing", async () => {
  const { ask, asked, off } = guest({ offMs: -4000, delaysMs: [300, 0] });
  await (await new GuestClock(ask).begin()).set;
  expect(off()).toBeGreaterThanOrEqual(0);
  expect(off()).toBeLessThan(100_000);
  expect(asked.length).toBe(2);
});

test("it is corrected by the best of several exchanges soon after the start", async () => {
  const { ask, off } = guest({ offMs: -4000, delaysMs: [] });
  const clock = new GuestClock(ask);
  clock.keep();
  await until("the first correction", () => off() >= 0);
  clock.stop();
  expect(off()).toBeLessThan(100_000);
});

test("a guest whose every answer is late is asked a bounded number of times", async () => {
  const { ask, asked, off } = guest({ offMs: -4000, delaysMs: Array(20).fill(30) });
  await (await new GuestClock(ask).begin()).set;
  expect(asked.length).toBeLessThanOrEqual(2);
  expect(off()).toBeGreaterThanOrEqual(0);
});
