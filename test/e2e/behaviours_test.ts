/**
 * What a command may expect of its sandbox, the same by every door: the library with a guest of its own, the library
 * with a named sandbox, and the command line; with a network and without. One table, one guest for each column.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { run } from "../support/process.ts";
import { ROOT, SBX } from "../support/world.ts";

const scratch = mkdtempSync(join(tmpdir(), "sbx-behaviours-"));
const env = { XDG_STATE_HOME: join(scratch, "state"), XDG_CACHE_HOME: join(ROOT, ".cache/test") };
const NETWORKS = ["with a network", "without"] as const;
const policyOf = (network: string) => network === "without" ? "none" : "public-only";
const nameOf = (network: string) => network === "without" ? "off" : "on";

/** How a command ends, and what it printed; `error` where there was none to run. */
interface Result {
  readonly status?: number;
  readonly signal?: number;
  readonly stdout?: string;
  readonly stderr?: string;
  readonly error?: string;
}

/** A command, and what every door has to answer. */
interface Row {
  readonly argv: readonly string[];
  readonly stdin?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly workdir?: string;
  readonly user?: string;
  readonly timeoutMs?: number;
  readonly result: Result;
}

const sh = (script: string): readonly string[] => ["sh", "-c", script];
const BIG = "0123456789abcdef".repeat(20_000);

const ROWS: Readonly<Record<string, Row>> = {
  "output and error apart": {
    argv: sh("echo out; echo err >&2"),
    result: { status: 0, stdout: "out\n", stderr: "err\n" },
  },
  "a status": { argv: sh("exit 7"), result: { status: 7, stdout: "", stderr: "" } },
  "the highest status": { argv: sh("exit 255"), result: { status: 255 } },
  "its own end by a signal": { argv: sh("kill -TERM $$"), result: { signal: 15 } },
  "input to its end": { argv: ["wc", "-c"], stdin: BIG, result: { stdout: `${BIG.length}\n` } },
  "much both ways": { argv: ["cat"], stdin: BIG, result: { status: 0, stdout: BIG } },
  "input that nobody reads": { argv: ["true"], stdin: BIG, result: { status: 0, stdout: "" } },
  "arguments as they are": {
    argv: ["printf", "%s|", "a b", "", "ü€", "$HOME", "-x", "'\"\\"],
    result: { status: 0, stdout: "a b||ü€|$HOME|-x|'\"\\|" },
  },
  "variables and a directory": {
    argv: sh('echo "$A" "$PWD"'),
    env: { A: "1 2" },
    workdir: "/tmp",
    result: { stdout: "1 2 /tmp\n" },
  },
  "a user": { argv: ["id", "-un"], user: "nobody", result: { stdout: "nobody\n" } },
  "a time limit": { argv: ["sleep", "60"], timeoutMs: 300, result: { error: "timed out" } },
  "no such program": { argv: ["no-such-program"], result: { error: "EXEC_NOT_FOUND" } },
  "no program at all": { argv: ["/etc/passwd"], result: { error: "EXEC_NOT_EXECUTABLE" } },
};

/** What the library's two doors answer to all rows, as one program says it. */
const PROGRAM = `
import { NetworkPolicy, Sandbox } from "${ROOT}/lib/mod.ts";
const [door, network] = process.argv.slice(2);
const rows = JSON.parse(await Bun.file("${scratch}/rows.json").text());
const policy = network === "none" ? NetworkPolicy.none() : NetworkPolicy.publicOnly();
await using sandbox = door === "own"
  ? await Sandbox.builder("own").memory(256).network((n) => n.policy(policy)).create()
  : await Sandbox.get(network === "none" ? "off" : "on");
const answers = {};
for (const [name, { argv: [command, ...args], stdin, env, workdir, user, timeoutMs }] of rows) {
  const child = sandbox.exec(command, args, { env: env ?? {}, ...workdir && { workdir }, ...user && { user }, ...timeoutMs && { timeoutMs } });
  if (stdin !== undefined) {
    const writer = child.stdin.getWriter();
    writer.write(new TextEncoder().encode(stdin)).then(() => writer.close()).catch(() => {});
  }
  answers[name] = await child.output().then(
    ({ code, signal, timedOut, stdout, stderr }) => timedOut ? { error: "timed out" } : { status: code, signal, stdout, stderr },
    ({ code }) => ({ error: code }),
  );
}
const aborted = sandbox.exec("sleep", ["60"], { signal: AbortSignal.timeout(200) });
answers.abort = await aborted.exit.then(() => "ended", ({ name }) => name);
const killed = sandbox.exec("sleep", ["60"]);
killed.kill("SIGKILL");
answers.kill = (await killed.exit).signal;
const { fs } = sandbox;
await fs.mkdir("/root/files/in", { recursive: true });
await fs.write("/root/files/in/ü", "content", { mode: 0o640 });
const { kind, size, mode } = await fs.stat("/root/files/in/ü");
answers.files = [await fs.readText("/root/files/in/ü"), kind, size, mode & 0o777, (await fs.list("/root/files")).map(({ name }) => name)];
answers.missing = await fs.read("/root/none").then(() => "read", ({ code }) => code);
await fs.remove("/root/files", { recursive: true });
answers.removed = await fs.exists("/root/files");
answers.wrong = [() => sandbox.exec("true", [], { cwd: "/" }), () => sandbox.exec("a\\0b")].map((call) => {
  try { call(); return "done"; } catch ({ code }) { return code; }
});
if (door === "named") {
  const soon = () => AbortSignal.timeout(200);
  const given = (promise) => promise.then(() => "ended", ({ name }) => name);
  const follow = async () => { for await (const _ of sandbox.logs("main", { follow: true, signal: soon() })); };
  answers.left = [
    await given(sandbox.attach("main", { signal: soon() }).exit),
    await given(sandbox.wait("main", { signal: soon() })),
    await given(sandbox.waitForPort(9, { signal: soon() })),
    await given(follow()),
    await sandbox.status(),
  ];
}
console.log(JSON.stringify(answers));
`;

