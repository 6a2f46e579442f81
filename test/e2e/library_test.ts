/**
 * sbx as a library, in a program of its own: the README's example, as it is written there.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { execFileSync } from "node:child_process";
import process from "node:process";
import { examplesIn, moduleOf, page } from "../support/documents.ts";
import { processesOf } from "../support/host_state.ts";
import { openWorld, type World } from "../support/world.ts";

let world: World;
beforeAll(async () => {
  world = await openWorld();
});
afterAll(() => world?.[Symbol.asyncDispose]());

test("the README's program prints what its command said, ends, and leaves nothing", async () => {
  const program = join(world.scratch, "program.ts");
  writeFileSync(program, moduleOf(examplesIn(page("README.md")), "console.log(stdout.trim());"));
  const { status, stdout, stderr } = await world.run([process.execPath, program]);
  expect([status, stderr]).toEqual([0, ""]);
  expect(stdout).toMatch(/^Linux sandbox \d+\.\d+\..*\n$/);
  expect(stdout).not.toContain(execFileSync("uname", ["-n"], { encoding: "utf8" }).trim());
  expect(processesOf(world)).toEqual([]);
});
