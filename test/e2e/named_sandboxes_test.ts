/** Sandboxes that outlive a command, as somebody who types meets them: made, used, found again, ended, forgotten. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import {
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { ordinaryUser } from "../support/ordinary_user.ts";
import { run, type RunOptions, until } from "../support/process.ts";
import { ROOT, SBX } from "../support/world.ts";

let scratch: string;
let env: Record<string, string>;
beforeAll(() => {
  scratch = mkdtempSync(join(tmpdir(), "sbx-named-"));
  env = { XDG_STATE_HOME: join(scratch, "state"), XDG_CACHE_HOME: join(ROOT, ".cache/test") };
});
const sbx = (argv: readonly string[], options: RunOptions = {}) =>
  run([SBX, ...argv], { ...options, env: { ...env, ...options.env } });
afterEach(async () => {
  const { stdout } = await sbx(["ls", "-aq"]);
  const names = stdout.split("\n").filter((name) => name !== "");
  if (names.length > 0) await sbx(["rm", "--force", ...names]);
});
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

const DETACHED = ["run", "-d", "-q", "--no-net"];
const FOREVER = ["--", "sleep", "100000"];

async function started(name: string, ...options: readonly string[]): Promise<void> {
  const done = await sbx([...DETACHED, "-n", name, ...options, ...FOREVER]);
  expect(done).toMatchObject({ status: 0, stdout: `${name}\n`, stderr: "" });
}

interface Listed {
  readonly name: string;
  readonly status: string;
  readonly exit?: { readonly code?: number };
  readonly error?: { readonly code: string; readonly message: string };
}

async function listed(name: string): Promise<Listed | undefined> {
  const { stdout } = await sbx(["ls", "-a", "--json"]);
  return (JSON.parse(stdout) as Listed[]).find((each) => each.name === name);
}

async function statusOf(name: string): Promise<string | undefined> {
  return (await listed(name))?.status;
}

/** Processes of a sandbox: its supervisor, and what that started. */
function processesOf(name: string): { readonly pid: number; readonly what: string }[] {
  const all = Bun.spawnSync(["ps", "-eo", "pid=,ppid=,args="]).stdout.toString().trim().split("\n")
    .map((line) => /^\s*(\d+)\s+(\d+)\s+(.*)$/.exec(line))
    .flatMap((match) =>
      match === null
        ? []
        : [{ pid: Number(match[1]), parent: Number(match[2]), what: match[3] ?? "" }]
    );
  const own = all.filter(({ what }) => what.endsWith(`__supervise ${name}`));
  const pids = new Set(own.map(({ pid }) => pid));
  for (let size = 0; size !== pids.size;) {
    size = pids.size;
    for (const { pid, parent } of all) if (pids.has(parent)) pids.add(pid);
  }
  return all.filter(({ pid }) => pids.has(pid));
}

