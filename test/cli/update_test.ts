import { afterAll, beforeAll, expect, test } from "bun:test";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { isNewer } from "../../lib/api/newest_release.ts";
import { run } from "../support/process.ts";

const asked: string[] = [];
let answer = { status: 200, body: "" };
const registry = createServer((request, response) => {
  asked.push(request.url ?? "");
  response.writeHead(answer.status).end(answer.body);
});
let env: Record<string, string> = {};

beforeAll(async () => {
  await new Promise<void>((resolve) => registry.listen(0, "127.0.0.1", resolve));
  const { port } = registry.address() as AddressInfo;
  env = { NPM_CONFIG_REGISTRY: `http://127.0.0.1:${port}/npm`, no_proxy: "127.0.0.1" };
});
afterAll(() => void registry.close());

async function update(body: unknown, ...words: string[]) {
  answer = { status: 200, body: typeof body === "string" ? body : JSON.stringify(body) };
  const { status, stdout, stderr } = await run(["bun", "main.ts", "update", ...words], { env });
  return { status, stdout, stderr };
}

test("nobody is asked without --check", async () => {
  const { status, stdout } = await update({ version: "9.0.0" });
  expect([status, stdout]).toEqual([0, "update with: a tarball from https://sbx.dev/releases\n"]);
  expect(asked).toEqual([]);
});

test("what is only told of an answer is refused without --check", async () => {
  const { status, stdout, stderr } = await update({ version: "9.0.0" }, "--json");
  expect([status, stdout]).toEqual([2, ""]);
  expect(stderr).toContain("hint: add --check\n");
});

test("with it, npm's registry, or the one that is configured, says what is new", async () => {
  const newer = await update({ version: "9.0.0" }, "--check");
  expect(newer).toMatchObject({ status: 1, stderr: "" });
  expect(newer.stdout).toStartWith("sbx 9.0.0 is there, this is 0.0.0");
  expect(asked).toEqual(["/npm/@sbx-dev%2fsbx/latest"]);
  const same = await update({ version: "0.0.0" }, "--check", "--json");
  expect(same.status).toBe(0);
  expect(JSON.parse(same.stdout)).toMatchObject({ newest: "0.0.0", isNewest: true });
});

test.each([
  ["no answer that is one", "<html>"],
  ["a version that is text for a terminal", { version: "9.0.0-\x1b[31m" }],
  ["no version", { version: { major: 9 } }],
  ["an answer without an end", `"${"x".repeat(2 << 20)}"`],
])("%s is an error, and tells nothing of the answer", async (_, body) => {
  const { status, stdout, stderr } = await update(body, "--check");
  expect([status, stdout]).toEqual([125, ""]);
  expect(stderr).toMatch(/^sbx: cannot ask for the newest version: [ -~]{1,120}\n$/);
});

test("a registry that is not there, or has no such package, is said to be so", async () => {
  answer = { status: 404, body: "{}" };
  const absent = await run(["bun", "main.ts", "update", "--check"], { env });
  expect(absent.stderr).toMatch(/version: 127\.0\.0\.1:\d+ has no @sbx-dev\/sbx\n$/);
  const nobody = await run(["bun", "main.ts", "update", "--check"], {
    env: { ...env, NPM_CONFIG_REGISTRY: "http://127.0.0.1:1/" },
  });
  expect([absent.status, nobody.status]).toEqual([125, 125]);
  expect(nobody.stderr).toContain("127.0.0.1:1 does not answer");
});

test.each([
  ["0.2.0", "0.1.9", true],
  ["0.10.0", "0.9.0", true],
  ["1.0.0", "1.0.0", false],
  ["1.0.0", "1.0.1", false],
  ["1.0.0", "1.0.0-rc.1", true],
  ["1.0.0-rc.1", "1.0.0", false],
  ["0.2.0", "0.1.0 (84e8898-dirty)", true],
  ["0.1.0", "0.1.0 (84e8898)", false],
])("isNewer(%p, %p) is %p", (version, than, expected) => {
  expect(isNewer(version, than)).toBe(expected);
});
