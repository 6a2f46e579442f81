import { expect, test } from "bun:test";
import fc from "fast-check";
import { type Denial, Denials } from "../../lib/journal/denials.ts";
import { ManualClock } from "../support/manual_clock.ts";

function told() {
  const clock = new ManualClock();
  const reports: Denial[] = [];
  const denials = new Denials((denial) => reports.push(denial), clock);
  let asked = 0;
  const hint = () => {
    asked++;
    return { allow: "--allow x", text: "--allow x would allow it" };
  };
  const note = (target: string, count = 1) =>
    denials.note({ target, reason: "rule", because: "rule 0, deny@x", hint }, count);
  return {
    asked: () => asked,
    clock,
    reports,
    denials,
    note,
    lines: () => reports.map(({ line }) => line),
  };
}

test("the first denial of a kind is told at once, with what would allow it, and the next ones as a number", async () => {
  const { clock, note, lines, asked } = told();
  note("tcp 10.0.0.5:1");
  const first = "denied tcp 10.0.0.5:1: rule 0, deny@x; --allow x would allow it";
  expect(lines()).toEqual([first]);
  for (let n = 0; n < 500; n++) note("tcp 10.0.0.5:1");
  await clock.pass(9_999);
  expect(lines()).toEqual([first]);
  await clock.pass(1);
  expect(lines()).toEqual([first, "denied tcp 10.0.0.5:1, 500 more: rule 0, deny@x"]);
  await clock.pass(60_000);
  expect([lines().length, asked()]).toEqual([2, 1]);
});

test("kinds differ by target, name and reason, and by nothing else", () => {
  const { denials, reports } = told();
  const same = { target: "dns a.test", reason: "rule", because: "" } as const;
  denials.note(same);
  denials.note({ ...same, because: "in other words", rule: 3 });
  denials.note({ ...same, name: "b.test" });
  denials.note({ ...same, reason: "default" });
  denials.note({ ...same, target: "dns c.test" });
  expect(reports.map(({ target, name, reason }) => [target, name, reason])).toEqual([
    ["dns a.test", undefined, "rule"],
    ["dns a.test", "b.test", "rule"],
    ["dns a.test", undefined, "default"],
    ["dns c.test", undefined, "rule"],
  ]);
});

test("a scan costs a few lines, bounded memory, and is whole in the summary", async () => {
  const { clock, denials, note, reports, asked } = told();
  for (let port = 0; port < 60_000; port++) note(`tcp 10.0.0.5:${port}`);
  expect(reports).toHaveLength(20);
  await clock.pass(60_000);
  expect([reports.length, asked()]).toEqual([25, 25]);
  const { kinds, others } = denials.top(3);
  expect(kinds.every(({ count }) => count === 1)).toBe(true);
  expect([denials.total, others]).toEqual([60_000, 59_997]);
});

test("no report claims more than there was, and the most frequent are named with all of theirs", async () => {
  const step = fc.tuple(
    fc.nat({ max: 40 }),
    fc.integer({ min: 1, max: 9 }),
    fc.nat({ max: 3_000 }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 80 }), async (steps) => {
      const { clock, denials, note, reports } = told();
      const counts = new Map<string, number>();
      for (const [kind, count, pause] of steps) {
        const target = `tcp 10.0.0.${kind}:1`;
        counts.set(target, (counts.get(target) ?? 0) + count);
        note(target, count);
        await clock.pass(pause);
      }
      for (const [target, count] of counts) {
        const claimed = reports.filter((report) => report.target === target)
          .reduce((sum, report) => sum + report.count, 0);
        expect(claimed).toBeLessThanOrEqual(count);
      }
      const most = [...counts.values()].sort((a, b) => b - a).slice(0, 3);
      const { kinds, others } = denials.top(3);
      expect(kinds.map(({ count }) => count)).toEqual(most);
      expect(kinds.every(({ target, count }) => counts.get(target) === count)).toBe(true);
      const all = [...counts.values()].reduce((sum, count) => sum + count, 0);
      expect([denials.total, others]).toEqual([all, all - most.reduce((sum, n) => sum + n, 0)]);
    }),
    { numRuns: 200 },
  );
});

test("after the end nothing is told any more, and everything still counts", async () => {
  const { clock, denials, note, reports } = told();
  note("a");
  note("a", 7);
  denials.close();
  note("a", 2);
  await clock.pass(60_000);
  expect(reports.map(({ count }) => count)).toEqual([1]);
  expect(denials.top(1)).toEqual({ kinds: [{ target: "a", count: 10 }], others: 0 });
});

test("what somebody else tells of is counted, and no more", () => {
  const reports: Denial[] = [];
  const denials = new Denials((denial) => reports.push(denial), new ManualClock());
  const attempt = { target: "tcp 10.0.0.5:1", reason: "secret-violation", because: "x" } as const;
  for (let n = 0; n < 100; n++) denials.note({ ...attempt, silent: true });
  denials.note({ ...attempt, target: "dns x" });
  expect(reports.map(({ line }) => line)).toEqual(["denied dns x: x"]);
  expect([denials.total, denials.top(1).kinds]).toEqual([
    101,
    [{ target: "tcp 10.0.0.5:1", count: 100 }],
  ]);
});
