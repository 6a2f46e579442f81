/** Saved machines on a real disk, as no QEMU wrote them: kept beside a disk, taken once, and refused once changed. */
import { afterAll, beforeEach, expect, test } from "bun:test";
import {
  appendFileSync,
  chmodSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { duplexPair } from "node:stream";
import { setImmediate } from "node:timers/promises";
import { SbxError } from "../../lib/base/errors.ts";
import type { Sandbox } from "../../lib/sandbox/sandbox.ts";
import type { Jobs } from "../../lib/supervise/jobs.ts";
import { copyMachine, keepMachine, machineFor } from "../../lib/supervise/saved_machine.ts";
import { answer, type Supervised } from "../../lib/supervise/service.ts";
import { heldFor } from "../../lib/supervise/stillness_call.ts";
import { CallClient } from "../../lib/wire/call_client.ts";
import { serverBounds } from "../../lib/wire/call_frame.ts";
import { serveCalls } from "../../lib/wire/call_server.ts";

const scratch = mkdtempSync(join(tmpdir(), "sbx-saved-"));
afterAll(() => rmSync(scratch, { recursive: true }));

const FACTS = { key: "0".repeat(64), calls: 12, tscKHz: 2_400_000 };
let number = 0;
let saving: string;

/** The place of a disk, and of a machine that is saved with it. */
function place(): { directory: string; disk: string; machine: string } {
  const directory = mkdtempSync(join(scratch, `${number++}-`));
  const disk = join(directory, "disk");
  writeFileSync(disk, "the disk", { mode: 0o600 });
  return { directory, disk, machine: join(directory, "machine") };
}

beforeEach(() => {
  saving = join(mkdtempSync(join(scratch, "original-")), "saving");
  writeFileSync(saving, "what QEMU wrote", { mode: 0o600 });
  truncateSync(saving, 4 << 20); // mostly nothing, as a memory is
});

const stateOf = async (promise: ReturnType<typeof machineFor>) =>
  await promise.then(
    (taken) => taken === null ? "none" : "taken",
    (error) => error instanceof SbxError ? `${error.code}: ${error.state}` : String(error),
  );

test("it is gone on from once, by what its original's agent had heard, and nobody else can look into it", async () => {
  const to = place();
  await keepMachine(saving, FACTS, to);
  expect(statSync(to.machine).mode & 0o777).toBe(0o700);
  for (const name of readdirSync(to.machine)) {
    expect([name, statSync(join(to.machine, name)).mode & 0o777]).toEqual([name, 0o600]);
  }
  const taken = await machineFor(to);
  expect(taken?.from).toEqual({ ...FACTS, state: join(to.machine, "state") });
  expect(await stateOf(machineFor(to))).toBe("taken"); // a start that fails leaves it to the next
  await taken?.forget();
  expect(readdirSync(to.directory)).toEqual(["disk"]);
  expect(await stateOf(machineFor(to))).toBe("none");
});

test("what was changed of it or of the disk since is not gone on from, and is left by nobody", async () => {
  const rows:
    readonly (readonly [change: (to: ReturnType<typeof place>) => void, state: string])[] = [
      [({ disk }) => appendFileSync(disk, "more"), "the disk has changed since"],
      [({ disk }) => {
        rmSync(disk);
        writeFileSync(disk, "the disk", { mode: 0o600 });
      }, "the disk has changed since"],
      [({ machine }) => appendFileSync(join(machine, "state"), "x"), "it is damaged"],
      [({ machine }) => rmSync(join(machine, "state")), "it is damaged"],
      [({ machine }) => chmodSync(join(machine, "state"), 0o644), "it is damaged"],
      [({ machine }) => truncateSync(join(machine, "facts.json"), 20), "it is damaged"],
      [({ machine }) => rmSync(join(machine, "facts.json")), "it is damaged"],
    ];
  for (const [change, state] of rows) {
    const to = place();
    await keepMachine(saving, FACTS, to);
    change(to);
    expect(await stateOf(machineFor(to))).toBe(`MEMORY_UNSAVABLE: ${state}`);
    expect(readdirSync(to.directory)).toEqual(["disk"]);
    expect(await stateOf(machineFor(to))).toBe("none");
  }
});

test("a copy of one goes with a copy of its disk, and no other is copied", async () => {
  const [from, to, other] = [place(), place(), place()];
  expect(await copyMachine(from, other)).toBe(false);
  expect(existsSync(other.machine)).toBe(false);
  await keepMachine(saving, FACTS, from);
  expect(await copyMachine(from, to)).toBe(true);
  expect(await stateOf(machineFor(to))).toBe("taken");
  appendFileSync(from.disk, "more");
  expect(await copyMachine(from, other)).toBe(false);
  // Whoever was to go on from it is told so at his start.
  expect(await stateOf(machineFor(other))).toBe("MEMORY_UNSAVABLE: it is damaged");
});

test("who gives up the look at one leaves it as it is", async () => {
  const to = place();
  await keepMachine(saving, FACTS, to);
  const given = AbortSignal.abort(new Error("enough"));
  await expect(machineFor(to, given)).rejects.toThrow("enough");
  expect(await stateOf(machineFor(to))).toBe("taken");
});

/** A supervisor whose guest stands still when it is asked to, and counts how often it was let go. */
function supervisor(facts: unknown) {
  let released = 0;
  const held = {
    facts,
    release: () => (released++, Promise.resolve()),
  };
  const sandbox = { hold: () => Promise.resolve(held) } as unknown as Sandbox;
  const [near, far] = duplexPair();
  void serveCalls(far, async (call) => ({
    ...await answer({ sandbox, jobs: {} as Jobs } as Supervised, call),
  }));
  const client = new CallClient(near, {
    peer: { name: "the supervisor", sends: serverBounds(8 << 20) },
    traced: "agent",
    gone: () => new SbxError("STOPPED", "Cannot go on: it is gone"),
  });
  const call = () =>
    client.plain({ method: "save" }, ({ message }) => new SbxError("GUEST_FAILED", message));
  return { client, call, released: () => released };
}

async function turns(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await setImmediate();
}

test("the machine stands still from the answer on until it is released, or nobody is there who could", async () => {
  const one = supervisor(FACTS);
  const held = await heldFor(one.call());
  expect(held.facts).toEqual(FACTS);
  await turns();
  expect(one.released()).toBe(0);
  await held.release();
  expect(one.released()).toBe(1);

  const other = supervisor(FACTS);
  await heldFor(other.call());
  other.client.close();
  await turns();
  expect(other.released()).toBe(1);
});

test("what is said of it is not believed unless it is well formed, and the machine goes on", async () => {
  for (const facts of [{}, { ...FACTS, key: "../" }, { ...FACTS, calls: -1 }, null]) {
    const { call, released } = supervisor(facts);
    await expect(heldFor(call())).rejects.toMatchObject({ code: "PROTOCOL" });
    expect(released()).toBe(1);
  }
});
