import { expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

/** Lints planted files with nothing but our plug-in; answers "file: rule" for each complaint. */
function lint(files: Record<string, string>): string[] {
  const root = mkdtempSync(join(tmpdir(), "sbx-lint-"));
  try {
    cpSync("scripts/lint", join(root, "scripts/lint"), { recursive: true });
    for (const [path, text] of Object.entries(files)) {
      mkdirSync(dirname(join(root, path)), { recursive: true });
      writeFileSync(join(root, path), text);
    }
    const config = { lint: { plugins: ["./scripts/lint/plugin.ts"], rules: { tags: [] } } };
    writeFileSync(join(root, "deno.json"), JSON.stringify(config));
    const { stdout, stderr } = spawnSync("deno", ["lint", "--json", ...Object.keys(files)], {
      cwd: root,
      encoding: "utf8",
    });
    const { diagnostics, errors } = JSON.parse(stdout || stderr) as {
      diagnostics: { filename: string; code: string }[];
      errors: unknown[];
    };
    expect(errors).toEqual([]);
    return diagnostics.map(({ filename, code }) =>
      `${filename.slice(filename.indexOf("/sbx-lint-")).split("/").slice(2).join("/")}: ${code}`
    ).sort();
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

test("imports may only point left", () => {
  expect(lint({
    "lib/base/a.ts": `export { x } from "../policy/b.ts";`,
    "lib/policy/b.ts": `import "../base/a.ts"; export const x = 1;`,
    "lib/dns/c.ts": `const late = await import("../flow/d.ts"); export default late;`,
    "lib/dns/computed.ts": `const name = "x"; export default await import(name);`,
    "lib/flow/d.ts": `import "../dns/c.ts"; import "../host/e.ts";`,
    "lib/host/e.ts": `import "../flow/d.ts";`,
    "lib/sandbox/f.ts": `import "../host/e.ts"; import "../cli/g.ts";`,
    "lib/mod.ts": `export * from "./sandbox/f.ts";`,
  })).toEqual([
    "lib/base/a.ts: sbx/import-order",
    "lib/dns/c.ts: sbx/import-order",
    "lib/flow/d.ts: sbx/import-order",
    "lib/sandbox/f.ts: sbx/import-order",
  ]);
});

test("a file has at most 400 lines", () => {
  const lines = (n: number) => "export {};\n".repeat(n);
  expect(lint({ "lib/base/long.ts": lines(401), "lib/base/full.ts": lines(400) }))
    .toEqual(["lib/base/long.ts: sbx/file-length"]);
});

test("Bun's interfaces stay in lib/host", () => {
  expect(lint({
    "lib/flow/a.ts": `export const a = Bun.nanoseconds();`,
    "lib/flow/b.ts": `import { dlopen } from "bun:ffi"; dlopen;`,
    "lib/host/c.ts": `export const c = Bun.nanoseconds();`,
    "test/d_test.ts": `import "bun:test";`,
  })).toEqual(["lib/flow/a.ts: sbx/bun-in-host", "lib/flow/b.ts: sbx/bun-in-host"]);
});

test("no module that Bun substitutes, and no fetch, on the way upstream", () => {
  expect(lint({
    "lib/http/a.ts": `import { Agent } from "undici"; Agent;`,
    "lib/http/b.ts": `export const b = fetch("http://x");`,
    "lib/http/c.ts": `const it = { fetch() {} }; it.fetch();`,
  })).toEqual(["lib/http/a.ts: sbx/no-substitute", "lib/http/b.ts: sbx/no-substitute"]);
});

test("only main.ts exits and only the command line prints", () => {
  expect(lint({
    "lib/guest/a.ts": `import process from "node:process"; process.exit(1);`,
    "lib/guest/b.ts": `import process from "node:process"; process.stderr.write("x");`,
    "lib/cli/c.ts": `import process from "node:process"; process.stderr.write("x");`,
    "main.ts": `import process from "node:process"; process.exit(1);`,
  })).toEqual(["lib/guest/a.ts: sbx/only-main-exits", "lib/guest/b.ts: sbx/only-main-exits"]);
});
