import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { run } from "../support/process.ts";

const directory = mkdtempSync(join(tmpdir(), "sbx-vectors-"));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const policy = {
  defaultAction: "deny",
  rules: [{
    action: "allow",
    direction: "egress",
    destination: { cidr: "93.184.216.0/24" },
    protocol: "tcp",
    ports: [[443, 443]],
  }],
};

function vector(id: string, ip: string, expected: { verdict: string; rule: number | null }) {
  const flow = { direction: "egress", protocol: "tcp", ip, port: 443 };
  return { id, note: "of the user", policy, pins: [], host_ips: [], flow, expect: expected };
}

const right = [
  vector("own-1", "93.184.216.34", { verdict: "allow", rule: 0 }),
  vector("own-2", "10.0.0.1", { verdict: "deny", rule: null }),
];
const wrong = vector("own-3", "10.0.0.1", { verdict: "allow", rule: 0 });

/** The test of the vectors as a user runs it on a file of theirs. */
function runWith(name: string, text: string) {
  const path = join(directory, name);
  writeFileSync(path, text);
  const test = join(import.meta.dirname, "vectors_test.ts");
  const env = { SBX_VECTORS: path, NO_COLOR: "1" };
  return run([process.execPath, "test", test], { env, limit: 100 });
}

/** What became of the file's own vectors. */
function own(report: string): string[] {
  return [...report.matchAll(/^(\((?:pass|fail)\)) .*own-\d/gm)].map(([, outcome = ""]) => outcome);
}

test(
  "vectors of SBX_VECTORS are run beside the project's own, and one that is wrong fails by its name",
  async () => {
    const good = await runWith("right.json", JSON.stringify({ vectors: right }));
    expect([good.status, own(good.stderr)]).toEqual([0, ["(pass)", "(pass)"]]);

    const bad = await runWith("wrong.json", JSON.stringify({ vectors: [...right, wrong] }));
    expect(bad.status).not.toBe(0);
    expect(own(bad.stderr).slice(0, 3)).toEqual(["(pass)", "(pass)", "(fail)"]);
    expect(bad.stderr).toMatch(/^\(fail\) .*own-3 of the user/m);
  },
  120_000,
);

test.each([
  ["is no JSON", "no json"],
  ["has no vectors", JSON.stringify({ vectors: [] })],
  ["has vectors under another name", JSON.stringify({ vector: right })],
])("a file of SBX_VECTORS that %s fails, instead of passing for nothing", async (_, text) => {
  expect((await runWith("empty.json", text)).status).not.toBe(0);
}, 120_000);
