import { afterEach, expect, test } from "bun:test";
import { isTraced, trace, traceTo } from "../../lib/base/trace.ts";

afterEach(() => traceTo(() => {}, []));

const STEP = { id: 7, from: "asked", to: "open", event: "allow" } as const;

test("a watched part tells its changes as one line each, and no other part does", () => {
  const lines: string[] = [];
  traceTo((line) => lines.push(line), ["flow", "dns"]);
  trace("flow", STEP);
  trace("agent", STEP);
  trace("dns", { ...STEP, id: "7/1" });
  expect(lines).toEqual([
    "trace flow 7 asked → open (allow)",
    "trace dns 7/1 asked → open (allow)",
  ]);
  expect([isTraced("flow"), isTraced("agent")]).toEqual([true, false]);
});

test("nothing is told before anybody asks, nor after", () => {
  const lines: string[] = [];
  trace("flow", STEP);
  traceTo((line) => lines.push(line), ["flow"]);
  traceTo((line) => lines.push(line), []);
  trace("flow", STEP);
  expect(lines).toEqual([]);
});

test("an event that is text of others is one line all the same", () => {
  const lines: string[] = [];
  traceTo((line) => lines.push(line), ["agent"]);
  trace("agent", { ...STEP, event: "a\nb\x1b[2J" });
  expect(lines).toHaveLength(1);
  for (const raw of ["\n", "\x1b"]) expect(lines[0]).not.toContain(raw);
});
