/** The sandboxes of a user on a real disk: made, found, locked, swept and removed, by two at once as well. */
import { expect, test } from "bun:test";
import { mkdirSync, readdirSync, utimesSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { SbxError } from "../../lib/base/errors.ts";
import { lockFile } from "../../lib/host/file_lock.ts";
import { Sandbox } from "../../lib/mod.ts";
import { sandboxesDir } from "../../lib/supervise/home.ts";
import { killSandbox } from "../../lib/supervise/kill.ts";
import { FOREVER, type Life, specOf } from "../../lib/supervise/record.ts";
import {
  keepSandbox,
  keptSandbox,
  lockSandbox,
  sandboxNames,
  sweepSandboxes,
  writeState,
} from "../../lib/supervise/registry.ts";
import { removeSandbox } from "../../lib/supervise/remove.ts";
import type { SandboxState } from "../../lib/supervise/state.ts";
import { eachWithOwnState } from "../support/own_state.ts";

eachWithOwnState("registry");

const keep = (name: string, life: Partial<Life> = {}) =>
  keepSandbox({
    sbx: "0.1.0",
    name,
    createdMs: 1,
    directory: "/",
    life: { ...FOREVER, ...life },
    spec: specOf(Sandbox.builder("dev").build()),
  });
const codeOf = (promise: Promise<unknown>) =>
  promise.then(() => "none", (error) => error instanceof SbxError ? error.code : String(error));
const running = (pid: number): SandboxState => ({
  kind: "running",
  at: 1,
  pid,
  accelerator: "tcg",
  published: [],
  restarts: 0,
});

test("a name is taken once, and free again when it was removed", async () => {
  const made = await Promise.all([1, 2, 3].map(() => codeOf(keep("dev"))));
  expect(made.toSorted()).toEqual(["SANDBOX_EXISTS", "SANDBOX_EXISTS", "none"]);
  expect(await sandboxNames()).toEqual(["dev"]);
  expect(readdirSync(sandboxesDir())).toEqual(["dev"]);
  await removeSandbox("dev", {});
  expect(await codeOf(keptSandbox("dev"))).toBe("SANDBOX_MISSING");
  expect(await codeOf(removeSandbox("dev", {}))).toBe("SANDBOX_MISSING");
  expect(await codeOf(keep("dev"))).toBe("none");
});

test("any number may look at once, and keep nobody from the lock", async () => {
  const home = await keep("dev");
  (await lockSandbox(home))?.release();
  const looks = await Promise.all(Array.from({ length: 50 }, () => keptSandbox("dev")));
  expect(new Set(looks.map(({ status }) => status))).toEqual(new Set(["created"]));
  const lock = await lockSandbox(home);
  expect(lock).not.toBeNull();
  await writeState(home, running(process.pid));
  expect((await keptSandbox("dev")).status).toBe("running");
  expect(lockFile(home.lock)).toBeNull();
  lock?.release();
  expect((await keptSandbox("dev")).status).toBe("lost");
});

test("what is held is not removed, and nobody but a supervisor is killed for it", async () => {
  const home = await keep("dev");
  const lock = await lockSandbox(home);
  await writeState(home, running(process.pid)); // a number that is another's by now
  expect(await codeOf(removeSandbox("dev", {}))).toBe("SANDBOX_RUNNING");
  expect(await codeOf(removeSandbox("dev", { force: true }))).toBe("SUPERVISOR_LOST");
  lock?.release();
  await killSandbox("dev");
  expect((await keptSandbox("dev")).state).toMatchObject({ kind: "stopped", exit: { signal: 9 } });
  await killSandbox("dev"); // does nothing more
  await removeSandbox("dev", {});
}, 30_000);

test("what killed processes left is swept, and nothing else", async () => {
  await keep("stays");
  await writeState(await keep("lost"), running(1));
  await writeState(await keep("brief", { remove: true }), running(1));
  const held = await keep("held", { remove: true });
  await writeState(held, running(1));
  const lock = await lockSandbox(held);
  for (const name of [".new-1", ".new-2", ".gone-1"]) {
    const path = join(sandboxesDir(), name);
    mkdirSync(join(path, "in"), { recursive: true });
    if (name !== ".new-2") utimesSync(path, 0, 0); // that one is being made
  }
  await sweepSandboxes();
  expect(readdirSync(sandboxesDir()).toSorted()).toEqual([".new-2", "held", "lost", "stays"]);
  lock?.release();
  await sweepSandboxes();
  expect(await sandboxNames()).toEqual(["lost", "stays"]);
}, 30_000);
