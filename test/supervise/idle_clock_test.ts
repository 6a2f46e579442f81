/** When nobody has used a sandbox for long enough; time is the test's. */
import { afterEach, beforeEach, expect, jest, test } from "bun:test";
import { IdleClock } from "../../lib/supervise/idle_clock.ts";

beforeEach(() => void jest.useFakeTimers());
afterEach(() => void jest.useRealTimers());

function clockOf(limitMs: number | undefined) {
  let over = 0;
  const clock = new IdleClock(limitMs, () => over++);
  return { clock, over: () => over, pass: (ms: number) => void jest.advanceTimersByTime(ms) };
}

test("it is over once, after so long without anybody", () => {
  const { over, pass } = clockOf(1_000);
  pass(999);
  expect(over()).toBe(0);
  pass(1);
  expect(over()).toBe(1);
  pass(10_000);
  expect(over()).toBe(1);
});

test("the last of several users begins the time anew, and one is done once", () => {
  const { clock, over, pass } = clockOf(1_000);
  const [one, two] = [clock.use(), clock.use()];
  one();
  one();
  pass(5_000);
  expect(over()).toBe(0);
  two();
  pass(999);
  expect(over()).toBe(0);
  pass(1);
  expect(over()).toBe(1);
});

test("months are as long as they are, and without a limit it is never over", () => {
  const month = 30 * 24 * 3_600_000; // longer than a timer of the system can be
  const long = clockOf(month);
  long.pass(month - 1);
  expect(long.over()).toBe(0);
  long.pass(1);
  expect(long.over()).toBe(1);
  const never = clockOf(undefined);
  never.pass(month);
  expect(never.over()).toBe(0);
});

test("what was closed is not over later", () => {
  const { clock, over, pass } = clockOf(1_000);
  const done = clock.use();
  clock.close();
  done();
  pass(5_000);
  expect(over()).toBe(0);
});
