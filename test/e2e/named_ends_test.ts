/**
 * Time limits, signals and ends of a named sandbox need the help of nobody either: not of its guest, and not of the
 * process that owns it.
 */
import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { processesOf } from "../support/host_state.ts";
import { until } from "../support/process.ts";
import { openWorld, ROOT, SBX, type World } from "../support/world.ts";

let world: World;
let env: Record<string, string>;
beforeAll(async () => {
  world = await openWorld({ bare: true });
  env = { XDG_STATE_HOME: join(world.scratch, "state") };
});
afterAll(() => world?.[Symbol.asyncDispose]());
afterEach(async () => {
  await sbx("kill", "box");
  await sbx("rm", "--force", "box");
});

const sbx = (...args: readonly string[]) => world.sbx(args, { env });
const start = async (...args: readonly string[]) => {
  const { status, stderr } = await sbx("run", "-d", "-q", "-n", "box", "--no-net", ...args);
  expect([status, stderr]).toEqual([0, ""]);
};

const supervisor = (): number => {
  const path = join(env["XDG_STATE_HOME"] ?? "", "sbx/sandboxes/box/state.json");
  return JSON.parse(readFileSync(path, "utf8")).pid;
};

/** Whether its machine runs. */
const lives = () =>
  processesOf(world).some(({ pid, name }) => {
    try {
      return name.startsWith("qemu-system") &&
        !/\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, "utf8"));
    } catch {
      return false; // it is gone
    }
  });

test("a stopped supervisor keeps its guest, but not beyond the time limit", async () => {
  await start("--timeout", "2s", "--", "sleep", "1000");
  const pid = supervisor();
  process.kill(pid, "SIGSTOP");
  expect(lives()).toBe(true);
  await until("the time limit", () => !lives(), 60);
  process.kill(pid, "SIGCONT");
  await until("its end", async () => !(await sbx("ls")).stdout.includes("box"), 60);
});

test("a supervisor that does not answer is named as that, and the hint ends it with its guest", async () => {
  await start("--", "sleep", "1000");
  process.kill(supervisor(), "SIGSTOP");
  const { status, stderr } = await sbx("stop", "box");
  expect(status).toBe(125);
  const [, hint = ""] = /^sbx: cannot use sandbox box: .*\nhint: .*'sbx ([a-z ]+)'\n$/
    .exec(stderr) ?? [];
  expect(hint).toBe("kill box");
  expect((await sbx(...hint.split(" "))).status).toBe(0);
  await until("the end of all", () => !lives(), 30);
});

test("signals that were ignored at the start of a client stay ignored", async () => {
  await start("--", "sleep", "1000");
  const client = world.startOnHost(
    ["sh", "-c", `trap '' HUP INT TERM; exec "$@"`, "sh", SBX, "exec", "box", "--"]
      .concat(["sh", "-c", "echo ready; sleep 3; echo done"]),
    { stdin: "", env: { ...env, XDG_CACHE_HOME: join(ROOT, ".cache/test") } },
  );
  await until("the command", () => client.stdout().includes("ready"), 60);
  for (const signal of ["SIGHUP", "SIGINT", "SIGTERM"] as const) client.kill(signal);
  const { status, stdout } = await client.ended;
  expect([status, stdout]).toEqual([0, "ready\ndone\n"]);
});
