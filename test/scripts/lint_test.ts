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

test("only the host knows which machine runs guests", () => {
  expect(lint({
    "lib/guest/a.ts": `import "./qemu/b.ts";`,
    "lib/guest/qemu/b.ts": `import "./c.ts"; import "../d.ts";`,
    "lib/guest/qemu/c.ts": `export {};`,
    "lib/guest/d.ts": `export {};`,
    "lib/host/e.ts": `import "../guest/qemu/b.ts";`,
    "lib/sandbox/f.ts": `import "../guest/qemu/b.ts"; import "../guest/d.ts";`,
  })).toEqual([
    "lib/guest/a.ts: sbx/machine-behind-seam",
    "lib/sandbox/f.ts: sbx/machine-behind-seam",
  ]);
});

test("the command line stands on the library's face and on pure code alone", () => {
  const importing = (...from: readonly string[]) =>
    from.map((path) => `import "../${path}";`).join("\n");
  expect(lint({
    "lib/cli/good.ts":
      importing("mod.ts", "api/a.ts", "judge/b.ts", "journal/c.ts", "policy/d.ts") +
      `import "../base/e.ts"; import "./good2.ts"; import "node:fs";`,
    "lib/cli/sandbox.ts": importing("sandbox/a.ts"),
    "lib/cli/guest.ts": importing("guest/a.ts"),
    "lib/cli/tls.ts": `const late = await import("../tls/a.ts"); export default late;`,
    "lib/cli/dns.ts": `export { a } from "../dns/a.ts";`,
    "lib/cli/flow.ts": `export * from "../flow/a.ts";`,
    "lib/cli/host.ts": importing("host/a.ts"),
    "lib/cli/http.ts": importing("http/a.ts"),
    "lib/cli/wire.ts": importing("wire/a.ts"),
    "lib/api/free.ts": importing("sandbox/a.ts", "host/a.ts", "tls/a.ts", "guest/a.ts"),
    "lib/api/upwards.ts": importing("cli/a.ts"),
    "lib/sandbox/upwards.ts": importing("api/a.ts"),
    "lib/host/upwards.ts": importing("cli/a.ts"),
    "main.ts": `import "./lib/cli/a.ts"; import "./lib/host/b.ts";`,
  })).toEqual([
    "lib/api/upwards.ts: sbx/import-order",
    "lib/cli/dns.ts: sbx/import-order",
    "lib/cli/flow.ts: sbx/import-order",
    "lib/cli/guest.ts: sbx/import-order",
    "lib/cli/host.ts: sbx/import-order",
    "lib/cli/http.ts: sbx/import-order",
    "lib/cli/sandbox.ts: sbx/import-order",
    "lib/cli/tls.ts: sbx/import-order",
    "lib/cli/wire.ts: sbx/import-order",
    "lib/host/upwards.ts: sbx/import-order",
    "lib/sandbox/upwards.ts: sbx/import-order",
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

test("no pattern that some text takes more than linear time", () => {
  expect(lint({
    "lib/http/a.ts": `export const a = (t: string) => t.replace(/^[ \\t]+|[ \\t]+$/g, "");`,
    "lib/http/b.ts": `export const b = /^([a-z]+):[ \\t]*(.*?)[ \\t]*$/;`,
    "lib/http/c.ts": `export const c = /-----BEGIN X-----[^]*?-----END X-----/;`,
    "lib/http/d.ts": `export const d = (t: string) => new RegExp("^" + t);`,
    "lib/http/e.ts": `export const e = [/^[a-z]+:[ \\t]*\\S+$/, /^(?:a|b)*$/, /#.*/, /^ *x/];`,
    "test/http/f.ts": `export const f = / +$/;`,
  })).toEqual([
    "lib/http/a.ts: sbx/linear-pattern",
    "lib/http/b.ts: sbx/linear-pattern",
    "lib/http/c.ts: sbx/linear-pattern",
    "lib/http/d.ts: sbx/linear-pattern",
  ]);
});
