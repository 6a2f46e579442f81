/** A supervisor whose machine is the test's: what becomes of it is written down, or told where that cannot be. */
import { expect, test } from "bun:test";
import { mkdirSync, readFileSync, rmSync } from "node:fs";
import type { SbxError } from "../../lib/base/errors.ts";
import { Sandbox as Builder } from "../../lib/mod.ts";
import type { Sandbox } from "../../lib/sandbox/sandbox.ts";
import { FOREVER, specOf } from "../../lib/supervise/record.ts";
import { keepSandbox, keptSandbox } from "../../lib/supervise/registry.ts";
import { type Launcher, supervise } from "../../lib/supervise/supervisor.ts";
import { eachWithOwnState } from "../support/own_state.ts";

eachWithOwnState("supervisor");

/** A machine that runs until it is stopped, or ends by itself. */
function machine() {
  const ended = Promise.withResolvers<SbxError | undefined>();
  const sandbox = {
    accelerator: "tcg",
    published: [],
    ended: ended.promise,
    stop: async () => {
      ended.resolve(undefined);
      await ended.promise;
    },
  } as unknown as Sandbox;
  return { sandbox, end: () => ended.resolve(undefined) };
}

async function running() {
  const spec = specOf(Builder.builder("dev").build());
  const life = FOREVER;
  const home = await keepSandbox({
    sbx: "0",
    name: "dev",
    createdMs: 1,
    directory: "/",
    life,
    spec,
  });
  const { sandbox, end } = machine();
  const ready = Promise.withResolvers<void>();
  const launcher: Launcher = {
    notice: () => {},
    signal: new AbortController().signal,
    ready: () => ready.resolve(),
  };
  const over = supervise("dev", launcher, () => Promise.resolve(sandbox));
  await Promise.race([ready.promise, over]);
  return { home, end, over };
}

test("what has become of it is written down at each change", async () => {
  const { end, over } = await running();
  expect((await keptSandbox("dev")).state).toMatchObject({ kind: "running", accelerator: "tcg" });
  end();
  expect(await over).toBeUndefined();
  const { state, status } = await keptSandbox("dev");
  expect([state.kind, status]).toEqual(["stopped", "stopped"]);
});

test("an end that cannot be written down is one all the same, and a notice says so", async () => {
  const { home, end, over } = await running();
  rmSync(home.state.path);
  mkdirSync(home.state.path); // which no file takes the place of
  end();
  expect(await over).toBeUndefined();
  expect(readFileSync(home.notices, "utf8")).toContain("Cannot write the state of sandbox dev");
  rmSync(home.state.path, { recursive: true });
  expect((await keptSandbox("dev")).status).toBe("created"); // nothing hangs on what was not written
});
