import { expect, test } from "bun:test";
import { SbxError } from "../../lib/base/errors.ts";
import { Pulse } from "../../lib/sandbox/pulse.ts";

const LOST = new SbxError("NETSTACK_LOST", "Cannot go on: netstack gave up");

/** What a loss is explained by after beats at these times, in milliseconds, and at the last of them. */
function explained(times: readonly number[], reason: SbxError | undefined = LOST) {
  const clock = [0, ...times];
  let at = 0;
  const pulse = new Pulse(() => clock[at] ?? NaN);
  while (++at < clock.length - 1) pulse.beat();
  return pulse.explain(reason);
}

test("a loss is explained by a long pause just before it, whether the beat or the loss is seen first", () => {
  for (const times of [[1000, 15_000], [1000, 15_000, 15_001], [1000, 15_000, 16_000, 17_000]]) {
    const error = explained(times);
    expect(error?.message).toBe(
      "Cannot go on: sbx was stopped or too busy for 14 s, and its guest was ended",
    );
    expect(error?.cause).toBe(LOST);
  }
});

test("any other loss keeps its own reason, and an end that was asked for has none", () => {
  expect(explained([1000, 2000, 3000])).toBe(LOST);
  expect(explained([1000, 15_000, 16_000, 22_000, 23_000])?.message).toContain("6 s");
  expect(explained([1000, 15_000, 19_000, 21_000])).toBe(LOST);
  const stopped = new SbxError("STOPPED", "Cannot start the sandbox: aborted");
  expect(explained([1000, 15_000], stopped)).toBe(stopped);
});
