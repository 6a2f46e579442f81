/** A machine that is saved while it runs: in which order it comes to stand still, and goes on, whatever happens. */
import { expect, test } from "bun:test";
import { Duplex } from "node:stream";
import { setImmediate } from "node:timers";
import { SbxError } from "../../lib/base/errors.ts";
import { holdMachine, type SavableParts } from "../../lib/guest/qemu/hold.ts";
import { Monitor } from "../../lib/guest/qemu/monitor.ts";

const FACTS = { key: "k", tscKHz: 7 };

/** Each step by its name, as it is taken; `fails` throws, and QEMU refuses what it is. */
function machine(fails = "") {
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
        if (["stop", "migrate", "cont"].includes(execute)) steps.push(execute);
        const refused = execute === fails;
        // QEMU answers once it was asked.
        setImmediate(() => {
          this.push(refused ? '{"error": {"desc": "it is not to be"}}\n' : '{"return": {}}\n');
          if (execute !== "migrate" || refused) return;
          this.push('{"event": "MIGRATION", "data": {"status": "completed"}}\n');
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
    clock: { rest: () => step("rest"), keep: () => void steps.push("keep") },
    monitor: new Monitor(qemu),
    facts: FACTS,
    giveUp: () => void steps.push("give up"),
  };
  return { parts, steps };
}

test("all stands still before QEMU stops, and goes on in the opposite order", async () => {
  const { parts, steps } = machine();
  const { facts, release } = await holdMachine(parts);
  expect(facts).toEqual({ ...FACTS, calls: 9 });
  expect(steps).toEqual(["rest", "still", "hold", "stop", "migrate"]);
  await release();
  expect(steps.slice(5)).toEqual(["cont", "release", "go-on", "keep"]);
  await release(); // once is enough
  expect(steps).toHaveLength(9);
});

test.each([
  ["still", "GUEST_FAILED", ["rest", "still", "go-on", "keep"]],
  ["hold", "MEMORY_UNSAVABLE", ["rest", "still", "hold", "go-on", "keep"]],
  ["stop", "GUEST_START", ["rest", "still", "hold", "stop", "cont", "release", "go-on", "keep"]],
  ["migrate", "GUEST_START", [
    ...["rest", "still", "hold", "stop", "migrate", "cont", "release", "go-on", "keep"],
  ]],
])("where %s fails, all that stood still goes on", async (fails, code, expected) => {
  const { parts, steps } = machine(fails);
  await expect(holdMachine(parts)).rejects.toMatchObject({ code });
  expect(steps).toEqual(expected);
});

test("a machine that does not go on is ended", async () => {
  for (const fails of ["cont", "go-on"]) {
    const { parts, steps } = machine(fails);
    const { release } = await holdMachine(parts);
    await expect(release()).rejects.toBeInstanceOf(SbxError);
    expect(steps.at(-1)).toBe("give up");
  }
});
