/**
 * What sbx says on its own account, and how it is told to say less.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { join } from "node:path";
import { openWorld, type World } from "../support/world.ts";

let world: World;
beforeAll(async () => {
  world = await openWorld({ bare: true });
});
afterAll(() => world?.[Symbol.asyncDispose]());

const DENIED = "sbx: denied tcp 10.9.9.9:80: default, no rule allows it; " +
  "--allow 10.9.9.9:80 would allow it\n";
const SUMMARY = "sbx: 0 flows opened, 1 denied: tcp 10.9.9.9:80 × 1\n";
const EMULATED =
  /^sbx: the guest is emulated.*; this is said once, and 'sbx doctor' says it again\n/;

test("the line about emulation comes once, and denials as they are wanted", async () => {
  const env = { XDG_CACHE_HOME: join(world.scratch, "cache") };
  const chatter = async (...options: string[]) => {
    const policy = ["--policy", "none", "--allow", "192.0.2.1", "--deny-with", "reject"];
    const attempt = ["bash", "-c", "exec 2>/dev/null; : <>/dev/tcp/10.9.9.9/80 || exit 7"];
    const run = await world.sbx(["run", ...policy, ...options, "--", ...attempt], { env });
    expect([run.status, run.stdout]).toEqual([7, ""]);
    return run.stderr;
  };
  expect(await chatter("-q")).toBe("");
  expect(await chatter("--no-notices")).toBe(DENIED + SUMMARY);
  const [usual, ...more] = [await chatter(), await chatter("--denials", "all")];
  const { stdout } = await world.sbx(["doctor", "--no-boot", "--json"], { env });
  const { findings }: { findings: { name: string; state: string }[] } = JSON.parse(stdout);
  const isEmulated = findings.find(({ name }) => name === "accelerator")?.state === "note";
  expect(EMULATED.test(usual)).toBe(isEmulated);
  expect(usual.replace(EMULATED, "")).toBe(DENIED + SUMMARY);
  expect(more).toEqual([DENIED + SUMMARY]);
  expect(await chatter("--denials", "summary")).toBe(SUMMARY);
  expect(await chatter("--denials", "none")).toBe("");
});
