/**
 * The library as it is published, in a fresh directory, under each runtime that it is for: one program, one answer.
 */
import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { setTimeout as delay } from "node:timers/promises";
import { processesOf } from "../support/host_state.ts";
import { forgetSandboxes, installPacked, RUNTIMES } from "../support/packed.ts";
import { PUBLIC } from "../support/places.ts";
import { openWorld, ROOT, SBX, type World } from "../support/world.ts";

const PROGRAM = `
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { Destination, doctor, licences, NetworkPolicy, Rule, Sandbox, Templates, versions } from "@sbx-dev/sbx";
const said = {};
const codeOf = (promise) => promise.then(() => "done", ({ code, name }) => name === "SbxError" ? code : name);
const heard = { denials: [], exits: [], asked: 0 };
const policy = NetworkPolicy.custom({
  rules: [Rule.allowOutbound(Destination.domain("only.members.test"), { ports: [443] })],
});
rmSync("copied", { recursive: true, force: true }); // the runtime before has been here
mkdirSync("copied");
writeFileSync("copied/file", "here\\n");
const sandbox = await Sandbox.builder("packed").memory(256)
  .mount("copied", "/copied", { as: "copy" })
  .network((network) => network.policy(policy))
  .secret("KEY", (secret) =>
    secret.value(async () => "value " + ++heard.asked).hosts("only.members.test"))
  .onDenial(({ target, reason }) => heard.denials.push([target, reason]))
  .create();
try {
  sandbox.onExit((error) => heard.exits.push(error?.code ?? "stopped"));
  const events = sandbox.events({ kinds: ["denial", "exit"] });
  said.asked = heard.asked > 0;
  const { code, stdout, stderr } =
    await sandbox.exec("sh", ["-c", "echo out; echo err >&2; exit 3"]).output();
  said.exec = [code, stdout, stderr];
  said.secret = (await sandbox.exec("printenv", ["KEY"]).output()).stdout.startsWith("sbx-placeholder-");
  const cat = sandbox.exec("cat");
  const writer = cat.stdin.getWriter();
  void writer.write(new TextEncoder().encode("ü".repeat(500_000))).then(() => writer.close());
  said.streams = (await cat.output()).stdout === "ü".repeat(500_000);
  said.missing = await codeOf(sandbox.exec("no-such-program").exit);
  said.aborted = await codeOf(sandbox.exec("sleep", ["60"], { signal: AbortSignal.timeout(200) }).exit);
  await sandbox.fs.write("/root/file", "content", { mode: 0o640 });
  said.files = [await sandbox.fs.readText("/root/file"), (await sandbox.fs.stat("/root/file")).mode & 0o777];
  said.none = await codeOf(sandbox.fs.read("/root/none"));
  writeFileSync("here", "from here");
  await sandbox.fs.copyFromHost("here", "/root/there");
  await sandbox.fs.copyToHost("/root/there", "back");
  said.copied = readFileSync("back", "utf8");
  await sandbox.exec("sh", ["-c", "echo there >> /copied/file; echo x > /copied/.envrc"]).output();
  const { changes, digest } = await sandbox.diff({ patch: true });
  said.diff = changes.map(({ kind, path, held = "", patch }) => [kind, path, held, patch.includes("+there")]);
  const { applied, held, failed } = await sandbox.apply({ digest });
  said.apply = [applied.length, held.length, failed.length, readFileSync("copied/file", "utf8")];
  said.moved = [await codeOf(sandbox.apply({ digest })), await codeOf(sandbox.apply({ forced: true }))];
  said.denied = (await sandbox.exec("curl", ["-sS", "-m", "3", "http://${PUBLIC}/"]).output()).code !== 0;
  for await (const event of events) {
    said.event = [event.kind, event.denial?.target];
    break;
  }
  said.denials = heard.denials;
  const allowed = await sandbox.applyPolicy(NetworkPolicy.custom({ rules: [] }));
  said.applied = [allowed.rules.removed.length, sandbox.settings.policy.rules.length];
  const server = sandbox.exec("python3", ["-m", "http.server", "8000"]);
  said.port = await sandbox.waitForPort(8000, { signal: AbortSignal.timeout(60_000) });
  server.kill();
  said.waited = await codeOf(sandbox.waitForPort(9, { signal: AbortSignal.timeout(100) }));
  said.metrics = (await sandbox.metrics()).guest.processes > 5;
  said.summary = (await sandbox.summary()).denied;
} finally {
  await sandbox.stop();
}
said.ended = [await sandbox.ended ?? "stopped", heard.exits];
said.late = await codeOf((async () => sandbox.exec("true").exit)());

const named = await Sandbox.builder("kept").memory(256).disk("128M")
  .network((network) => network.policy(NetworkPolicy.none()))
  .createDetached({ main: { argv: ["sleep", "1000"] } });
said.taken = await codeOf(Sandbox.builder("kept").createDetached());
said.list = (await Sandbox.list()).map(({ name, status }) => [name, status]);
const { id } = await named.startJob(["echo", "of a job"], { stdin: false });
await named.wait(id);
let log = "";
for await (const { bytes } of named.logs(id)) log += new TextDecoder().decode(bytes);
said.log = log;
const login = await named.ssh.connect();
const { value } = await login.stdout.getReader().read();
said.ssh = new TextDecoder().decode(value).slice(0, 8);
login.kill("SIGKILL");
const told = [];
const copied = await named.snapshot("copied", { onNotice: (line) => told.push(line) });
const fork = await named.fork("fork", { start: false, onNotice: (line) => told.push(line) });
await fork.remove();
await Sandbox.removeSnapshot("copied");
said.alone = [copied.memory, told, await codeOf(named.snapshot("copied", { memory: true }))];
await named.stop({ graceMs: 0 });
said.stopped = [await named.status(), await codeOf((async () => named.exec("true").exit)())];
await Sandbox.remove("kept");
said.gone = [await codeOf(Sandbox.get("kept")), (await Sandbox.list()).length];

const given = (call) => codeOf(call({ signal: AbortSignal.timeout(300) }));
said.givenUp = [await given((soon) => Templates.build({ memoryMiB: 301 }, soon)), await given(doctor)];
said.unmade = (await Templates.list()).filter(({ manifest }) => manifest?.size.memoryMiB === 301).length;

said.doctor = (await doctor({ boot: false })).map(({ name }) => name).includes("qemu");
said.versions = versions().sbx;
said.licences = (await licences()).length > 10_000;
console.log(JSON.stringify(said));
`;