describe("a life", () => {
  test(
    "commands run in it from anywhere, with streams and status, until it is stopped",
    async () => {
      await started("dev");
      expect(await sbx(["exec", "dev", "--", "cat"], { stdin: "typed" }))
        .toMatchObject({ status: 0, stdout: "typed" });
      expect(await sbx(["exec", "dev", "--", "sh", "-c", "echo bad >&2; exit 7"]))
        .toMatchObject({ status: 7, stdout: "", stderr: "bad\n" });
      expect(
        await sbx([
          "exec",
          "-e",
          "A=1 2",
          "-w",
          "/tmp",
          "dev",
          "--",
          "sh",
          "-c",
          "echo $A $PWD $(hostname)",
        ]),
      )
        .toMatchObject({ status: 0, stdout: "1 2 /tmp dev\n" });
      expect(await sbx(["exec", "dev", "--", "no-such-program"])).toMatchObject({ status: 127 });
      expect(await sbx(["exec", "--timeout", "1s", "dev", "--", "sleep", "60"]))
        .toMatchObject({ status: 124 });
      // What one command leaves, the next one finds.
      await sbx(["exec", "dev", "--", "sh", "-c", "echo kept > /root/note"]);
      expect((await sbx(["exec", "dev", "--", "cat", "/root/note"])).stdout).toBe("kept\n");
      expect(await statusOf("dev")).toBe("running");
      expect(await sbx(["stop", "dev"])).toMatchObject({ status: 0, stdout: "dev\n" });
      expect(await statusOf("dev")).toBe("stopped");
      expect(processesOf("dev")).toEqual([]);
      const refused = await sbx(["exec", "dev", "--", "true"]);
      expect(refused).toMatchObject({ status: 125, stdout: "" });
      expect(refused.stderr).toContain("hint: start it with 'sbx start dev'");
      expect(await sbx(["start", "dev"])).toMatchObject({ status: 0, stdout: "dev\n" });
      expect(await sbx(["exec", "dev", "--", "echo", "again"])).toMatchObject({
        stdout: "again\n",
      });
      const running = await sbx(["rm", "dev"]);
      expect(running).toMatchObject({ status: 125 });
      expect(running.stderr).toContain("it is running");
      expect(await sbx(["rm", "-f", "dev"])).toMatchObject({ status: 0 });
      expect(await listed("dev")).toBeUndefined();
    },
    120_000,
  );

  test("its command is its life: status, output and end are told afterwards", async () => {
    const done = await sbx([
      ...DETACHED,
      "-n",
      "job",
      "--",
      "sh",
      "-c",
      "echo out; echo err >&2; exit 3",
    ]);
    expect(done).toMatchObject({ status: 0 });
    await until("its end", async () => await statusOf("job") === "stopped");
    expect((await listed("job"))?.exit).toEqual({ code: 3 });
    expect(await sbx(["logs", "job"])).toMatchObject({
      status: 0,
      stdout: "out\n",
      stderr: "err\n",
    });
    // A program that is not there is an error of the start, and nothing is kept of it.
    const missing = await sbx([...DETACHED, "-n", "none", "--", "no-such-program"]);
    expect(missing).toMatchObject({ status: 127, stdout: "" });
    expect(await listed("none")).toBeUndefined();
    // One that was to be removed is.
    await sbx([...DETACHED, "--rm", "-n", "brief", "--", "true"]);
    await until("its removal", async () => await listed("brief") === undefined);
  }, 60_000);

  test("jobs go on without anybody, and can be read from any place on", async () => {
    await started("jobs");
    const script = "for i in 1 2 3; do echo line $i; sleep 0.2; done; exit 5";
    expect(await sbx(["exec", "-d", "jobs", "--", "sh", "-c", script])).toMatchObject({
      stdout: "1\n",
    });
    expect(await sbx(["attach", "--job", "1", "--from-start", "jobs"]))
      .toMatchObject({ status: 5, stdout: "line 1\nline 2\nline 3\n" });
    expect(await sbx(["attach", "--job", "1", "--from", "7", "jobs"]))
      .toMatchObject({ status: 5, stdout: "line 2\nline 3\n" });
    expect(await sbx(["logs", "--job", "1", "--tail", "1", "jobs"])).toMatchObject({
      stdout: "line 3\n",
    });
    const [main, job] = JSON.parse((await sbx(["ps", "--json", "jobs"])).stdout);
    expect(main).toMatchObject({ id: "main", argv: ["sleep", "100000"] });
    expect(job).toMatchObject({ id: "1", exit: { code: 5 }, printed: 21 });
    // Input that was left open is whoever attaches.
    await sbx(["exec", "-d", "-i", "jobs", "--", "cat"]);
    expect(await sbx(["attach", "--job", "2", "jobs"], { stdin: "hello" }))
      .toMatchObject({ status: 0, stdout: "hello" });
    expect((await sbx(["attach", "--job", "9", "jobs"])).stderr).toContain("there is none");
  }, 60_000);

  test("ten commands at once, of whoever asks", async () => {
    await started("many");
    const done = await Promise.all(
      Array.from(
        { length: 10 },
        (_, n) => sbx(["exec", "many", "--", "sh", "-c", `sleep 1; echo ${n}`]),
      ),
    );
    expect(done.map(({ stdout }) => stdout)).toEqual(
      Array.from({ length: 10 }, (_, n) => `${n}\n`),
    );
  }, 60_000);

  test("files come and go", async () => {
    await started("files");
    const tree = join(scratch, "tree");
    mkdirSync(join(tree, "in"), { recursive: true });
    writeFileSync(join(tree, "in/file"), "content", { mode: 0o600 });
    symlinkSync("/etc/passwd", join(tree, "link"));
    expect(await sbx(["cp", tree, "files:/root/"])).toMatchObject({ status: 0, stderr: "" });
    expect(
      (await sbx(["exec", "files", "--", "sh", "-c", "cat tree/in/file; readlink tree/link"]))
        .stdout,
    )
      .toBe("content/etc/passwd\n");
    // A link that the guest planted leads nowhere on this machine.
    const victim = join(scratch, "victim");
    writeFileSync(victim, "mine");
    await sbx(["exec", "files", "--", "sh", "-c", `rm tree/in/file; ln -s ${victim} tree/in/file`]);
    const back = join(scratch, "back");
    expect(await sbx(["cp", "files:/root/tree", back])).toMatchObject({ status: 0 });
    expect(readFileSync(victim, "utf8")).toBe("mine");
    expect((await sbx(["cp", "files:/root/none", back])).stderr).toStartWith("sbx: cannot ");
    expect((await sbx(["cp", tree, back])).status).toBe(2);
  }, 60_000);

  test("one that nobody uses for long enough stops; one that fails is started again", async () => {
    await sbx(["create", "-q", "--no-net", "-n", "idle", "--idle-timeout", "2s"]);
    await sbx(["start", "idle"]);
    expect((await sbx(["exec", "idle", "--", "sh", "-c", "sleep 4; echo used"])).stdout).toBe(
      "used\n",
    );
    await until("its end", async () => await statusOf("idle") === "stopped", 20);
    const script = "echo run; sleep 0.3; exit 1";
    await sbx([...DETACHED, "--restart", "on-failure", "-n", "again", "--", "sh", "-c", script]);
    await until(
      "a second run",
      async () => /(?:run\n){2}/.test((await sbx(["logs", "again"])).stdout),
      60,
    );
    expect(await sbx(["stop", "again"])).toMatchObject({ status: 0 });
    expect(await statusOf("again")).toBe("stopped");
  }, 120_000);

  test("one with a disk keeps what was written there, and one without does not", async () => {
    for (const [name, ...disk] of [["kept", "--disk", "512M"], ["fleeting"]]) {
      await started(name ?? "", ...disk);
      await sbx(["exec", name ?? "", "--", "sh", "-c", "echo noted > /root/note"]);
      await sbx(["stop", name ?? ""]);
      await sbx(["start", name ?? ""]);
    }
    const noted = (name: string) => sbx(["exec", name, "--", "cat", "/root/note"]);
    expect(await noted("kept")).toMatchObject({ status: 0, stdout: "noted\n" });
    expect((await noted("fleeting")).status).toBe(1);
  }, 120_000);
});

