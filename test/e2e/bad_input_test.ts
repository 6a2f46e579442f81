/**
 * Mistakes are answered by one clear line and, where there is something to do, a hint: never a stack trace,
 * never a hang, never a guest that runs with less protection than was asked for.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { processesOf } from "../support/host_state.ts";
import { ordinaryUser } from "../support/ordinary_user.ts";
import { run as runProcess } from "../support/process.ts";
import { openWorld, SBX, type World } from "../support/world.ts";

let world: World;
let directory: string;

beforeAll(async () => {
  world = await openWorld();
  directory = join(world.scratch, "bad");
  mkdirSync(directory);
  const files = {
    "unknown.yaml": "default: deny\nrules:\n  - allow@api.example.com:tcp:443\nruels: []\n",
    "nested.yaml": "rules:\n  - {action: allow, destination: {suffx: .example.com}}\n",
    "cidr.yaml": "default: deny\nrules:\n  - allow@10.0.0.0/33\n",
    "port.json": '{"default": "deny", "rules": ["allow@example.com:tcp:70000"]}\n',
    "broken.json": '{"rules": [\n',
    "empty.yaml": "",
    "list.txt": "fine.example.com\nnot a name\n",
  };
  for (const [name, text] of Object.entries(files)) writeFileSync(join(directory, name), text);
  mkdirSync(join(directory, "policy.d"));
});
afterAll(() => world?.[Symbol.asyncDispose]());

/** What is wrong, the arguments of `sbx run`, the status, and what the line has to say. */
const MISTAKES: readonly [string, readonly string[], number, RegExp][] = [
  ["an unknown preset", ["--policy", "public-onyl"], 2, /public-onyl.*/],
  ["an unknown key", ["--policy", "unknown.yaml"], 125, /unknown\.yaml:4:1: .*ruels/],
  ["an unknown key inside a rule", ["--policy", "nested.yaml"], 125, /nested\.yaml:2:\d+: .*suffx/],
  ["a wrong CIDR in a file", ["--policy", "cidr.yaml"], 125, /cidr\.yaml:3:\d+: .*10\.0\.0\.0\/33/],
  ["a wrong port in a file", ["--policy", "port.json"], 125, /port\.json:1:\d+: .*70000/],
  ["a file that is cut off", ["--policy", "broken.json"], 125, /broken\.json:\d+:\d+: /],
  ["a policy file that is a directory", ["--policy", "policy.d"], 125, /policy\.d.*director/],
  ["a policy file that is not there", ["--policy", "nowhere.yaml"], 125, /nowhere\.yaml/],
  ["a wrong CIDR", ["--allow", "10.0.0.0/33"], 2, /10\.0\.0\.0\/33/],
  ["a port above 65535", ["--allow", "example.com:70000"], 2, /70000/],
  [
    "a rule typed in the wrong order",
    ["--rule", "example.com@allow:tcp:443"],
    2,
    /example\.com@allow/,
  ],
  ["a rule with an unknown protocol", ["--rule", "allow@example.com:tpc:443"], 2, /tpc/],
  ["an unknown option", ["--polcy", "public-only"], 2, /--polcy/],
  ["an unknown way to deny", ["--deny-with", "sadness"], 2, /sadness/],
  ["a mount without its source", ["-v", "/no/such/place:/mnt"], 125, /\/no\/such\/place/],
  ["a mount without a target", ["-v", "/usr"], 2, /\/usr/],
  ["memory that is no size", ["-m", "lots"], 2, /lots/],
  ["memory that is too little", ["-m", "4M"], 2, /4/],
  ["no processors", ["-c", "0"], 2, /0/],
  ["a time that is none", ["--timeout", "soon"], 2, /soon/],
  ["an environment file that is not there", ["--env-file", "nowhere.env"], 125, /nowhere\.env/],
  ["a journal that cannot be written", ["--log", "/no/such/place/log"], 125, /\/no\/such\/place/],
  ["a published port that is none", ["-p", "80:70000"], 2, /70000/],
  ["a resolver that is no address", ["--dns-server", "not-an-address"], 2, /not-an-address/],
  ["a block list that is not there", ["--block-domain", "@nowhere.txt"], 125, /nowhere\.txt/],
  ["a name that is none", ["--block-domain", "a..b"], 2, /a\.\.b/],
];

test.each(MISTAKES)("%s", async (_, args, status, says) => {
  const run = await world.sbx(["run", ...args, "--", "true"], { cwd: directory });
  expectOneLine(run, status, says);
});

function expectOneLine(
  run: { status: number; stdout: string; stderr: string },
  status: number,
  says: RegExp,
): void {
  const [first = "", ...rest] = run.stderr.trimEnd().split("\n");
  expect(first).toMatch(/^sbx: /);
  expect(first).toMatch(says);
  expect(rest.filter((line) => !line.startsWith("hint: "))).toEqual([]);
  expect(rest.length).toBeLessThan(2);
  expect([run.status, run.stdout]).toEqual([status, ""]);
  expect(processesOf(world)).toEqual([]);
}

test("no command at all", async () => {
  expectOneLine(await world.sbx(["run", "--policy", "public-only"]), 2, /command/);
});

test("a command of sbx with a slip of the finger", async () => {
  const run = await world.sbx(["rnu", "--", "true"]);
  expect(run.status).toBe(2);
  expect(run.stderr).toContain("run");
});

test("a cache that cannot be written", async () => {
  writeFileSync(join(directory, "file"), "");
  const env = { XDG_CACHE_HOME: join(directory, "file/cache") };
  expectOneLine(await world.sbx(["run", "--", "true"], { env }), 125, /file\/cache/);
});

const root = process.getuid?.() === 0;

test.skipIf(!root)("a cache that another user owns (needs root)", async () => {
  const cache = join(directory, "theirs");
  mkdirSync(cache);
  chmodSync(cache, 0o755);
  const argv = [...ordinaryUser(65534), "env", `XDG_CACHE_HOME=${cache}`, SBX, "run", "--", "true"];
  expectOneLine(await runProcess(world.onHost(argv)), 125, /theirs/);
});

test("no QEMU", async () => {
  const bin = join(directory, "bin");
  mkdirSync(bin);
  symlinkSync("/usr/bin/true", join(bin, "true"));
  const run = await world.run(["/usr/bin/env", `PATH=${bin}`, SBX, "run", "--", "true"]);
  expectOneLine(run, 125, /qemu-system/);
  expect(run.stderr).toContain("hint: ");
});
