import { expect, test } from "bun:test";
import { Calls } from "../../lib/wire/calls.ts";

test("each call has a number of its own, is found by it, and is answered once", () => {
  const calls = new Calls<string>(10);
  const [first, second] = [calls.open("a"), calls.open("b")];
  expect([first, second]).toEqual([1, 2]);
  expect(calls.find(1)).toBe("a");
  expect([calls.settle(1), calls.settle(1), calls.find(1)]).toEqual(["a", undefined, undefined]);
  expect([calls.settle(0), calls.settle(9)]).toEqual([undefined, undefined]);
  expect(calls.open("c")).toBe(3);
});

test("a number is not used again when there are no more", () => {
  const calls = new Calls<string>(2);
  calls.open("a");
  expect(calls.isUsedUp).toBe(false);
  calls.open("b");
  calls.settle(1);
  expect(calls.isUsedUp).toBe(true);
  expect(() => calls.open("c")).toThrow(RangeError);
  expect(calls.find(1)).toBeUndefined();
});

test("what is lost takes all that are open with it, in the order in which they came", () => {
  const calls = new Calls<string>(9);
  for (const call of ["a", "b", "c"]) calls.open(call);
  calls.settle(2);
  expect(calls.settleAll()).toEqual(["a", "c"]);
  expect([calls.settleAll(), calls.find(1)]).toEqual([[], undefined]);
});

test("it knows how many there were, and whether one waits for its answer", () => {
  const calls = new Calls<string>(9, 4);
  expect([calls.last, calls.isAnyOpen]).toEqual([4, false]);
  calls.open("a");
  expect([calls.last, calls.isAnyOpen]).toEqual([5, true]);
  calls.settle(5);
  expect([calls.last, calls.isAnyOpen]).toEqual([5, false]);
});