describe("whatever is killed", () => {
  const VICTIMS: Readonly<Record<string, RegExp>> = {
    supervisor: /__supervise/,
    qemu: /qemu-system/,
    watchdog: /netstack\S* watch/,
    network: /netstack\S* serve/,
  };
  test.each(Object.keys(VICTIMS))(
    "%s: ls tells it, nothing is left, and it starts again",
    async (victim) => {
      const name = `killed-${victim}`;
      const argv = ["run", "-d", "-q", "-n", name, ...FOREVER]; // with a network
      expect(await sbx(argv)).toMatchObject({ status: 0 });
      const before = processesOf(name);
      const target = before.find(({ what }) => VICTIMS[victim]?.test(what));
      expect(target).toBeDefined();
      process.kill(target?.pid ?? 0, "SIGKILL");
      const wanted = victim === "supervisor" ? "lost" : "failed";
      await until(`${name} to be ${wanted}`, async () => await statusOf(name) === wanted);
      await until("all of it to be gone", () => before.every(({ pid }) => !isAlive(pid)));
      expect((await sbx(["exec", name, "--", "true"])).status).toBe(125);
      expect(await sbx(["start", name])).toMatchObject({ status: 0 });
      expect(await sbx(["exec", name, "--", "echo", "hi"])).toMatchObject({ stdout: "hi\n" });
    },
    60_000,
  );

  test("a shell that is killed takes its command with it, and nothing else", async () => {
    await started("shell");
    const shell = Bun.spawn([SBX, "exec", "shell", "--", "sleep", "4321"], {
      env: { ...process.env, ...env },
      stdin: "pipe",
    });
    const sleeps = async () =>
      (await sbx(["exec", "shell", "--", "pgrep", "-f", "sleep 4321"])).status === 0;
    await until("the command", sleeps);
    shell.kill("SIGKILL");
    await until("its end", async () => !await sleeps());
    expect(await statusOf("shell")).toBe("running");
  }, 60_000);

  test("a power-off inside is its end", async () => {
    await started("off");
    await sbx(["exec", "off", "--", "sh", "-c", "echo o > /proc/sysrq-trigger"]);
    await until("its end", async () => ["failed", "stopped"].includes(await statusOf("off") ?? ""));
    expect(processesOf("off")).toEqual([]);
  }, 60_000);

  test("a state of before the machine was started again deceives nobody", async () => {
    await sbx(["create", "-q", "-n", "stale", "--no-net"]);
    const home = join(env.XDG_STATE_HOME ?? "", "sbx/sandboxes/stale");
    const state = {
      kind: "running",
      at: 1,
      pid: process.pid,
      accelerator: "tcg",
      published: [],
      restarts: 0,
    };
    writeFileSync(join(home, "state.json"), JSON.stringify(state), { mode: 0o600 });
    writeFileSync(join(home, "control"), ""); // of a socket, only the name is left
    expect(await statusOf("stale")).toBe("lost");
    expect(await sbx(["start", "stale"])).toMatchObject({ status: 0 });
    expect(await sbx(["exec", "stale", "--", "echo", "hi"])).toMatchObject({ stdout: "hi\n" });
    writeFileSync(join(home, "record.json"), "{", { mode: 0o600 });
    expect((await listed("stale"))?.error?.code).toBe("STATE_UNUSABLE");
    expect(await sbx(["rm", "--force", "stale"])).toMatchObject({ status: 0 });
  }, 60_000);
});

