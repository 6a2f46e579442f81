import { expect, test } from "bun:test";
import { waitForPort } from "../../lib/sandbox/wait_for_port.ts";
import { ManualClock } from "../support/manual_clock.ts";

/** A guest in which somebody listens at the given question. */
function guest(at: number) {
  let asked = 0;
  return {
    asked: () => asked,
    listening: () => Promise.resolve(++asked >= at ? ["0.0.0.0"] : []),
  };
}

test("a server that is there is found at the first question, and one that comes later at a later one", async () => {
  const clock = new ManualClock();
  expect(await waitForPort(guest(1), 80, {}, clock)).toEqual(["0.0.0.0"]);
  const late = guest(4);
  const waiting = waitForPort(late, 80, {}, clock);
  for (let n = 0; n < 3; n++) await clock.pass(500);
  expect(await waiting).toEqual(["0.0.0.0"]);
  expect(late.asked()).toBe(4);
});

test("nobody who listens in time is an error with a code, and no more is asked", async () => {
  const clock = new ManualClock();
  const empty = guest(Infinity);
  const waiting = waitForPort(empty, 80, { timeoutMs: 1_000 }, clock).catch((error) => error);
  for (let n = 0; n < 4; n++) await clock.pass(500);
  expect(await waiting).toMatchObject({ code: "PORT_TIMEOUT" });
  const asked = empty.asked();
  await clock.pass(5_000);
  expect(empty.asked()).toBe(asked);
});

test("an aborted wait rejects with the signal's reason, also when the guest never answers", async () => {
  const over = new AbortController();
  const mute = { listening: () => new Promise<never>(() => {}) };
  const waiting = waitForPort(mute, 80, { signal: over.signal }).catch((error) => error);
  const reason = new Error("enough");
  over.abort(reason);
  expect(await waiting).toBe(reason);
  await expect(waitForPort(mute, 80, { signal: over.signal })).rejects.toBe(reason);
});

test.each([[0, undefined], [65_536, undefined], [1.5, undefined], [80, 0], [80, NaN]])(
  "port %p and a limit of %p ms are refused",
  async (port, timeoutMs) => {
    const options = timeoutMs === undefined ? {} : { timeoutMs };
    await expect(waitForPort(guest(1), port, options)).rejects.toMatchObject({ code: "USAGE" });
  },
);
