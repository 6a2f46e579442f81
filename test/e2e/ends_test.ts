/**
 * Time limits and signals end a run though nothing helps: not the guest, not whoever reads the output, not
 * the one thread of sbx itself.
 */
import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { processesOf } from "../support/host_state.ts";
import { type Running, until } from "../support/process.ts";
import { openWorld, ROOT, SBX, type World } from "../support/world.ts";

let world: World;
beforeAll(async () => {
  world = await openWorld({ bare: true });
});
afterAll(() => world?.[Symbol.asyncDispose]());
afterEach(() => processesOf(world).forEach(({ pid }) => process.kill(pid, "SIGKILL")));

const RUN = ["run", "-q", "--no-net"];
const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** The parent of a process, and what it is doing. */
function statOf(pid: number): { parent: number; state: string } | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    const [state = "", parent] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return { parent: Number(parent), state };
  } catch {
    return undefined;
  }
}

/** QEMU, or another child, of one sbx. */
function childOf(running: Running, name = /^qemu-system/): number {
  const found = processesOf(world).find((process) =>
    name.test(process.name) && statOf(process.pid)?.parent === running.pid
  );
  if (found === undefined) throw new Error(`no ${name} under sbx; stderr: ${running.stderr()}`);
  return found.pid;
}

/** Starts a command that says "ready" when it is. */
async function ready(args: readonly string[], script: string): Promise<Running> {
  const running = world.start([...RUN, ...args, "--", "sh", "-c", script], { stdin: "" });
  await until("the command", () => running.stdout().includes("ready"), 60);
  return running;
}

const IDLE = "echo ready; sleep 1000";
/** Takes every processor, and the share that the kernel keeps for others as well. */
const HOG = "echo -1 > /proc/sys/kernel/sched_rt_runtime_us; echo ready;" +
  " exec chrt -f 99 sh -c 'while :; do :; done'";

describe("a guest that does not help", () => {
  const freeze = (running: Running) => void process.kill(childOf(running), "SIGSTOP");
  const twice = async (running: Running, signal: NodeJS.Signals) => {
    running.kill(signal);
    await sleep(500);
    running.kill(signal);
  };
  type End = readonly [
    limits: readonly string[],
    script: string,
    act: (running: Running) => void | Promise<void>,
    status: number,
  ];
  const FROZEN: Readonly<Record<string, End>> = {
    "at its time limit": [["--timeout", "3s"], IDLE, freeze, 124],
    "by SIGTERM": [[], IDLE, (running) => {
      freeze(running);
      running.kill("SIGTERM");
    }, 143],
    "by a second Ctrl-C": [[], IDLE, (running) => {
      freeze(running);
      return twice(running, "SIGINT");
    }, 137],
    "by a second SIGTERM": [[], IDLE, (running) => {
      freeze(running);
      return twice(running, "SIGTERM");
    }, 137],
  };
  const IN_A_LOOP: Readonly<Record<string, End>> = {
    "at its time limit": [["--timeout", "3s"], HOG, () => {}, 124],
    "by SIGTERM": [[], HOG, async (running) => {
      await sleep(1000);
      running.kill("SIGTERM");
    }, 143],
  };

  // All at once: nearly all of the time is patience with guests that may yet answer.
  test.each([["frozen", FROZEN], ["in a real-time loop", IN_A_LOOP]])(
    "is ended: %s",
    async (_, ends) => {
      const ended = await Promise.all(
        Object.entries(ends).map(async ([how, [limits, script, act]]) => {
          const running = await ready(limits, script);
          await act(running);
          const { status, stderr } = await running.ended;
          return [how, status, stderr];
        }),
      );
      expect(ended).toEqual(
        Object.entries(ends).map(([how, [, , , status]]) => [
          how,
          status,
          "sbx: cannot go on: the guest did not answer, and was ended\n",
        ]),
      );
      expect(processesOf(world)).toEqual([]);
    },
  );
});

test("a guest that answers may handle its signals for as long as it likes", async () => {
  const script = "trap 'sleep 8; echo bye; exit 4' TERM; echo ready; while :; do sleep 0.1; done";
  const running = await ready([], script);
  running.kill("SIGTERM");
  running.kill("SIGTERM"); // as timeout(1) does: once to sbx, once to its process group
  // The shell may say on standard error that its own child was terminated, as the whole group had the signal.
  const { status, stdout } = await running.ended;
  expect([status, stdout]).toEqual([4, "ready\nbye\n"]);
});

/** Runs a program with one of its streams to a pipe that is never read; says when that is full. */
const STUCK = `
import array, fcntl, os, subprocess, sys, termios, time
r, w = os.pipe()
streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
streams[sys.argv[1]] = w
child = subprocess.Popen(sys.argv[2:], **streams)
held = array.array("i", [0])
while held[0] < 65536 and child.poll() is None:
    time.sleep(0.1)
    fcntl.ioctl(r, termios.FIONREAD, held)
print(child.pid, flush=True)
print("status", child.wait(), flush=True)
`;

test.each(["stdout", "stderr"])(
  "a run whose %s nobody takes is ended all the same",
  async (stream) => {
    const noise = ["--", "sh", "-c", stream === "stdout" ? "yes" : "yes >&2"];
    const start = (...limits: string[]) =>
      world.startOnHost(["python3", "-c", STUCK, stream, SBX, ...RUN, ...limits, ...noise], {
        env: { XDG_CACHE_HOME: join(ROOT, ".cache/test") },
      });
    const [limited, asked] = [start("--timeout", "3s"), start()];
    await until("a full pipe", () => asked.stdout().includes("\n"), 60);
    process.kill(Number(asked.stdout().split("\n")[0]), "SIGTERM");
    expect((await limited.ended).stdout).toEndWith("status 124\n");
    expect((await asked.ended).stdout).toEndWith("status 143\n");
    expect(processesOf(world)).toEqual([]);
  },
);

