import { expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { formula, type FormulaFile } from "../../scripts/packages/formula.ts";
import { run } from "../support/process.ts";

type Call = readonly [word: string, words: readonly unknown[], inner: readonly Call[] | null];

const FILES: readonly FormulaFile[] = (["linux", "macos"] as const).flatMap((os) =>
  (["intel", "arm"] as const).map((cpu) => ({
    os,
    cpu,
    url: `https://downloads.example/1.2.3/sbx-1.2.3-${os}-${cpu}64.tar.xz`,
    sha256: `${os}${cpu}`.padEnd(64, "0"),
  }))
);

async function read() {
  const directory = mkdtempSync(join(tmpdir(), "sbx-formula-"));
  try {
    const file = join(directory, "sbx.rb");
    writeFileSync(file, formula({ version: "1.2.3", files: FILES }));
    const checked = await run(["ruby", "-wc", file]);
    expect([checked.stderr, checked.stdout]).toEqual(["", "Syntax OK\n"]);
    const { status, stdout, stderr } = await run(["ruby", "test/support/formula.rb", file]);
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    return JSON.parse(stdout) as { readonly calls: readonly Call[]; readonly installed: unknown };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

test("the formula says its parts in brew's order, and what brew audits of them holds", async () => {
  const { calls } = await read();
  expect(calls.map(([word, [argument]]) => word === "def" ? `def ${argument}` : word)).toEqual([
    ...["desc", "homepage", "version", "license", "livecheck", "depends_on"],
    ...["on_macos", "on_linux", "def install", "test"],
  ]);
  const said = new Map(calls.map(([word, [argument]]) => [word, String(argument)]));
  const description = said.get("desc") ?? "";
  expect(description.length).toBeLessThan(80);
  expect(description).not.toMatch(/^(?:an?|the) |sbx|\.$/i);
  expect(said.get("version")).toBe("1.2.3");
  expect(said.get("depends_on")).toBe("qemu");
});

test("each address and digest stands in the block of its system and processor", async () => {
  const { calls } = await read();
  const found = calls.filter(([word]) => word.startsWith("on_")).flatMap(([os, , inner]) => {
    expect(inner?.map(([word]) => word)).toEqual(["on_arm", "on_intel"]);
    return (inner ?? []).map((
      [cpu, , leaf],
    ) => [os, cpu, leaf?.map(([word, [text]]) => [word, text])]);
  });
  expect(found).toEqual(["macos", "linux"].flatMap((os) =>
    ["arm", "intel"].map((cpu) => {
      const file = FILES.find((each) => each.os === os && each.cpu === cpu);
      return [`on_${os}`, `on_${cpu}`, [["url", file?.url], ["sha256", file?.sha256]]];
    })
  ));
});

test("it installs what the tarball has", async () => {
  const { installed } = await read();
  expect(installed).toEqual([
    ["bin", "install", ["sbx"]],
    ["bash_completion", "install", [{ "completions/sbx.bash": "sbx" }]],
    ["zsh_completion", "install", ["completions/_sbx"]],
    ["fish_completion", "install", ["completions/sbx.fish"]],
    ["man1", "install", ["man/*.1"]],
    ["lib", "/", ["lima"], "install", ["lima-driver-sbx"]],
  ]);
});
