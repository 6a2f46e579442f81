/**
 * Whatever way a named sandbox starts, it has its policy and an identity of its own; and what is changed while it
 * runs is cut at once, and holds at the next start. One sandbox, in a fake internet, start after start.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { type Run, type RunOptions, until } from "../support/process.ts";
import { PUBLIC, PUBLIC_2 } from "../support/places.ts";
import { openWorld, type World } from "../support/world.ts";

let world: World;
let env: Record<string, string>;
beforeAll(async () => {
  world = await openWorld();
  env = { XDG_STATE_HOME: join(world.scratch, "state"), TOKEN: "value-of-the-token" };
}, 60_000);
afterAll(async () => {
  await world?.sbx(["rm", "--force", "web"], { env });
  await world?.[Symbol.asyncDispose]();
});
const sbx = (args: readonly string[], options: RunOptions = {}): Promise<Run> =>
  world.sbx(args, { ...options, env });
const done = async (...args: readonly string[]) => {
  const result = await sbx(args);
  expect([args, result.status, result.stderr]).toEqual([args, 0, expect.anything()]);
  return result.stdout;
};

/** What a guest says of itself and of what it reaches. */
const PROBE = `
import os, socket
for name in ("/etc/machine-id", "/proc/sys/kernel/random/boot_id"): print(open(name).read().strip())
print(os.environ["TOKEN"]); print(os.getrandom(16).hex())
def reaches(address):
    try: socket.create_connection((address, 7), 2).close(); return "reached"
    except OSError: return "denied"
print(reaches("${PUBLIC}"), reaches("${PUBLIC_2}"), socket.gethostname())
`;

const supervisor = (): number => {
  const path = join(env["XDG_STATE_HOME"] ?? "", "sbx/sandboxes/web/state.json");
  return JSON.parse(readFileSync(path, "utf8")).pid;
};
const status = async () => JSON.parse(await done("inspect", "web")).status;
const stopped = async () => {
  await done("stop", "web");
  expect(await status()).toBe("stopped");
};

/** Each ends with the sandbox running once more. */
const STARTS: Readonly<Record<string, () => Promise<void>>> = {
  "run -d": async () => {
    await done(
      ...["run", "-d", "-q", "-n", "web", "--restart", "always", "-m", "256M", "--no-template"],
      ...[
        "--policy",
        "none",
        "--allow",
        `${PUBLIC}:7`,
        "--allow",
        "api.allowed.test:443",
        "--secret",
        "TOKEN@api.allowed.test",
      ],
      ...["--", "sleep", "100000"],
    );
  },
  "start after stop": async () => {
    await stopped();
    await done("start", "web");
  },
  "start after the supervisor was killed": async () => {
    process.kill(supervisor(), "SIGKILL");
    await until("the loss", async () => await status() === "lost");
    await done("start", "web");
  },
  "start after kill": async () => {
    await done("kill", "web");
    expect(JSON.parse(await done("inspect", "web"))).toMatchObject({
      status: "stopped",
      exit: { signal: 9 },
    });
    await done("start", "web");
  },
  "started again by itself, after its command ended": async () => {
    await sbx(["exec", "web", "--", "pkill", "sleep"]);
    await until("the second start", async () => (await restarts()) === 1, 60);
  },
};
const restarts = async () => {
  const path = join(env["XDG_STATE_HOME"] ?? "", "sbx/sandboxes/web/state.json");
  await Promise.resolve();
  return JSON.parse(readFileSync(path, "utf8")).restarts;
};

const seen: string[] = [];

test.each(Object.keys(STARTS))(
  "%s: its own policy, its own identity",
  async (name) => {
    await STARTS[name]?.();
    const lines = (await done("exec", "web", "--", "python3", "-c", PROBE)).trim().split("\n");
    const [reached, ...identity] = lines.reverse();
    expect(reached).toBe("reached denied web");
    expect(identity.length).toBe(4);
    for (const each of identity) {
      expect(each).not.toBe(env["TOKEN"] ?? "");
      expect(each.length).toBeGreaterThanOrEqual(32);
      expect(seen).not.toContain(each);
      seen.push(each);
    }
  },
  120_000,
);

test("what is applied cuts what is open, and holds at the next start", async () => {
  const script = `
import socket, time
s = socket.create_connection(("${PUBLIC}", 7), 5); print("open", flush=True)
try:
    while True: s.sendall(b"\\0"); s.recv(1) or exit(); time.sleep(0.05)
except OSError as error: print(type(error).__name__, flush=True)
`;
  const job = (await done("exec", "-d", "web", "--", "python3", "-c", script)).trim();
  const said = async () => await done("logs", "--job", job, "web");
  await until("the connection", async () => (await said()).includes("open"));
  const file = join(world.scratch, "next.json");
  const value = JSON.parse(await done("inspect", "web")).spec.policy;
  writeFileSync(
    file,
    JSON.stringify({
      ...value,
      rules: [
        `allow@${PUBLIC_2}:tcp:7`,
        "allow@api.allowed.test:tcp:443",
        "allow:inbound@any:tcp:8000",
      ],
    }),
  );
  const dry = await done("policy", "apply", "--dry-run", "web", file);
  expect(dry).toContain(PUBLIC_2);
  expect(await said()).toBe("open\n");
  await done("policy", "apply", "web", file);
  await until("the cut", async () => (await said()).includes("ConnectionResetError"));
  const added = await done("port", "add", "web", "0:8000");
  const port = /:(\d+)->8000/.exec(`${added}${await done("port", "ls", "web")}`)?.[1] ?? "none";
  await done("exec", "-d", "web", "--", "python3", "-m", "http.server", "8000");
  const fetched = () => world.run(["curl", "-s", "-m", "5", `http://127.0.0.1:${port}/`]);
  await until("the server", async () => (await fetched()).status === 0);
  const [stats] = JSON.parse(await done("stats", "--json", "web"));
  expect(stats).toMatchObject({ name: "web" });
  expect(stats.network.denied).toBeGreaterThan(0);
  await done("port", "rm", "web", port);
  expect((await fetched()).status).not.toBe(0);
  await stopped();
  await done("start", "web");
  const after = (await done("exec", "web", "--", "python3", "-c", PROBE)).trim().split("\n").at(-1);
  expect(after).toBe("denied reached web");
  expect(JSON.parse(await done("inspect", "web"))).toMatchObject({
    published: [],
    spec: { publish: [] },
  });
}, 180_000);
