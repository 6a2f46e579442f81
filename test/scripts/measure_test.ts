import { describe, expect, test } from "bun:test";
import type { Round, Series } from "../../scripts/measure/benchmark.ts";
import { interleave, medianOf, quantile, ratioOf } from "../../scripts/measure/rounds.ts";
import { formatTable } from "../../scripts/measure/table.ts";

const series = (name: string, ...values: number[]): Series => ({
  name,
  rounds: values.map((us): Round => ({ us })),
});

describe("rounds", () => {
  test("are taken in turn, each with another one first, and the warm-up does not count", async () => {
    const order: string[] = [];
    const subject = (name: string) => ({
      name,
      round: () => {
        order.push(name);
        return { n: order.length };
      },
    });
    const taken = await interleave([subject("a"), subject("b")], 2);
    expect(order.join("")).toBe("abbaab");
    expect(taken.map(({ name, rounds }) => [name, rounds.map(({ n }) => n)]))
      .toEqual([["a", [4, 5]], ["b", [3, 6]]]);
  });

  test.each([
    [[], NaN],
    [[7], 7],
    [[9, 1, 5], 5],
    [[4, 1, 3, 2], 2.5],
  ])("the median of %p is %p", (samples, median) => {
    expect(quantile(samples, 0.5)).toBe(median);
  });

  test("a ratio is taken within each round, so that a slow moment of the machine cancels out", () => {
    const [ours, theirs] = [series("ours", 10, 200, 12), series("theirs", 5, 100, 6)];
    expect(ratioOf(ours, theirs, "us")).toBe(2);
    expect(medianOf(ours, "us")).toBe(12);
    expect(ratioOf(ours, theirs, "never measured")).toBe(NaN);
  });
});

test("a table has a line a figure, the ratios below, and says which aims are met", () => {
  const text = formatTable({
    title: "speed",
    figures: [{ key: "us", title: "a call", unit: "us", digits: 1 }],
    series: [series("ours", 10, 20, 30), series("theirs", 20, 40, 60)],
    against: "theirs",
    aims: [
      { figure: "us", of: "ours", against: "theirs", atMost: 0.5 },
      { figure: "us", of: "ours", against: "theirs", atLeast: 0.6 },
      { figure: "us", of: "ours", against: "nobody", atMost: 1 },
    ],
  });
  expect(text).toBe(`speed: medians of 3 interleaved rounds, x is against theirs
              ours  theirs
  a call  us  20.0    40.0
           x  0.50    1.00
aims
  a call, ours  0.50 x theirs   at most 0.5     met
  a call, ours  0.50 x theirs  at least 0.6  missed
`);
});
