import { expect, test } from "bun:test";
import { Duplex } from "node:stream";
import { loadState, saveMachine } from "../../lib/guest/qemu/migration.ts";
import { Monitor, type Order } from "../../lib/guest/qemu/monitor.ts";

const GREETING = '{"QMP": {"version": {}, "capabilities": []}}\r\n';
const OK = '{"return": {}}\r\n';

/** A QEMU that says what the test has it say, and what it was told. */
function qemu() {
  let said = "";
  const socket = new Duplex({
    read() {},
    write(chunk, _, done) {
      said += chunk;
      done();
    },
  });
  return {
    monitor: new Monitor(socket),
    say: (text: string) => socket.push(text),
    hangUp: () => socket.push(null),
    commands: () => said.trim().split("\n").map((line) => JSON.parse(line).execute),
  };
}

const ORDER: Order = ["stop"];

test("orders are obeyed in turn, with events between them, however the lines are cut", async () => {
  const { monitor, say, commands } = qemu();
  const both = monitor.execute(ORDER, ["cont", { now: true }]);
  const event = monitor.event("MIGRATION", ({ status }) => status === "completed");
  const other = '{"event": "MIGRATION", "data": {"status": "active"}}\n{"event": "STOP"}\n';
  const last = '{"event": "MIGRATION", "data": {"status": "completed"}}\r\n';
  for (const byte of GREETING + OK + OK + other + OK + last) say(byte);
  await both;
  expect(await event).toEqual({ status: "completed" });
  expect(commands()).toEqual(["qmp_capabilities", "stop", "cont"]);
});

test("an answer is handed on as it is, to who asked", async () => {
  const { monitor, say } = qemu();
  const asked = Promise.all([monitor.ask(["query-pci"]), monitor.ask(["query-status"])]);
  say(GREETING + OK + '{"return": [{"bus": 0}]}\n{"event": "STOP"}\n{"return": "x"}\n');
  expect(await asked).toEqual([[{ bus: 0 }], "x"]);
});

test("what QEMU refuses is told in its words, made fit to show", async () => {
  const { monitor, say } = qemu();
  const refused = monitor.execute(ORDER);
  say(GREETING + OK + '{"error": {"class": "GenericError", "desc": "no \\u001b[1mway"}}\n');
  await expect(refused).rejects.toMatchObject({ code: "GUEST_START" });
  await expect(refused).rejects.toThrow(/no \S+\[1mway/);
  await expect(refused).rejects.not.toThrow("\x1b");
});

test.each([
  ["no JSON", "hello\n"],
  ["no object", "[1]\n"],
  ["a line without an end", "x".repeat(70_000)],
  ["a line that is too long", `{"event": "${"x".repeat(70_000)}"}\n`],
  ["its end", null],
])("whoever waits hears of %s, and so does whoever comes later", async (_, text) => {
  const { monitor, say, hangUp } = qemu();
  const order = monitor.execute(ORDER);
  const event = monitor.event("STOP", () => true);
  if (text === null) hangUp();
  else say(text);
  const later = order.catch(() => monitor.execute(ORDER));
  const heard = await Promise.allSettled([order, event, later]);
  const reason = expect.objectContaining({ code: "GUEST_START" });
  expect(heard).toEqual(heard.map(() => ({ status: "rejected", reason })) as never);
});

test("a state that QEMU cannot load fails, whether it says so at once or later", async () => {
  const late = qemu();
  const loading = loadState(late.monitor, 9);
  late.say(GREETING + OK.repeat(4) + '{"event": "MIGRATION", "data": {"status": "failed"}}\n');
  await expect(loading).rejects.toThrow("failed");
  const soon = qemu();
  const refused = loadState(soon.monitor, 9);
  soon.say(GREETING + OK.repeat(3) + '{"error": {"desc": "bad descriptor"}}\n');
  await expect(refused).rejects.toThrow("bad descriptor");
});

test("a machine that cannot be saved says why, in QEMU's words", async () => {
  const { monitor, say, commands } = qemu();
  const saving = saveMachine(monitor, new AbortController().signal).catch((error) => error);
  say(GREETING + OK + OK); // qmp_capabilities, stop
  await Bun.sleep(0);
  say(OK + OK + OK + '{"event": "MIGRATION", "data": {"status": "failed"}}\n');
  await Bun.sleep(0);
  say('{"return": {"status": "failed", "error-desc": "9p is mounted"}}\n');
  expect(await saving).toMatchObject({ message: "Cannot move a machine: 9p is mounted" });
  expect(commands()).toEqual([
    "qmp_capabilities",
    "stop",
    "migrate-set-capabilities",
    "migrate-set-parameters",
    "migrate",
    "query-migrate",
  ]);
});
