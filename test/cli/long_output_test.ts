/**
 * An answer that is longer than a pipe holds.
 */
import { expect, test } from "bun:test";
import { run } from "../support/process.ts";
import { SBX } from "../support/world.ts";

const ANSWER = `"${SBX}" version --licences`;

async function bytes(reader: string): Promise<number> {
  const { status, stdout, stderr } = await run(["sh", "-c", `${ANSWER} | ${reader}`]);
  expect([status, stderr]).toEqual([0, ""]);
  return Number(stdout);
}

test("it arrives whole, however late its reader is, and a reader who leaves ends it", async () => {
  const file = `f=$(mktemp); ${ANSWER} >"$f"; wc -c <"$f"; rm "$f"`;
  const whole = Number((await run(["sh", "-c", file])).stdout);
  expect(whole).toBeGreaterThan(100_000);
  for (const wait of [0, 0.2, 1]) expect(await bytes(`(sleep ${wait}; wc -c)`)).toBe(whole);
  expect(await bytes("head -c 10 | wc -c")).toBe(10);
});