const AROUND = {
  abort: "TimeoutError",
  kill: 9,
  files: ["content", "file", 7, 0o640, ["in"]],
  missing: "FILE_NOT_FOUND",
  removed: false,
  wrong: ["USAGE", "USAGE"],
};

/** What was waited for goes on when a wait is given up. */
const LEFT = [...Array(4).fill("TimeoutError"), "running"];

beforeAll(async () => {
  writeFileSync(join(scratch, "rows.json"), JSON.stringify(Object.entries(ROWS)));
  writeFileSync(join(scratch, "program.mjs"), PROGRAM);
  const options = ["-q", "-m", "256M"];
  await Promise.all(NETWORKS.map(async (network) => {
    const start = ["run", "-d", ...options, "-n", nameOf(network), "--policy", policyOf(network)];
    const { status, stderr } = await run([SBX, ...start, "--", "sleep", "100000"], { env });
    expect([status, stderr]).toEqual([0, ""]);
  }));
}, 120_000);
afterAll(async () => {
  await run([SBX, "rm", "--force", "on", "off"], { env });
  rmSync(scratch, { recursive: true, force: true });
});

describe.each([...NETWORKS])("%s", (network) => {
  test.each(["own", "named"])("the library, %s sandbox", async (door) => {
    const argv = [process.execPath, join(scratch, "program.mjs"), door, policyOf(network)];
    const { status, stdout, stderr } = await run(argv, { env, limit: 110 });
    expect([status, stderr]).toEqual([0, ""]);
    const answers = JSON.parse(stdout);
    for (const [name, { result }] of Object.entries(ROWS)) {
      expect([name, answers[name]]).toEqual([name, expect.objectContaining(result)]);
    }
    expect(answers).toMatchObject(AROUND);
    if (door === "named") expect(answers.left).toEqual(LEFT);
  }, 120_000);

  test("the command line", async () => {
    const name = nameOf(network);
    const answers = await Promise.all(
      Object.entries(ROWS).map(async ([row, { argv, stdin = "", ...options }]) => {
        const { status, stdout, stderr } = await run(
          [SBX, "exec", ...optionsOf(options), name, "--", ...argv],
          { env, stdin },
        );
        return [row, statusOf(status, stdout, stderr)] as const;
      }),
    );
    for (const [row, answer] of answers) {
      expect([row, answer]).toEqual([row, expect.objectContaining(ROWS[row]?.result ?? {})]);
    }
    const file = join(scratch, `file-${name}`);
    writeFileSync(file, "content", { mode: 0o640 });
    const done = async (...args: readonly string[]) => (await run([SBX, ...args], { env })).status;
    expect(await done("cp", file, `${name}:/root/copied`)).toBe(0);
    expect(await done("cp", `${name}:/root/copied`, `${file}.back`)).toBe(0);
    expect(readFileSync(`${file}.back`, "utf8")).toBe("content");
    expect(await done("cp", `${name}:/root/none`, file)).toBe(125);
  }, 120_000);
});

function optionsOf(
  { env: variables = {}, workdir, user, timeoutMs }: Omit<Row, "argv" | "result">,
) {
  return [
    ...Object.entries(variables).flatMap(([key, value]) => ["-e", `${key}=${value}`]),
    ...(workdir === undefined ? [] : ["-w", workdir]),
    ...(user === undefined ? [] : ["-u", user]),
    ...(timeoutMs === undefined ? [] : ["--timeout", `${timeoutMs}ms`]),
  ];
}

/** As the exit statuses of the command line say it. */
function statusOf(status: number | null, stdout: string, stderr: string): Result {
  if (status === 124) return { error: "timed out" };
  if (status === 126) return { error: "EXEC_NOT_EXECUTABLE" };
  if (status === 127) return { error: "EXEC_NOT_FOUND" };
  if (status !== null && status > 128 && status < 128 + 65) {
    return { signal: status - 128, stdout, stderr };
  }
  return { status: status ?? -1, stdout, stderr };
}