const WANTED = {
  asked: true,
  exec: [3, "out\n", "err\n"],
  secret: true,
  streams: true,
  missing: "EXEC_NOT_FOUND",
  aborted: "TimeoutError",
  files: ["content", 0o640],
  none: "FILE_NOT_FOUND",
  copied: "from here",
  diff: [["added", ".envrc", "executed", false], ["modified", "file", "", true]],
  apply: [1, 1, 0, "here\nthere\n"],
  moved: ["CHANGES_MOVED", "USAGE"],
  denied: true,
  event: ["denial", `tcp ${PUBLIC}:80`],
  denials: [[`tcp ${PUBLIC}:80`, "default"]],
  applied: [1, 0],
  port: ["0.0.0.0"],
  waited: "TimeoutError",
  metrics: true,
  summary: 1,
  ended: ["stopped", ["stopped"]],
  late: "STOPPED",
  taken: "SANDBOX_EXISTS",
  list: [["kept", "running"]],
  log: "of a job\n",
  ssh: "SSH-2.0-",
  alone: [
    false,
    ["snapshot copied", "the fork"].map((copy) =>
      `${copy} has the disk alone: the sandbox was not created with --savable`
    ),
    "MEMORY_UNSAVABLE",
  ],
  stopped: ["stopped", "STOPPED"],
  gone: ["SANDBOX_MISSING", 0],
  givenUp: ["TimeoutError", "TimeoutError"],
  unmade: 0,
  doctor: true,
  versions: "0.0.0-packed",
  licences: true,
};

/** Starts a sandbox, says so, and waits. */
const WAITING = `
import { NetworkPolicy, Sandbox } from "@sbx-dev/sbx";
const start = Sandbox.builder().memory(256).network((n) => n.policy(NetworkPolicy.none())).create();
await start.catch(({ code, message, hint }) => console.log(code, message, "hint:", hint));
console.log("ready");
`;

const TYPED = `
import { NetworkPolicy, type Policy, Sandbox, type SandboxEvent, SbxError } from "@sbx-dev/sbx";
const policy: Policy = NetworkPolicy.none();
export async function run(signal: AbortSignal): Promise<string> {
  await using sandbox = await Sandbox.builder("own").network((n) => n.policy(policy)).create({ signal });
  const child = sandbox.exec("cat", [], { signal });
  const bytes: ReadableStream<Uint8Array> = child.stdout;
  void bytes;
  for await (const event of sandbox.events()) { const each: SandboxEvent = event; void each; }
  const read = await sandbox.fs.read("/x").catch((error) => error instanceof SbxError ? error.code : error);
  return String(read) + (await child.output()).stdout;
}
`;

