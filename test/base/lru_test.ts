import { expect, test } from "bun:test";
import { LruMap } from "../../lib/base/lru.ts";

test("what was used least lately goes first, whether used by reading or by writing", () => {
  const map = new LruMap<string, number>(3);
  for (const key of ["a", "b", "c"]) map.set(key, 1);
  map.get("a");
  map.set("b", 2);
  map.set("d", 1);
  expect(["a", "b", "c", "d"].map((key) => map.get(key))).toEqual([1, 2, undefined, 1]);
});

test("the weight stays within the capacity, and a value heavier than that is not kept", () => {
  const map = new LruMap<number, number>(1_000, (weight) => weight);
  for (let key = 0; key < 5_000; key++) {
    map.set(key, key % 97);
    expect(map.weight).toBeLessThanOrEqual(1_000);
  }
  expect(map.get(4_999)).toBe(4_999 % 97);
  expect(map.weight).toBeGreaterThan(800);
  map.set(0, 1_001);
  expect(map.get(0)).toBeUndefined();
});

test("a value that replaces another counts once", () => {
  const map = new LruMap<string, number>(100, (weight) => weight);
  for (let weight = 1; weight <= 90; weight++) map.set("key", weight);
  expect([map.size, map.weight]).toEqual([1, 90]);
  map.delete("key");
  expect([map.size, map.weight]).toEqual([0, 0]);
});
