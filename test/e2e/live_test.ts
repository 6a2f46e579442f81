/**
 * What a program can change and see of a sandbox while it runs: one guest, one call after the other.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { processesOf } from "../support/host_state.ts";
import { PUBLIC, PUBLIC_2 } from "../support/places.ts";
import { openWorld, ROOT, type World } from "../support/world.ts";

let world: World;
beforeAll(async () => {
  world = await openWorld();
});
afterAll(() => world?.[Symbol.asyncDispose]());

const PROGRAM = `
import { NetworkPolicy, Sandbox } from "${ROOT}/lib/mod.ts";
import { connect } from "node:net";
const say = (what, value) => console.log(JSON.stringify({ [what]: value }));
const refused = (promise) => promise.then(() => "done", ({ code, name }) => code ?? name);

await using sandbox = await Sandbox.builder().memory(256).create();
const events = sandbox.events({ kinds: ["journal", "exit"] });
const exits = [];
sandbox.onExit((error) => exits.push(error?.code ?? "stopped"));

const TALK = \`
import socket, time
for at in ("${PUBLIC}", "${PUBLIC_2}"):
    s = socket.create_connection((at, 7), 20); print("open", at, flush=True); globals()["s" + at] = s
try:
    while True: s.sendall(b"\\\\0"); s.recv(1) or exit(); time.sleep(0.05)
except OSError as e: print(type(e).__name__, flush=True)
\`;
const talk = sandbox.exec("python3", ["-c", TALK]);
const lines = talk.stdout.pipeThrough(new TextDecoderStream());
let said = "";
const reader = lines.getReader();
const until = async (word) => { while (!said.includes(word)) said += (await reader.read()).value; };
await until("open ${PUBLIC_2}");
const change = await sandbox.applyPolicy({
  ...NetworkPolicy.publicOnly(),
  rules: [{ action: "deny", direction: "outbound", destination: { kind: "cidr", cidr: "${PUBLIC_2}/32" }, protocols: [], ports: [] }],
});
await until("ConnectionResetError");
await talk.exit;
say("cut", change.flows.map(({ destination, outcome }) => [destination, outcome]));
say("rules", sandbox.settings.policy.rules.length);

const server = sandbox.exec("python3", ["-m", "http.server", "8000"]);
say("listening", await sandbox.waitForPort(8000, { timeoutMs: 60_000 }));
say("nobody", await refused(sandbox.waitForPort(8001, { timeoutMs: 50 })));
const ports = await sandbox.publish({ hostPort: 0, guestPort: 8000, protocol: "tcp" });
const [{ port }] = ports;
say("taken", await refused(sandbox.publish({ hostPort: port, guestPort: 8000, protocol: "tcp" })));
const url = \`http://127.0.0.1:\${port}/\`;
say("fetched", (await fetch(url)).status);
const held = connect(port, "127.0.0.1");
const closed = new Promise((resolve) => held.on("error", resolve).on("close", resolve));
await new Promise((resolve) => held.once("connect", resolve));
while ((await sandbox.metrics()).network.openFlows < 1) await new Promise((wake) => setTimeout(wake, 50));
const { ports: gone, connections } = await sandbox.unpublish({ port });
await closed;
say("unpublished", [gone.length, connections >= 1, sandbox.published.length]);
say("again", await refused(fetch(url)) === "done");
say("missing", await refused(sandbox.unpublish({ port })));

const over = new AbortController();
const sleeping = sandbox.exec("sleep", ["1000"], { signal: over.signal });
over.abort(new RangeError("enough"));
say("aborted", await refused(sleeping.exit));

const { policy, dns } = sandbox.settings;
await Promise.all([
  sandbox.applyPolicy({ policy, dns: { ...dns, blockDoh: !dns.blockDoh } }),
  sandbox.applyPolicy(policy),
]);
say("inTurn", sandbox.settings.dns.blockDoh !== dns.blockDoh);
const early = { signal: AbortSignal.abort(new RangeError("enough")) };
say("early", [
  await refused(sandbox.publish({ hostPort: 0, guestPort: 8000, protocol: "tcp" }, early)),
  sandbox.published.length,
]);

await new Promise((wake) => setTimeout(wake, 1_100));
const { guest, network, processes, cpuMs, rssBytes, pssBytes, uptimeMs } = await sandbox.metrics();
say("metrics", {
  processes: [...new Set(processes.map(({ name }) => name))].sort(),
  cpu: cpuMs > 100,
  rss: rssBytes > 50e6 && rssBytes >= pssBytes,
  guest: guest.totalBytes > 100e6 && guest.totalBytes < 256 * 2 ** 20 && guest.processes > 5,
  bytes: network.fromGuestBytes > 1000 && network.toGuestBytes > 1000,
  flows: [network.openFlows, network.openedFlows >= 4, network.denied],
  uptime: uptimeMs > 1000,
});
server.kill("SIGKILL");
await sandbox.stop();
say("late", await refused(sandbox.applyPolicy(NetworkPolicy.none())));
const kinds = [];
for await (const event of events) kinds.push(event.kind === "journal" ? event.record.event : event.kind);
say("events", [...new Set(kinds)].sort());
say("last", [kinds.at(-1), exits]);
`;

test("a program replaces the policy, opens and closes ports, watches and measures", async () => {
  const program = join(world.scratch, "live.ts");
  writeFileSync(program, PROGRAM);
  const { status, stdout, stderr } = await world.run([process.execPath, program], { limit: 120 });
  expect([status, stderr]).toEqual([0, ""]);
  const said = Object.assign({}, ...stdout.trim().split("\n").map((line) => JSON.parse(line)));
  expect(said).toEqual({
    cut: [[`${PUBLIC}:7`, "stays"], [`${PUBLIC_2}:7`, "cut"]],
    rules: 1,
    listening: ["0.0.0.0"],
    nobody: "PORT_TIMEOUT",
    taken: "PORT_BUSY",
    fetched: 200,
    unpublished: [2, true, 0],
    again: false,
    missing: "PORT_MISSING",
    aborted: "RangeError",
    inTurn: true,
    early: ["RangeError", 0],
    metrics: {
      processes: ["netstack", "qemu", "watchdog"],
      cpu: true,
      rss: true,
      guest: true,
      bytes: true,
      flows: [0, true, 1],
      uptime: true,
    },
    late: "STOPPED",
    events: ["closed", "end", "exit", "opened", "policy", "published", "revoked", "unpublished"],
    last: ["exit", ["stopped"]],
  });
  expect(processesOf(world)).toEqual([]);
}, 150_000);
