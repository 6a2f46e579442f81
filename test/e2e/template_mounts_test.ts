/**
 * Directories of this machine in guests that go on from a template: they come while the guest goes on, and
 * what serves them is not the template's fault.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { lookForFileDaemon } from "../../lib/guest/qemu/file_daemon.ts";
import { until } from "../support/process.ts";
import { openWorld, type World } from "../support/world.ts";

let world: World;
beforeAll(async () => {
  world = await openWorld({ bare: true });
});
afterAll(() => world?.[Symbol.asyncDispose]());

/** A guest that boots is prepared; one that goes on from a template was. */
const WARM = { env: { SBX_TRACE: "agent" }, limit: 300 };
const boots = (stderr: string) => stderr.includes("(prepare)");

async function guest(script: string, flags: readonly string[]) {
  return await world.sbx(["run", "--no-net", ...flags, "--", "sh", "-c", script], WARM);
}

/** `count` directories, each with a file that says which it is, as mounts at /m. */
function directories(count: number): { readonly paths: string[]; readonly flags: string[] } {
  const paths = Array.from(
    { length: count },
    (_, index) => join(world.scratch, `mounted-${index}`),
  );
  for (const [index, path] of paths.entries()) {
    mkdirSync(path, { recursive: true });
    writeFileSync(join(path, "name"), `${index} `);
  }
  return { paths, flags: paths.flatMap((path, index) => ["-v", `${path}:/m/${index}`]) };
}

test(
  "directories of this machine come to it while it goes on, each in its place, and it writes to them",
  async () => {
    const { paths, flags } = directories(8);
    const inner = join(world.scratch, "inner");
    mkdirSync(inner, { recursive: true });
    const [first = ""] = paths;
    for (const count of [1, 8]) {
      const script = "cat /m/*/name; for each in /m/*; do basename $each > $each/seen; done; " +
        "touch /m/0/inner/none 2>/dev/null || echo refused";
      const readOnly = count === 1 ? ["-v", `${inner}:/m/0/inner:ro`] : [];
      const { stdout, stderr } = await guest(script, [...flags.slice(0, 2 * count), ...readOnly]);
      expect({ count, boots: boots(stderr) }).toEqual({ count, boots: false });
      expect(stdout).toBe(
        Array.from({ length: count }, (_, index) => `${index} `).join("") +
          (count === 1 ? "refused\n" : ""),
      );
    }
    expect(paths.map((path) => readFileSync(join(path, "seen"), "utf8")))
      .toEqual(paths.map((_, index) => `${index}\n`));
    expect(readdirSync(inner)).toEqual([]);
    expect(readdirSync(first)).toContain("inner");
  },
  400_000,
);

test.skipIf("missing" in lookForFileDaemon())(
  "a file daemon that somebody ends while the guest begins ends it, and the template stays",
  async () => {
    const { flags } = directories(1);
    const running = world.start(["run", "--no-net", ...flags, "--", "sleep", "60"], WARM);
    const served = () =>
      spawnSync("pgrep", ["-P", String(running.pid), "virtiofsd"]).stdout.toString().trim();
    await until("a file daemon", () => served() !== "");
    process.kill(Number(served().split("\n")[0]), "SIGKILL");
    const { status, stderr } = await running.ended;
    expect({ status, boots: boots(stderr) }).toEqual({ status: 125, boots: false });
    expect(stderr).toMatch(/^sbx: cannot (?:start the guest|go on): the file daemon of .* ended/m);
    expect(boots((await guest("true", [])).stderr)).toBe(false);
  },
  400_000,
);

test("with more than come to it while it goes on, a guest boots", async () => {
  const { stdout, stderr } = await guest("cat /m/*/name", directories(9).flags);
  expect({ stdout, boots: boots(stderr) }).toEqual({ stdout: "0 1 2 3 4 5 6 7 8 ", boots: true });
}, 400_000);
