/**
 * Many starts from a template leave no more behind than one, with this machine or with the program that asked for
 * them; and whoever is killed while he makes a template is in nobody's way.
 *
 * SBX_WARM_STARTS and SBX_WARM_KILLS say how many (scripts/test-warm-starts).
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { setTimeout as delay } from "node:timers/promises";
import { NetworkPolicy, Sandbox } from "../../lib/mod.ts";
import { setVariables } from "../support/own_state.ts";
import { run, start, until } from "../support/process.ts";
import { SBX } from "../support/world.ts";

const STARTS = Number(process.env["SBX_WARM_STARTS"] ?? 10);
const KILLS = Number(process.env["SBX_WARM_KILLS"] ?? 4);

/** The first ones load and fill what the later ones find. */
const FIRST = 5;

const place = mkdtempSync(join(tmpdir(), "sbx-warm-"));
const env = {
  XDG_CACHE_HOME: join(place, "cache"),
  XDG_STATE_HOME: join(place, "state"),
  TMPDIR: join(place, "temporary"),
};
const set = { ...env, SBX_BINARY: SBX };
let reset = () => {};

beforeAll(async () => {
  for (const directory of Object.values(env)) await mkdir(directory, { mode: 0o700 });
  expect(await run([SBX, "template", "build", "--no-net"], { env, limit: 300 }))
    .toMatchObject({ status: 0, stderr: "sbx: the template is made\n" });
  reset = setVariables(set);
}, 700_000);
afterAll(() => {
  reset();
  rmSync(place, { recursive: true, force: true });
});

/** Names of everything below the directories of this test. */
function files(): string[] {
  return readdirSync(place, { recursive: true }).map(String).sort();
}

/** Processes that run or have mapped something below them, or say so. */
function processes(): string[] {
  return readdirSync("/proc").filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .flatMap((pid) => {
      try {
        const says = ["cmdline", "environ", "maps"].map((name) =>
          readFileSync(`/proc/${pid}/${name}`, "latin1")
        );
        const texts = [readlinkSync(`/proc/${pid}/exe`), ...says];
        return texts.some((text) => text.includes(place)) ? [`${pid} ${texts[1]}`] : [];
      } catch {
        return []; // it has ended
      }
    });
}

/** What this process holds: descriptors, children, and memory once it was cleaned up. */
function holdings() {
  Bun.gc(true);
  const children = readFileSync("/proc/thread-self/children", "utf8").trim();
  return {
    descriptors: readdirSync("/proc/self/fd").length,
    children,
    mebibytes: process.memoryUsage().rss / 2 ** 20,
  };
}

test(`${STARTS} starts in turn leave no file and no process`, async () => {
  const traced = { env: { ...env, SBX_TRACE: "agent" }, limit: 300 };
  const one = async () => {
    const { status, stdout, stderr } = await run(
      [SBX, "run", "--no-net", "--", "echo", "here"],
      traced,
    );
    const why = stderr.includes("(prepare)") ? stderr : "";
    expect({ status, stdout, why }).toEqual({ status: 0, stdout: "here\n", why: "" });
  };
  await one();
  const found = files();
  expect(found.filter((name) => /templates\/[0-9a-f]{64}$/.test(name))).toHaveLength(1);
  for (let count = 1; count < STARTS; count++) await one();
  expect(files()).toEqual(found);
  expect(processes()).toEqual([]);
}, STARTS * 30_000 + 60_000);

test(`a program that has ${STARTS} guests in turn holds no more at the end`, async () => {
  const one = async () => {
    await using sandbox = await Sandbox.builder().network((network) =>
      network.policy(NetworkPolicy.none())
    ).create();
    expect(sandbox.template).toBe("used");
    expect((await sandbox.exec("echo", ["here"]).output()).stdout).toBe("here\n");
  };
  for (let count = 0; count < FIRST; count++) await one();
  const [found, held] = [files(), holdings()];
  for (let count = 0; count < STARTS; count++) await one();
  expect(files()).toEqual(found);
  await until("the end of all processes", () => processes().length === 0);
  const { descriptors, children, mebibytes } = holdings();
  expect({ descriptors, children }).toEqual({ descriptors: held.descriptors, children: "" });
  // A collector's heap comes and goes by as much, however many guests there were.
  expect(mebibytes - held.mebibytes).toBeLessThan(48);
}, (STARTS + FIRST) * 30_000 + 60_000);

/** Whether one template is kept, and nothing of another making lies beside it. */
function madeIn(templates: string): boolean {
  const names = readdirSync(templates);
  return names.length === 1 && names.every((name) => KEY.test(name));
}

test(`whoever is killed in the making, ${KILLS} times, leaves a next run that works`, async () => {
  const own = { env: { ...env, XDG_CACHE_HOME: join(place, "killed") }, limit: 300 };
  const build = [SBX, "template", "build", "--no-net"];
  // How long it takes here, and now.
  const { status, seconds } = await run(build, own);
  expect(status).toBe(0);
  const templates = join(place, "killed/sbx/templates");
  for (let count = 0; count < KILLS; count++) {
    await run([SBX, "template", "prune"], own);
    const making = start(build, own);
    // Each in a part of its own, so that few of them see all that a making does.
    await delay((count + Math.random()) / KILLS * seconds * 1000);
    making.kill("SIGKILL");
    await making.ended;
    const { stdout, stderr } = await run([SBX, "run", "--no-net", "--", "echo", "here"], own);
    // What it says of a template that it could not use would be said here.
    expect({ stdout, said: /template/.exec(stderr)?.[0] }).toEqual({
      stdout: "here\n",
      said: undefined,
    });
    // The next one is made behind that run, where the killed one had not kept it; its parts go with it.
    await until("a template", () => madeIn(templates), 200);
    expect(
      (await run([SBX, "run", "--no-net", "--", "echo", "here"], {
        ...own,
        env: { ...own.env, SBX_TRACE: "agent" },
      })).stderr,
    ).not.toContain("(prepare)");
  }
}, KILLS * 120_000 + 300_000);

const KEY = /^[0-9a-f]{64}$/;
