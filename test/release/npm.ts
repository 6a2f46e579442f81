/**
 * The npm packages in an empty directory, as npm itself installs them: the launcher runs the binary, and the library's
 * first example runs under each runtime. Run by scripts/test-release, after a release was made; what the library does
 * there is test/e2e/packed_library_test.ts.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { globSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import process from "node:process";
import { run } from "../support/process.ts";

const NODE = "22";
const directory = mkdtempSync(join(tmpdir(), "sbx-npm-"));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const EXAMPLE = `
import { NetworkPolicy, Sandbox, versions } from "@sbx-dev/sbx";
console.log(versions().sbx);
const sandbox = await Sandbox.builder().network((n) => n.policy(NetworkPolicy.publicOnly())).create();
const { stdout } = await sandbox.exec("echo", ["from the guest"]).output();
console.log(stdout.trim());
await sandbox[Symbol.asyncDispose]();
`;

beforeAll(async () => {
  const own = `linux-${process.arch}`;
  const packages = globSync(`dist/release/sbx-dev-{sbx,${own}}-*.tgz`).map((file) => resolve(file));
  expect(packages).toHaveLength(2);
  writeFileSync(join(directory, "package.json"), '{ "private": true, "type": "module" }');
  writeFileSync(join(directory, "example.js"), EXAMPLE);
  const argv = [
    "npm",
    "install",
    "--no-audit",
    "--no-fund",
    ...packages,
    `node@${NODE}`,
    "typescript@5.9.3",
    `@types/node@${NODE}`,
  ];
  const installed = await run(argv, { cwd: directory, limit: 600 });
  expect([installed.status, installed.stderr]).toEqual([0, expect.any(String)]);
}, 700_000);

test("the launcher becomes the binary", async () => {
  const sbx = join(directory, "node_modules/.bin/sbx");
  const [shown, refused] = await Promise.all([
    run([sbx, "version", "--json"], { cwd: directory }),
    run([sbx, "run", "--no-such-option"], { cwd: directory }),
  ]);
  expect(JSON.parse(shown.stdout)).toMatchObject({ sbx: expect.stringMatching(/^\d+\.\d+\.\d+/) });
  expect(refused.status).toBe(2);
});

test.each([
  ["Bun", [process.execPath]],
  ["Node", ["node_modules/.bin/node"]],
  ["Deno", ["deno", "run", "--allow-all", "--no-config", "--node-modules-dir=manual"]],
])("the library runs a command in a guest, under %s", async (_, runtime) => {
  const { status, stdout, stderr } = await run([...runtime, "example.js"], {
    cwd: directory,
    limit: 300,
  });
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  expect(stdout).toMatch(/^\d+\.\d+\.\d+\S*\nfrom the guest\n$/);
}, 310_000);

test("the declarations are of use to a program in TypeScript", async () => {
  const program = `
    import { NetworkPolicy, type Sandbox } from "@sbx-dev/sbx";
    export const name: string = NetworkPolicy.publicOnly().constructor.name;
    export const run = (sandbox: Sandbox) => sandbox.exec("true", []);`;
  writeFileSync(join(directory, "program.ts"), program);
  const flags = [
    "--noEmit",
    "--strict",
    "--module",
    "nodenext",
    "--target",
    "es2024",
  ];
  const { status, stdout } = await run(["node_modules/.bin/tsc", ...flags, "program.ts"], {
    cwd: directory,
  });
  expect({ status, stdout }).toEqual({ status: 0, stdout: "" });
}, 200_000);