/** Runs a program whose output is a terminal that takes nothing for so many seconds. */
const STOPPED_TERMINAL = `
import os, subprocess, sys, time
master, slave = os.openpty()
child = subprocess.Popen(sys.argv[2:], stdin=subprocess.DEVNULL, stdout=slave, stderr=slave)
os.close(slave)
end = time.time() + float(sys.argv[1])
while time.time() < end and child.poll() is None: time.sleep(0.1)
text = b""
try:
    while chunk := os.read(master, 65536): text += chunk
except OSError: pass
print(child.wait(), len(text.split()), text.split()[-1].decode())
`;

test("a terminal that takes nothing holds a run up and does not end it, and is not waited for at its end", async () => {
  const start = (seconds: number, ...args: string[]) =>
    world.startOnHost(["python3", "-c", STOPPED_TERMINAL, String(seconds), SBX, ...RUN, ...args], {
      env: { XDG_CACHE_HOME: join(ROOT, ".cache/test") },
    });
  const patient = start(35, "--", "sh", "-c", "seq 40000; sleep 1; echo end");
  const limited = start(60, "--timeout", "2s", "--", "yes");
  expect((await patient.ended).stdout).toBe("0 40001 end\n");
  expect((await limited.ended).stdout).toStartWith("124 ");
});

/** A program that uses the library, and whose thread then spins for a while. */
const SPINNING = `
import { NetworkPolicy, Sandbox } from "${ROOT}/lib/mod.ts";
const sandbox = await Sandbox.builder().network((n) => n.policy(NetworkPolicy.none())).create();
const child = sandbox.exec("sh", ["-c", "echo up; sleep 1000"]);
await child.stdout.getReader().read();
console.log("ready");
const until = Date.now() + 20_000;
setTimeout(() => {
  while (Date.now() < until);
  void sandbox.exec("echo", ["still here"]).output().then(({ stdout }) => console.log(stdout));
}, 100);
`;

function runProgram(): Running {
  const path = join(world.scratch, "spinning.ts");
  writeFileSync(path, SPINNING);
  return world.startOnHost([process.execPath, path], { stdin: "" });
}

test("a program whose thread spins keeps its guest, which others decide for", async () => {
  const running = runProgram();
  await until("the guest", () => running.stdout().includes("still here"), 100);
  running.kill("SIGKILL");
  await running.ended;
  await until("the end of all", () => processesOf(world).length === 0);
});

test("whatever ends a program ends its guest", async () => {
  for (const signal of ["SIGKILL", "SIGTERM"] as const) {
    const running = runProgram();
    await until("the guest", () => running.stdout().includes("ready"), 60);
    running.kill(signal);
    await running.ended;
    await until("the end of all", () => processesOf(world).length === 0);
  }
});

test("a stopped sbx keeps its guest, but not beyond the time limit, and says what happened", async () => {
  const [free, limited] = await Promise.all([ready([], IDLE), ready(["--timeout", "2s"], IDLE)]);
  const guests = [childOf(free), childOf(limited)];
  for (const running of [free, limited]) running.kill("SIGSTOP");
  await until("the time limit", () => statOf(guests[1] ?? 0)?.state === "Z", 30);
  await sleep(5000);
  expect(statOf(guests[0] ?? 0)?.state).toBe("S");
  for (const running of [free, limited]) running.kill("SIGCONT");
  const ended = await limited.ended;
  expect(ended.status).toBe(124);
  expect(ended.stderr).toMatch(
    /^sbx: cannot go on: sbx was stopped or too busy for \d+ s, and its guest was ended\n$/,
  );
  free.kill("SIGTERM");
  expect((await free.ended).status).toBe(143);
});

test("signals that were ignored at the start stay ignored", async () => {
  const shell = (trap: string) => {
    const script = `trap '' ${trap}; exec "$@"`;
    return world.startOnHost(
      ["sh", "-c", script, "sh", SBX, ...RUN, "--", "sh", "-c", "echo ready; sleep 3; echo done"],
      { stdin: "", env: { XDG_CACHE_HOME: join(ROOT, ".cache/test") } },
    );
  };
  const running = shell("HUP INT TERM");
  await until("the command", () => running.stdout().includes("ready"), 60);
  for (const signal of ["SIGHUP", "SIGINT", "SIGTERM"] as const) running.kill(signal);
  const { status, stdout } = await running.ended;
  expect([status, stdout]).toEqual([0, "ready\ndone\n"]);
  const heard = shell("HUP");
  await until("the command", () => heard.stdout().includes("ready"), 60);
  heard.kill("SIGHUP");
  heard.kill("SIGTERM");
  expect((await heard.ended).status).toBe(143);
});

test("nohup keeps a run alive when its terminal goes", async () => {
  const out = join(world.scratch, "nohup.out");
  const script = `nohup '${SBX}' ${
    RUN.join(" ")
  } -- sh -c "echo ready; sleep 4; echo done" >'${out}'`;
  const terminal = world.startOnHost(["script", "-qec", script, "/dev/null"], {
    env: { XDG_CACHE_HOME: join(ROOT, ".cache/test") },
  });
  await until("the command", () => {
    try {
      return readFileSync(out, "utf8").includes("ready");
    } catch {
      return false;
    }
  }, 60);
  terminal.kill("SIGKILL"); // The other end of the terminal is gone: its processes get SIGHUP.
  await until("the rest", () => readFileSync(out, "utf8").includes("done"), 30);
  await until("the end of all", () => processesOf(world).length === 0, 30);
});
