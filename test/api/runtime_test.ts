import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { run } from "../support/process.ts";

const ROOT = resolve(import.meta.dirname, "../..");
const directory = mkdtempSync(join(tmpdir(), "sbx-runtime-"));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const PROGRAM = `
import { doctor, NetworkPolicy, Sandbox } from ${
  JSON.stringify(pathToFileURL(join(ROOT, "lib/mod.ts")).href)
};
const none = NetworkPolicy.none();
console.log(none.network);
console.log((await doctor({ boot: false })).find(({ name }) => name === "platform")?.state);
await Sandbox.builder().network((network) => network.policy(none)).create()
  .catch(({ code, message, hint }) => console.log(code, message, hint));
`;

test("in another runtime than Bun policies are made, and a sandbox says what it needs", async () => {
  const program = join(directory, "program.ts");
  writeFileSync(program, PROGRAM);
  const argv = ["deno", "run", "-A", "--no-check", "--config", join(ROOT, "deno.json"), program];
  const { status, stdout, stderr } = await run(argv, {
    env: { XDG_CACHE_HOME: directory, XDG_DATA_HOME: directory, NO_COLOR: "1" },
  });
  expect([status, stderr]).toEqual([0, ""]);
  expect(stdout).toMatch(
    /^false\nmissing\nREQUIREMENT_MISSING Cannot start a sandbox: .* Deno \S+, .* run it with bun\n$/,
  );
});
