/** A machine that is saved while it runs: in which order it comes to stand still, and goes on, whatever happens. */
import { expect, test } from "bun:test";
import { Duplex } from "node:stream";
import { setImmediate } from "node:timers";
import { SbxError } from "../../lib/base/errors.ts";
import { holdMachine, type SavableParts } from "../../lib/guest/qemu/hold.ts";
import { Monitor } from "../../lib/guest/qemu/monitor.ts";
import { ManualClock } from "../support/manual_clock.ts";

const WANTED = new AbortController().signal;
const FACTS = { key: "k", tscKHz: 7 };

/** Each step by its name, as it is taken; `fails` throws, and QEMU refuses what it is. */
function machine(fails = "", writes: { forEver?: true; evenThen?: true } = {}) {
  const steps: string[] = [];
  const step = (name: string) => {
    steps.push(name);
    if (name === fails) throw new SbxError("GUEST_FAILED", `Cannot ${name}: it fails`);
    return Promise.resolve();
  };
  const qemu = new Duplex({
    read() {},
    write(chunk, _, done) {
      for (const line of String(chunk).trim().split("\n")) {
        const { execute } = JSON.parse(line);
        if (["stop", "migrate", "migrate_cancel", "cont"].includes(execute)) steps.push(execute);
        const refused = execute === fails;
        const ended = execute === "migrate" && !refused && !writes.forEver
          ? "completed"
          : execute === "migrate_cancel" && !writes.evenThen
          ? "cancelled"
          : undefined;
        // QEMU answers once it was asked.
        setImmediate(() => {
          this.push(refused ? '{"error": {"desc": "it is not to be"}}\n' : '{"return": {}}\n');
          if (ended === undefined) return;
          this.push(`{"event": "MIGRATION", "data": {"status": "${ended}"}}\n`);
        });
      }
      done();
    },
  });
  const parts: SavableParts = {
    agent: {
      still: () => step("still"),
      goOn: () => step("go-on"),
      hold: () => {
        steps.push("hold");
        return fails === "hold"
          ? undefined
          : { calls: 9, release: () => void steps.push("release") };
      },
    },
    clock: {
      rest: () => step("rest"),
      set: () => step("set"),
      keep: () => void steps.push("keep"),
    },
    monitor: new Monitor(qemu),
    facts: FACTS,
    discard: () => void steps.push("discard"),
    giveUp: () => void steps.push("give up"),
  };
  return { parts, steps };
}

test("all stands still before QEMU stops, and goes on in the opposite order", async () => {
  const { parts, steps } = machine();
  const { facts, release } = await holdMachine(parts, WANTED);
  expect(facts).toEqual({ ...FACTS, calls: 9 });
  expect(steps).toEqual(["rest", "still", "hold", "stop", "migrate"]);
  await release();
  expect(steps.slice(5)).toEqual(["cont", "discard", "release", "set", "go-on", "keep"]);
  await release(); // once is enough
  expect(steps).toHaveLength(11);
});

test.each([
  ["still", "GUEST_FAILED", ["rest", "still", "go-on", "keep"]],
  ["hold", "MEMORY_UNSAVABLE", ["rest", "still", "hold", "go-on", "keep"]],
  ["stop", "GUEST_START", [
    ...["rest", "still", "hold", "stop", "cont", "discard", "release", "set", "go-on", "keep"],
  ]],
  ["migrate", "GUEST_START", [
    ...["rest", "still", "hold", "stop", "migrate", "cont", "discard", "release", "set", "go-on"],
    "keep",
  ]],
])("where %s fails, all that stood still goes on", async (fails, code, expected) => {
  const { parts, steps } = machine(fails);
  await expect(holdMachine(parts, WANTED)).rejects.toMatchObject({ code });
  expect(steps).toEqual(expected);
});

test("a machine that does not go on is ended", async () => {
  for (const fails of ["cont", "set", "go-on"]) {
    const { parts, steps } = machine(fails);
    const { release } = await holdMachine(parts, WANTED);
    await expect(release()).rejects.toBeInstanceOf(SbxError);
    expect(steps.at(-1)).toBe("give up");
  }
});

async function turns(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
}

const BACK = ["cont", "discard", "release", "set", "go-on", "keep"];

test("what nobody waits for any more is not written to its end, and the machine goes on after that", async () => {
  const enough = new AbortController();
  const { parts, steps } = machine("", { forEver: true });
  const holding = holdMachine(parts, enough.signal).catch((error) => error);
  await turns();
  enough.abort(new Error("enough"));
  expect(await holding).toMatchObject({ message: "enough" });
  expect(steps).toEqual(["rest", "still", "hold", "stop", "migrate", "migrate_cancel", ...BACK]);
  // Before it is written there is nothing to cancel.
  const early = machine();
  await expect(holdMachine(early.parts, enough.signal)).rejects.toThrow("enough");
  expect(early.steps).toEqual(["rest", "keep"]);
});

test("a machine that takes too long to be written goes on, and one that is still written then is ended", async () => {
  for (
    const [writes, end] of [[{ forEver: true }, BACK], [
      { forEver: true, evenThen: true },
      ["give up", ...BACK],
    ]] as const
  ) {
    const clock = new ManualClock();
    const { parts, steps } = machine("", writes);
    const holding = holdMachine(parts, WANTED, clock).catch((error) => error);
    await turns();
    await clock.pass(600_000);
    await turns();
    await clock.pass(30_000);
    await turns();
    expect(await holding).toMatchObject({
      code: "GUEST_FAILED",
      message: "Cannot save the guest's memory: it took over 600 seconds",
    });
    expect(steps.slice(4)).toEqual(["migrate", "migrate_cancel", ...end]);
  }
});
