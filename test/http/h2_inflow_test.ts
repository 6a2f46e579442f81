import { expect, test } from "bun:test";
import type { Buffer } from "node:buffer";
import { Budget } from "../../lib/http/budget.ts";
import { Code, H2Error } from "../../lib/http/h2/frame.ts";
import { Inflow } from "../../lib/http/h2/inflow.ts";

/** An inflow of 1,000 bytes that may borrow 500 of `budget`, and the credit that it gave. */
function inflow(budget: Budget) {
  const windows = { streamWindow: 400, window: 1_000, loan: 500, budget };
  const given: number[] = [];
  const flow = new Inflow(windows, (frame: Buffer) => given.push(frame.readUInt32BE(9)));
  return { flow, given };
}

/** Bytes that are taken, one at a time, before the connection is broken. */
function capacity(flow: Inflow): number {
  for (let bytes = 0;; bytes++) {
    try {
      flow.take(1);
    } catch (error) {
      if (!(error instanceof H2Error) || error.code !== Code.FlowControl) throw error;
      return bytes;
    }
  }
}

test("a connection takes its window and what it may borrow, and not a byte more", () => {
  const { flow, given } = inflow(new Budget(10_000));
  expect(capacity(flow)).toBe(1_500);
  expect(given).toEqual([250, 250]);
});

test("where others have borrowed everything, it takes its window", () => {
  const budget = new Budget(600);
  const first = inflow(budget);
  expect(capacity(first.flow)).toBe(1_500);
  expect(capacity(inflow(budget).flow)).toBe(1_000);
  first.flow.close();
  expect(capacity(inflow(budget).flow)).toBe(1_500);
});

test("what is passed on pays the loan back before it is given back to the peer", () => {
  const budget = new Budget(500);
  const { flow, given } = inflow(budget);
  for (let n = 0; n < 1_400; n++) flow.take(1);
  expect(given).toEqual([250, 250]);
  flow.consumed(0, 1_400);
  expect(given).toEqual([250, 250, 900]);
  expect(budget.borrow(500)).toBe(true); // all of it is there again
});
