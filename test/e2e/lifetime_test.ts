/**
 * What dies with what, and that nothing is left: the four processes of a sandbox end together, however one
 * of them ends, and the host is afterwards as it was.
 */
import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import {
  chmodSync,
  chownSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { connectionsAreClosed, processesOf, stateOf } from "../support/host_state.ts";
import { ordinaryUser } from "../support/ordinary_user.ts";
import { PRIVATE, PUBLIC } from "../support/places.ts";
import { run, type Running, until } from "../support/process.ts";
import { contacts } from "../support/recorder.ts";
import { openWorld, SBX, type World } from "../support/world.ts";

let world: World;
beforeAll(async () => {
  world = await openWorld();
});
afterAll(() => world?.[Symbol.asyncDispose]());
// What one test failed to end must not fail the next.
afterEach(() => processesOf(world).forEach(({ pid }) => process.kill(pid, "SIGKILL")));

/**
 * Whatever ends, the rest ends with it, at once where there is a processor for it. On a machine with thirty
 * busy ones for each, two seconds were not enough; this only tells it from what stays.
 */
const GONE_WITHIN = 20;
const TALKS_WITHIN = 120;

/** By name, and what it does: netstack is also asked for numbers, and launches QEMU. */
const ROLES = {
  sbx: /^sbx /,
  netstack: /^netstack\S* serve$/,
  watchdog: /^netstack\S* watch$/,
  qemu: /^qemu-system/,
} as const;
type Role = keyof typeof ROLES;

function pidOf(role: Role): number | undefined {
  return processesOf(world).find(({ name, verb }) => ROLES[role].test(`${name} ${verb}`))?.pid;
}

/** A guest that talks to a public server without end, and knocks on a private one. */
function busyGuest(): Running {
  const script = `
import socket, threading, time
def knock():
    while True:
        try: socket.create_connection(("${PRIVATE[0]}", 80), 0.2)
        except OSError: pass
threading.Thread(target=knock, daemon=True).start()
s = socket.create_connection(("${PUBLIC}", 7))
print("talking", flush=True)
while True:
    s.sendall(b"x" * 1000); s.recv(1000); time.sleep(0.01)
`;
  return world.start(["run", "--policy", "public-only", "--", "python3", "-c", script], {
    stdin: "",
  });
}

const MOMENTS = {
  "as soon as it is there": (_: Running, role: Role) =>
    until(role, () => pidOf(role) !== undefined),
  "while the guest boots": async (_: Running, role: Role) => {
    await until("qemu", () => pidOf("qemu") !== undefined && pidOf(role) !== undefined);
    await new Promise((resolve) => setTimeout(resolve, 500));
  },
  "in the middle of a conversation": (running: Running) =>
    until("the conversation", () => running.stdout().includes("talking"), TALKS_WITHIN),
} as const;

describe.each(Object.keys(ROLES) as Role[])("kill -9 of %s", (role) => {
  test.each(Object.keys(MOMENTS) as (keyof typeof MOMENTS)[])(
    "%s ends everything",
    async (moment) => {
      await world.internet.reset();
      const running = busyGuest();
      await MOMENTS[moment](running, role);
      const pid = pidOf(role);
      if (pid === undefined) throw new Error(`${role} does not run; stderr: ${running.stderr()}`);
      process.kill(pid, "SIGKILL");
      await until("the end of all", () => processesOf(world).length === 0, GONE_WITHIN);
      const { status, stderr } = await running.ended;
      expect(status).toBe(role === "sbx" ? 137 : 125);
      if (role !== "sbx") expect(stderr).toMatch(/^sbx: .*(netstack|QEMU|guest|watchdog)/m);
      expect(stderr).not.toContain("internal error");
      // Nothing is sent on behalf of a guest that is no more, and the canary was never touched. What the
      // host's kernel says to close the dead processes' connections is no longer on their behalf.
      await until("the kernel's last packets", () => connectionsAreClosed(world));
      const before = (await world.internet.report()).packets;
      await new Promise((resolve) => setTimeout(resolve, 300));
      const { packets } = await world.internet.report();
      expect(packets).toEqual(before);
      expect(contacts(await world.internet.report(), [PRIVATE[0]])).toEqual({});
    },
  );
});

test("the guest's own end in a panic ends everything", async () => {
  const { status, stderr } = await world.sbx([
    ...["run", "--no-net", "--", "sh", "-c"],
    "echo 1 > /proc/sys/kernel/sysrq; echo c > /proc/sysrq-trigger; sleep 60",
  ]);
  expect(status).toBe(125);
  expect(stderr).toMatch(/^sbx: .*guest/m);
  expect(processesOf(world)).toEqual([]);
});

test("a signal gives a start up, at whatever moment, and nothing is left of it", async () => {
  for (const [signal, status] of [["SIGTERM", 143], ["SIGHUP", 129], ["SIGINT", 130]] as const) {
    const starts = [0, 100, 300, 600].map(async (ms) => {
      const running = world.start(["run", "--", "sleep", "60"], { stdin: "" });
      await until("sbx", () => processesOf(world).some(({ pid }) => pid === running.child.pid));
      await new Promise((resolve) => setTimeout(resolve, ms));
      running.kill(signal);
      const ended = await running.ended;
      return ended.stderr.replace(/^sbx: the guest is emulated.*\n/m, "") + ended.status;
    });
    // At the very beginning nothing handles the signal yet, and the system's own way has the same status.
    expect(await Promise.all(starts)).toEqual(Array(4).fill(String(status)));
    await until("the end of all", () => processesOf(world).length === 0, GONE_WITHIN);
  }
});

test("a run leaves the host exactly as it was", async () => {
  const home = mkdtempSync(join(tmpdir(), "sbx-home-"));
  try {
    chmodSync(home, 0o755);
    mkdirSync(join(home, "tmp"));
    const env = { HOME: home, TMPDIR: join(home, "tmp"), XDG_CACHE_HOME: join(home, ".cache") };
    const once = () => world.sbx(["run", "-q", "--no-template", "--", "true"], { env, cwd: home });
    expect((await once()).status).toBe(0); // The first unpacks what the binary carries into the cache.
    const before = await stateOf(world, home, "/dev/shm");
    const { status, stdout, stderr } = await once();
    expect([status, stdout, stderr]).toEqual([0, "", ""]);
    expect(await stateOf(world, home, "/dev/shm")).toEqual(before);
  } finally {
    rmSync(home, { recursive: true, force: true });
  }
});

test("what a process still holds of a mapped file is on the host's disk when the run is over", async () => {
  const directory = join(world.scratch, "mapped");
  mkdirSync(directory);
  const holder = `
import mmap, time
file = open("/work/data", "w+b"); file.truncate(8192)
mmap.mmap(file.fileno(), 8192)[:6] = b"mapped"
open("/tmp/written", "w").close()
time.sleep(100)
`;
  const script = `setsid python3 -c '${holder}' </dev/null >/dev/null 2>&1 &` +
    " until [ -e /tmp/written ]; do sleep 0.1; done";
  const args = ["run", "-q", "--no-net", "-v", `${directory}:/work`, "--", "sh", "-c", script];
  const { status, stderr } = await world.sbx(args);
  expect([status, stderr]).toEqual([0, ""]);
  expect(readFileSync(join(directory, "data"), "latin1")).toBe(`mapped${"\0".repeat(8186)}`);
});

test("ten at once are ten sandboxes", async () => {
  const runs = await Promise.all(
    Array.from(
      { length: 10 },
      (_, i) =>
        world.sbx([
          "run",
          "-q",
          "--",
          "sh",
          "-c",
          `curl -sS http://${PUBLIC}/; echo ${i}`,
        ]),
    ),
  );
  for (const [i, { status, stdout, stderr }] of runs.entries()) {
    expect([status, stdout, stderr]).toEqual(
      [0, `hello from ${PUBLIC}:80 as ${PUBLIC} over HTTP/1.1\n${i}\n`, ""],
    );
  }
  expect(processesOf(world)).toEqual([]);
}, 180_000);

test("directories with spaces and letters of all kinds are directories", async () => {
  const odd = join(world.scratch, "spåces in it", "日本 語$'\"");
  mkdirSync(odd, { recursive: true });
  const env = { HOME: odd, XDG_CACHE_HOME: join(odd, "cäche"), TMPDIR: odd };
  const args = ["run", "-q", "-v", `${odd}:/mnt/日本 語:ro`, "-w", "/mnt/日本 語", "--", "pwd"];
  const { status, stdout, stderr } = await world.sbx(args, { env, cwd: odd });
  expect([status, stdout, stderr]).toEqual([0, "/mnt/日本 語\n", ""]);
});

const root = process.getuid?.() === 0;

test.skipIf(!root)(
  "the binary works alone, in an empty directory, for another user (needs root)",
  async () => {
    const directory = mkdtempSync(join(tmpdir(), "sbx-alone-"));
    const id = 54321;
    try {
      copyFileSync(SBX, join(directory, "sbx"));
      chmodSync(join(directory, "sbx"), 0o755);
      chownSync(directory, id, id);
      const argv = [...ordinaryUser(id), "env", "-i"];
      const env = [`HOME=${directory}`, "PATH=/usr/bin:/bin"];
      const sbx = [join(directory, "sbx"), "run", "-q", "--no-template", "--", "sh", "-c"];
      const command = `id -u; curl -sS http://${PUBLIC}/`;
      const { status, stdout, stderr } = await run(
        world.onHost([...argv, ...env, ...sbx, command]),
      );
      expect([status, stderr]).toEqual([0, ""]);
      expect(stdout).toEndWith(`hello from ${PUBLIC}:80 as ${PUBLIC} over HTTP/1.1\n`);
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  },
);