describe("names and owners", () => {
  test("a name is taken once, also by two at the same moment", async () => {
    const both = await Promise.all([0, 1].map(() => sbx([...DETACHED, "-n", "same", ...FOREVER])));
    expect(both.map(({ status }) => status).toSorted()).toEqual([0, 125]);
    expect(both.map(({ stderr }) => stderr).join("")).toContain(
      "cannot create sandbox same: there is one",
    );
    expect(await statusOf("same")).toBe("running");
    const again = await Promise.all([0, 1].map(() => sbx(["start", "same"])));
    expect(again.map(({ status }) => status)).toEqual([125, 125]);
  }, 60_000);

  test("what is no name is refused, and leads nowhere", async () => {
    for (const name of ["..", ".", "a/b", "../up", "", "-x", ".hidden", "a b", "x".repeat(64)]) {
      const { status, stderr } = await sbx(["create", "--no-net", `--name=${name}`]);
      expect([name, status]).toEqual([name, 2]);
      expect(stderr).toContain("hint: ");
    }
    expect((await sbx(["rm", "../state"])).status).toBe(2);
    expect((await sbx(["exec", "devv", "--", "true"])).stderr).toContain("there is none");
  }, 60_000);

  test("state that others own or can write to is not used", async () => {
    const state = join(scratch, "others");
    const sandboxes = join(state, "sbx/sandboxes");
    mkdirSync(sandboxes, { recursive: true });
    const other = { XDG_STATE_HOME: state };
    chmodSync(sandboxes, 0o777);
    for (const argv of [["ls"], ["create", "--no-net"], ["exec", "x", "--", "true"]]) {
      const { status, stderr } = await sbx(argv, { env: other });
      expect([status, stderr]).toEqual([125, expect.stringContaining("others can write to it")]);
    }
    chmodSync(sandboxes, 0o700);
    expect((await sbx(["ls"], { env: other })).status).toBe(0);
    rmSync(sandboxes, { recursive: true });
    symlinkSync("/tmp", sandboxes);
    expect((await sbx(["ls"], { env: other })).stderr).toContain("it is no directory");
  });

  test.if(process.getuid?.() === 0)("another user reaches none of it", async () => {
    await started("mine");
    const home = join(env.XDG_STATE_HOME ?? "", "sbx/sandboxes/mine");
    for (const directory of [scratch, env.XDG_STATE_HOME ?? ""]) chmodSync(directory, 0o755);
    const as = [...ordinaryUser(65534), "env"];
    const nobody = [...as, `XDG_STATE_HOME=${env.XDG_STATE_HOME}`, "HOME=/nonexistent", SBX];
    const seen = await run([...nobody, "ls", "-a"]);
    expect([seen.status, seen.stdout]).toEqual([125, ""]);
    expect((await run([...as, "cat", join(home, "record.json")])).status).not.toBe(0);
    // Where the directory lets him in, the socket's owner asks the kernel who he is.
    for (const directory of [join(home, "../.."), join(home, ".."), home]) {
      chmodSync(directory, 0o755);
    }
    chmodSync(join(home, "control"), 0o777);
    const script = `import socket; s = socket.socket(socket.AF_UNIX); s.connect("${home}/control")
s.sendall(bytes.fromhex("0100000f00000100") + b'{"method":"ping"}'[:15]); s.settimeout(60)
print(len(s.recv(100)))`;
    const knocked = await run([...as, "python3", "-c", script]);
    expect(knocked.stdout.trim() === "0" || /reset|broken pipe/i.test(knocked.stderr)).toBe(true);
    chownSync(join(home, "record.json"), 65_534, 65_534);
    expect((await sbx(["start", "mine"])).status).toBe(125);
    chownSync(join(home, "record.json"), 0, 0);
    expect((await sbx(["exec", "mine", "--", "echo", "hi"])).stdout).toBe("hi\n");
  }, 60_000);
});

function isAlive(pid: number): boolean {
  try {
    return !/^\d+ \(.*\) Z/.test(readFileSync(`/proc/${pid}/stat`, "utf8"));
  } catch {
    return false;
  }
}
