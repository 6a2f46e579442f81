import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { run } from "../support/process.ts";

const ROOT = resolve(import.meta.dirname, "../..");
const directory = mkdtempSync(join(tmpdir(), "sbx-runtime-"));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** `Sandbox` is named so that all that it stands on is loaded. */
const PROGRAM = `
import { Destination, NetworkPolicy, Rule, Sandbox } from ${
  JSON.stringify(pathToFileURL(join(ROOT, "lib/mod.ts")).href)
};
const policy = NetworkPolicy.custom({ rules: [Rule.allowOutbound(Destination.domain("a.example"))] });
const builder = Sandbox.builder("own").network((network) => network.policy(policy));
console.log(builder.build().network.policy.rules.length);
`;

test("importing does no input or output: under Deno it needs no permission, and neither do policies", async () => {
  const program = join(directory, "program.ts");
  writeFileSync(program, PROGRAM);
  const argv = ["deno", "run", "--no-prompt", "--no-check", "--config", join(ROOT, "deno.json")];
  const { status, stdout, stderr } = await run([...argv, program], {
    env: { NO_COLOR: "1" },
    limit: 300,
  });
  expect([status, stderr, stdout]).toEqual([0, "", "1\n"]);
});
