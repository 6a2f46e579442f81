import { describe, expect, test } from "bun:test";
import { Steps } from "../../scripts/measure/files.ts";
import type { Round, Series } from "../../scripts/measure/benchmark.ts";
import { interleave, medianOf, quantile, ratioOf } from "../../scripts/measure/rounds.ts";
import { formatTable } from "../../scripts/measure/table.ts";
import { treeOfPackages } from "../../scripts/measure/tree.ts";

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

  test("go on without who fails in one, whom none of them count then, and a note says why", async () => {
    let turns = 0;
    const breaking = {
      name: "pasta",
      round: () => {
        if (++turns === 2) throw new Error("it is broken");
        return { n: turns };
      },
    };
    const sound = { name: "sbx", round: () => ({ n: 1 }) };
    const notes: string[] = [];
    const options = { warmUp: 0, note: (line: string) => notes.push(line) };
    const taken = await interleave([breaking, sound], 3, options);
    expect(taken).toEqual([{ name: "sbx", rounds: [{ n: 1 }, { n: 1 }, { n: 1 }] }]);
    expect([turns, notes]).toEqual([2, [
      "round 1 of 3",
      "round 2 of 3",
      "without pasta: it is broken",
      "round 3 of 3",
    ]]);
  });

  test("reject when nobody is left, and when nobody would hear who is not", async () => {
    const broken = { name: "pasta", round: () => Promise.reject(new Error("it is broken")) };
    const sound = { name: "sbx", round: () => ({ n: 1 }) };
    await expect(interleave([broken], 1, { note: () => {} })).rejects.toThrow("nobody is left");
    await expect(interleave([broken, sound], 1)).rejects.toThrow("it is broken");
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

describe("small files", () => {
  test("are 3000 of 13 MB in all, and the same ones each time", () => {
    const entries = treeOfPackages().flatMap(({ entries }) => entries);
    expect(new Set(entries.map(({ path }) => path)).size).toBe(3000);
    const bytes = entries.map(({ data }) => data?.length ?? 0);
    expect(Math.round(bytes.reduce((all, one) => all + one) / 1e6)).toBe(13);
    expect(Math.max(...bytes)).toBeLessThan(16_384);
    const hash = new Bun.CryptoHasher("sha256");
    for (const { path, data = "" } of entries) hash.update(path).update(data);
    expect(hash.digest("hex")).toBe(
      "5f448908515d758830d5424004c15c4563a946b49606d05bb2d9232b5b8ec9ff",
    );
  });

  const figures = [{ key: "read", title: "read", unit: "s" }, {
    key: "stat",
    title: "stat",
    unit: "s",
  }];

  test("are timed by the lines around each step, however they come", () => {
    const taken = new Steps();
    taken.take("beg", 0);
    taken.take("ins\n", 1_000);
    taken.take("read\nbegins\n", 3_000);
    taken.take("stat\n", 3_500);
    expect(taken.round(figures)).toEqual({ read: 2, stat: 0.5 });
  });

  test("whose steps did not all end are no round", () => {
    const taken = new Steps();
    taken.take("begins\nread\nbegins\nsta", 0);
    expect(() => taken.round(figures)).toThrow("it came to no end: stat");
  });
});
