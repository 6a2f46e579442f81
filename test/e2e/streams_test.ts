/**
 * A command in a guest is like one in the shell: its bytes, its status, its signals, its terminal.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { createHash, randomBytes } from "node:crypto";
import { type Run, until } from "../support/process.ts";
import { openWorld, type World } from "../support/world.ts";

let world: World;
beforeAll(async () => {
  world = await openWorld();
});
afterAll(() => world?.[Symbol.asyncDispose]());

const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");

test("without a network: the bytes come back unchanged, only lo is there, and the status is 7", async () => {
  const bytes = new Uint8Array(randomBytes(5_000_000));
  const run = await world.sbx(["run", "--no-net", "--", "sh", "-c", "cat; ip link >&2; exit 7"], {
    stdin: bytes,
  });
  expect(run.status).toBe(7);
  expect(sha256(run.bytes)).toBe(sha256(bytes));
  expect(run.stderr.match(/^\d+: \S+?:/gm)).toEqual(["1: lo:"]);
});

test("stdout and stderr stay apart, and each keeps its order", async () => {
  const script = "for i in $(seq 500); do echo out $i; echo err $i >&2; done";
  const { stdout, stderr, status } = await world.sbx([
    "run",
    "-q",
    "--no-net",
    "--",
    "sh",
    "-c",
    script,
  ]);
  const lines = (word: string) =>
    Array.from({ length: 500 }, (_, i) => `${word} ${i + 1}\n`).join("");
  expect(status).toBe(0);
  expect(stdout).toBe(lines("out"));
  expect(stderr).toBe(lines("err"));
});

test(
  "64 MiB come through stdin and stdout at once, though neither waits for the other",
  async () => {
    const bytes = new Uint8Array(randomBytes(64 << 20));
    const run = await world.sbx(["run", "-q", "--no-net", "--", "cat"], { stdin: bytes });
    expect([run.status, sha256(run.bytes)]).toEqual([0, sha256(bytes)]);
  },
  180_000,
);

test.each(
  [
    ["128+N after signal N", ["sh", "-c", "kill -SEGV $$"], 139],
    ["127 when there is no such command", ["no-such-command"], 127],
    ["126 when it cannot be executed", ["/etc/hosts"], 126],
    ["124 when its time is over", ["sleep", "100"], 124],
  ] as const,
)("the status is %s", async (_, command, status) => {
  const limits = status === 124 ? ["--timeout", "1s"] : [];
  const run = await world.sbx(["run", "-q", "--no-net", ...limits, "--", ...command]);
  expect(run.status).toBe(status);
  if (status === 126 || status === 127) expect(run.stderr).toContain(command[0]);
});

test("a signal to sbx is a signal to the command, which may answer it", async () => {
  const script = "trap 'echo caught; exit 3' TERM; echo ready; while :; do sleep 0.1; done";
  const running = world.start(["run", "-q", "--no-net", "--", "sh", "-c", script], { stdin: "" });
  await until("the command", () => running.stdout().includes("ready"));
  running.kill("SIGTERM");
  const { status, stdout } = await running.ended;
  expect([status, stdout]).toEqual([3, "ready\ncaught\n"]);
});

test("the end of the input is told, and the command's end is not held up by an open one", async () => {
  const running = world.start([
    "run",
    "-q",
    "--no-net",
    "--",
    "sh",
    "-c",
    "read line; echo got $line",
  ]);
  running.child.stdin?.write("one\n");
  const { status, stdout } = await running.ended;
  expect([status, stdout]).toEqual([0, "got one\n"]);
});

describe("a closed stream is closed for the command", () => {
  const script = async (command: string, redirection: string) => {
    const { SBX } = await import("../support/world.ts");
    const line = `"$0" run -q --no-net -- ${command} ${redirection}`;
    return await world.run(["sh", "-c", line, SBX], { stdin: "" });
  };

  test.each(
    [
      [">&-", "/bin/echo hi", 1, "write error: Bad file descriptor"],
      ["<&-", "cat", 1, "Bad file descriptor"],
      ["2>&-", "sh -c 'echo err >&2 || exit 7'", 7, ""],
      ["<&- >&- 2>&-", "sh -c 'test ! -e /proc/self/fd/2 && cat || exit 8'", 8, ""],
    ] as const,
  )("%s: %s fails with %d", async (redirection, command, status, words) => {
    const run = await script(command, redirection);
    expect([run.status, run.stdout]).toEqual([status, ""]);
    expect(run.stderr).toContain(words);
    if (words === "") expect(run.stderr).toBe("");
  });

  test.each(["</dev/null >/dev/null 2>/dev/null", "0<>/dev/null 1<>/dev/null 2<>/dev/null"])(
    "and a real null device is not: %s",
    async (redirections) => {
      const run = await script("sh -c 'cat && /bin/echo hi && /bin/echo err >&2'", redirections);
      expect([run.status, run.stdout, run.stderr]).toEqual([0, "", ""]);
    },
  );
});

test("whoever stops reading gets no more, and the run ends as a pipe's writer does", async () => {
  const sbx = "$0 run -q --no-net -- yes";
  const { SBX } = await import("../support/world.ts");
  const { stdout, status } = await world.run(["sh", "-c", `${sbx} | head -n 3`, SBX]);
  expect([status, stdout]).toEqual([0, "y\ny\ny\n"]);
});

test("the environment, the directory, mounts and resources are those that were asked for", async () => {
  const script = "echo $A-$B-$PWD; nproc; cat from/file; echo new > from/made; cat ro/file;" +
    " (echo no > ro/made) 2>/dev/null || echo read-only; grep MemTotal /proc/meminfo;" +
    " cd from/repository && git status -s -b";
  const { scratch } = world;
  await world.run(["sh", "-c", `mkdir -p ${scratch}/from && echo here > ${scratch}/from/file`]);
  // Git refuses the repository of another user, which a mount's owner is to the guest's root.
  await world.run(["git", "init", "-q", `${scratch}/from/repository`]);
  await world.run(["chown", "-R", "12345:12345", `${scratch}/from/repository`]);
  const args = ["-e", "A=1", "-e", "B", "-w", "/work", "-c", "2", "-m", "300M"];
  const mounts = ["-v", `${scratch}/from:/work/from`, "-v", `${scratch}/from:/work/ro:ro`];
  const { stdout, stderr } = await world.sbx(
    ["run", "-q", "--no-net", ...args, ...mounts, "--", "sh", "-c", script],
    { env: { B: "two words" } },
  );
  const [env, cpus, file, again, refused, memory = "", git] = stdout.split("\n");
  expect([stderr, env, cpus, file, again, refused]).toEqual(
    ["", "1-two words-/work", "2", "here", "here", "read-only"],
  );
  expect(Number(/\d+/.exec(memory)?.[0])).toBeLessThan(300 * 1024);
  expect(git).toStartWith("## No commits yet on ");
  const made = await world.run(["cat", `${scratch}/from/made`]);
  expect(made.stdout).toBe("new\n");
});

test("with a terminal the command sees one, of the same size, and its bytes are a terminal's", async () => {
  const { SBX } = await import("../support/world.ts");
  // script(1) gives a terminal to sbx; its size is set from inside, as a window manager would.
  const inner =
    `stty rows 33 cols 101; '${SBX}' run -q --no-net -- sh -c 'tty; stty size; echo done'`;
  const { stdout } = await world.run(["script", "-qec", inner, "/dev/null"], { stdin: "" });
  expect(stdout).toContain("/dev/pts/");
  expect(stdout).toContain("33 101\r\n");
  expect(stdout).toContain("done\r\n");
});

describe("a run with an odd start", () => {
  let odd: Run;
  beforeAll(async () => {
    const words = ["a b", "", "ü\n$(x)", "--", "-q"];
    const script = 'pwd; printf "%s|" "$@"';
    const args = ["run", "--no-net", "--log", "/dev/full", "--", "sh", "-c", script, "sh"];
    odd = await world.sbx([...args, ...words], { cwd: world.scratch });
  });

  test("passes words of all kinds unharmed", () => {
    expect([odd.status, odd.stdout.slice(odd.stdout.indexOf("\n") + 1)])
      .toEqual([0, "a b||ü\n$(x)|--|-q|"]);
  });

  test("may be in a directory that the guest does not have", () => {
    expect(odd.stdout).toStartWith("/root\n");
  });

  test("whose journal the disk does not take says so at its end", () => {
    expect(odd.stderr).toMatch(
      /^sbx: the journal lacks \d+ lines?, because it could not be written$/m,
    );
  });
});
