import { expect, test } from "bun:test";
import { HABITS } from "../../lib/cli/habits.ts";
import { run } from "../support/process.ts";

test("no option that sbx run has is explained away, and every hint is for one that it lacks", async () => {
  const { stdout } = await run(["bun", "main.ts", "run", "--help"]);
  const own = new Set(stdout.match(/(?<=^ {2}|, )-{1,2}[a-z][a-z-]*/gim));
  expect(own.has("--policy") && own.has("-p")).toBe(true);
  expect(HABITS.filter((option) => own.has(option))).toEqual([]);
});
