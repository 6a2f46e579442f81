/**
 * What a guest does as often as it likes costs a bounded number of lines, and none is left out unsaid.
 */
import { expect, test } from "bun:test";
import type { FlowEvent } from "../../lib/flow/flow_event.ts";
import type { Exchange } from "../../lib/http/exchange.ts";
import { Denials } from "../../lib/journal/denials.ts";
import type { JournalEvent } from "../../lib/journal/format.ts";
import { Recorder } from "../../lib/journal/recorder.ts";
import type { Ruling } from "../../lib/judge/ruling.ts";
import { snapshotOf } from "../../lib/judge/snapshot.ts";
import { fixedPins } from "../../lib/policy/model/fixed_pins.ts";
import { allowAll } from "../../lib/policy/model/presets.ts";
import { Gathered } from "../../lib/sandbox/gathered.ts";
import { ManualClock } from "../support/manual_clock.ts";

const INFO = {
  proto: "tcp",
  dir: "outbound",
  src: "192.168.127.2",
  sport: 40_000,
  dst: "93.184.216.34",
  dport: 443,
} as const;
const ALLOWED: Ruling = { action: "allow", reason: "default" };
const note = (id: number) => ({ id, info: INFO, ruling: ALLOWED });
const opened = (id: number): FlowEvent => ({
  kind: "opened",
  ...note(id),
  dialled: "93.184.216.34:443",
});
const closed = (id: number, wasOpen = true): FlowEvent => ({
  kind: "closed",
  ...note(id),
  up: 1,
  down: 2,
  ms: 3,
  end: wasOpen ? "eof" : "refused",
  opened: wasOpen,
});
const EXCHANGE: Exchange = {
  request: { method: "GET", host: "a.test", path: "/" },
  status: 200,
  up: 0,
  down: 0,
  ms: 1,
};

const SNAPSHOT = snapshotOf(
  { policy: allowAll() },
  { addresses: [], links: [] },
  fixedPins([]),
);

function recording() {
  const time = { ms: 0 };
  const clock = { now: () => time.ms, after: () => () => {} };
  const written: JournalEvent[] = [];
  const journal = {
    write: (event: JournalEvent) => void written.push(event),
    close: () => Promise.resolve(0),
  };
  const recorder = new Recorder(journal, new Denials(() => {}, clock), () => SNAPSHOT, clock);
  const count = (event: string) => written.filter((one) => one.event === event).length;
  const suppressed = (what: "opened" | "closed" | "request" | "denied" | "dns") =>
    written.reduce((sum, one) => sum + (one.event === "suppressed" ? one[what] : 0), 0);
  return { time, recorder, written, count, suppressed };
}

const FLOOD = 200_000;

test("of a flood of flows the journal has both lines or neither, and says how many it left out", () => {
  const { time, recorder, written, count, suppressed } = recording();
  for (let id = 1; id <= FLOOD; id++) {
    recorder.flow(opened(id));
    if (id > 50) recorder.flow(closed(id - 50));
    if (id % 100 === 0) time.ms++;
  }
  for (let id = FLOOD - 49; id <= FLOOD; id++) recorder.flow(closed(id));
  recorder.close();
  expect(written.length).toBeLessThan(130_000);
  expect(count("opened") + suppressed("opened")).toBe(FLOOD);
  expect(count("closed") + suppressed("closed")).toBe(FLOOD);
  const ids = (event: string) =>
    written.flatMap((one) => one.event === event && "flow" in one ? [one.flow] : []);
  expect(ids("closed").sort((a, b) => a - b)).toEqual(ids("opened").sort((a, b) => a - b));
  expect(recorder.totals).toEqual({ flows: FLOOD, up: FLOOD, down: 2 * FLOOD });
});

test.each<
  [string, "closed" | "request" | "dns" | "denied", (recorder: Recorder, n: number) => void]
>([
  ["flows that nobody answered", "closed", (recorder, n) => recorder.flow(closed(n, false))],
  [
    "answered requests",
    "request",
    (recorder, n) => recorder.request({ id: n, info: INFO, scheme: "https" }, EXCHANGE),
  ],
  ["resolved names", "dns", (recorder) =>
    recorder.dns({
      kind: "dns",
      name: "a.test",
      type: "A",
      via: "udp",
      verdict: "answered",
      answers: [],
      ms: 1,
    })],
  [
    "denied flows",
    "denied",
    (recorder, n) =>
      recorder.flow({ kind: "denied", ...note(n), ruling: { action: "deny", reason: "default" } }),
  ],
])("a flood of %s is bounded, and counted", (_what, event, record) => {
  const { recorder, count, suppressed } = recording();
  for (let n = 0; n < FLOOD; n++) record(recorder, n);
  recorder.close();
  expect(count(event)).toBeLessThan(60_000);
  expect(count(event) + suppressed(event)).toBe(FLOOD);
});

test("what honest work does is written whole", () => {
  const { time, recorder, count, written } = recording();
  for (let id = 1; id <= 60_000; id++) {
    recorder.flow(opened(id));
    recorder.flow(closed(id));
    time.ms++;
  }
  recorder.close();
  expect([count("opened"), count("closed"), written.length]).toEqual([60_000, 60_000, 120_000]);
});

test("a flood of what a limit refuses is told once a second, and whole", async () => {
  const clock = new ManualClock();
  const told: number[] = [];
  const gathered = new Gathered((count) => told.push(count), clock);
  for (let n = 0; n < 5_000; n++) {
    gathered.add();
    if (n % 10 === 0) await clock.pass(10);
  }
  gathered.tell();
  expect(told.length).toBeLessThanOrEqual(6);
  expect(told.reduce((sum, count) => sum + count, 0)).toBe(5_000);
});