let world: World;
let fresh: string;
beforeAll(async () => {
  world = await openWorld();
  fresh = join(world.scratch, "fresh");
  mkdirSync(fresh);
  await installPacked(fresh);
  writeFileSync(join(fresh, "program.mjs"), PROGRAM);
  writeFileSync(join(fresh, "waiting.mjs"), WAITING);
  writeFileSync(join(fresh, "typed.ts"), TYPED);
}, 600_000);
// What a program that failed has left running is not the next one's to stumble over.
afterEach(() => forgetSandboxes(env()), 60_000);
afterAll(() => world?.[Symbol.asyncDispose]());

const env = () => ({
  XDG_CACHE_HOME: join(ROOT, ".cache/test"),
  XDG_STATE_HOME: join(world.scratch, "state"),
  NO_COLOR: "1",
});

const run = (argv: readonly string[], more: Readonly<Record<string, string>> = {}) =>
  world.run(argv, { cwd: fresh, env: { ...env(), ...more }, limit: 400 });

async function gone(): Promise<void> {
  for (let tries = 0; tries < 600 && processesOf(world).length > 0; tries++) await delay(100);
  expect(processesOf(world)).toEqual([]);
}

describe.each(Object.keys(RUNTIMES))("under %s", (name) => {
  const runtime = RUNTIMES[name] ?? [];

  test("a program has a sandbox, watches it, keeps another, and leaves nothing", async () => {
    const { status, stdout, stderr } = await run([...runtime, "program.mjs"]);
    expect([status, stderr]).toEqual([0, ""]);
    expect(JSON.parse(stdout)).toEqual(WANTED);
    await gone();
  });

  test("a program that is killed takes its sandbox along", async () => {
    const running = world.startOnHost([...runtime, "waiting.mjs"], { cwd: fresh, env: env() });
    for (let tries = 0; tries < 1_200 && running.stdout() !== "ready\n"; tries++) await delay(100);
    expect([running.stdout(), running.stderr()]).toEqual(["ready\n", ""]);
    running.kill("SIGKILL");
    await running.ended;
    await gone();
  });
});

test.each([
  ["tsc, with the types of Node", "node"],
  ["tsc, with the types of Bun", "bun"],
])("the declarations hold for %s", async (_, types) => {
  const compiler = join(ROOT, "node_modules/typescript/bin/tsc");
  const strict = ["--noEmit", "--strict", "--exactOptionalPropertyTypes", "--types", types];
  const target = [
    "--module",
    "nodenext",
    "--target",
    "es2024",
    "--lib",
    "es2024,esnext.disposable",
  ];
  const { status, stdout } = await run([
    process.execPath,
    compiler,
    ...strict,
    ...target,
    "typed.ts",
  ]);
  expect([status, stdout]).toEqual([0, ""]);
});

test("the declarations hold for Deno", async () => {
  const argv = ["deno", "check", "--quiet", "--no-config", "--node-modules-dir=manual", "typed.ts"];
  const { status, stderr } = await run(argv);
  expect([status, stderr]).toEqual([0, ""]);
});

test("without a binary a start says what to install, and one that is named will do", async () => {
  const platform = `@sbx-dev/linux-${process.arch}`;
  const directory = join(fresh, "node_modules", platform);
  renameSync(directory, `${directory}-away`);
  try {
    const node = RUNTIMES["Node 22"] ?? [];
    const without = await run([...node, "waiting.mjs"]);
    expect(without.stdout).toBe(
      `REQUIREMENT_MISSING Cannot find the binary of sbx: the package ${platform} is not installed ` +
        "hint: install without --omit=optional, on Linux or macOS, on x64 or arm64; " +
        "or name the binary in SBX_BINARY\nready\n",
    );
    const wrong = await run([...node, "waiting.mjs"], { SBX_BINARY: "none" });
    expect(wrong.stdout).toStartWith(
      `REQUIREMENT_MISSING Cannot find the binary of sbx: ${join(fresh, "none")} is missing hint: `,
    );
    const named = world.startOnHost([...node, "waiting.mjs"], {
      cwd: fresh,
      env: { ...env(), SBX_BINARY: SBX },
    });
    for (let tries = 0; tries < 1_200 && named.stdout() !== "ready\n"; tries++) await delay(100);
    expect(named.stdout()).toBe("ready\n");
    named.kill("SIGTERM");
    await named.ended;
    await gone();
  } finally {
    renameSync(`${directory}-away`, directory);
  }
});
