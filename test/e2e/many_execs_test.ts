/**
 * Commands in a sandbox that lives, many of them in turn and at once, leave nothing behind: no process, no descriptor and
 * no memory, here or in the guest. SBX_MANY_EXECS says how many (scripts/test-library: a thousand of each).
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { Sandbox } from "../../lib/mod.ts";
import { setVariables } from "../support/own_state.ts";
import { run, until } from "../support/process.ts";
import { familyOf, residentMiB } from "../support/process_memory.ts";
import { ROOT, SBX } from "../support/world.ts";

const MANY = Number(process.env["SBX_MANY_EXECS"] ?? 48);
const AT_ONCE = Math.min(64, MANY / 4);

/** The first ones load and fill what the later ones find. */
const FIRST = 24;

/** What a collector may not have looked at yet, however many there were. */
const MOST_GROWTH_MIB = 48;

const NAME = "many";
const state = mkdtempSync(join(tmpdir(), "sbx-many-"));
const env = { XDG_STATE_HOME: state, XDG_CACHE_HOME: join(ROOT, ".cache/test"), SBX_BINARY: SBX };
let reset = () => {};

beforeAll(async () => {
  reset = setVariables(env);
  const argv = [SBX, "run", "-d", "-q", "-n", NAME, "--no-net", "--", "sleep", "100000"];
  expect(await run(argv)).toMatchObject({ status: 0, stderr: "" });
}, 120_000);
afterAll(async () => {
  await run([SBX, "rm", "-f", NAME]);
  reset();
  rmSync(state, { recursive: true, force: true });
});

interface Held {
  /** Names of the sandbox's processes here, and how many descriptors each has. */
  readonly here: Readonly<Record<string, number>>;
  /** Of the guest: its processes, and the descriptors of its agent. */
  readonly guest: string;
  readonly mebibytes: number;
}

const GUEST = "ls -d /proc/[0-9]* | wc -l; ls /proc/1/fd | wc -l";

async function held(sandbox: Awaited<ReturnType<typeof Sandbox.get>>): Promise<Held> {
  const { stdout } = await sandbox.exec("sh", ["-c", GUEST], { stdin: false }).output();
  const { pid } = JSON.parse(
    readFileSync(join(state, "sbx/sandboxes", NAME, "state.json"), "utf8"),
  );
  const here: Record<string, number> = {};
  let mebibytes = 0;
  for (const each of familyOf(pid)) {
    const name = readFileSync(`/proc/${each}/comm`, "utf8").trim();
    here[`${name} ${each}`] = readdirSync(`/proc/${each}/fd`).length;
    // What the guest touches is the guest's own.
    if (!name.startsWith("qemu")) mebibytes += residentMiB(each);
  }
  return { here, guest: stdout, mebibytes };
}

test(`${MANY} commands in turn and ${MANY} at once leave nothing behind`, async () => {
  await using sandbox = await Sandbox.get(NAME);
  const one = async (number: number) => {
    const { code, stdout } = await sandbox.exec("echo", [String(number)], { stdin: false })
      .output();
    expect([code, stdout]).toEqual([0, `${number}\n`]);
  };
  const atOnce = (count: number) => Promise.all(Array.from({ length: count }, (_, at) => one(at)));
  await atOnce(AT_ONCE);
  for (let number = 0; number < FIRST; number++) await one(number);
  const first = await held(sandbox);

  for (let number = 0; number < MANY; number++) await one(number);
  for (let count = 0; count < MANY; count += AT_ONCE) await atOnce(AT_ONCE);
  let last = await held(sandbox);
  await until("what each held to be let go", async () => {
    last = await held(sandbox);
    return JSON.stringify([last.here, last.guest]) === JSON.stringify([first.here, first.guest]);
  }).catch(() => {}); // told below
  expect([last.here, last.guest]).toEqual([first.here, first.guest]);
  expect(last.mebibytes - first.mebibytes).toBeLessThan(MOST_GROWTH_MIB);
}, 60_000 + MANY * 2_000);
