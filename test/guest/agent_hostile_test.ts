/**
 * A guest that took its agent over, against the host's end: only declared errors come out, memory
 * stays bounded, and nothing hangs.
 */
import { expect, test } from "bun:test";
import { Buffer } from "node:buffer";
import process from "node:process";
import { Duplex, duplexPair } from "node:stream";
import { SbxError } from "../../lib/base/errors.ts";
import { Agent } from "../../lib/guest/agent/client.ts";
import { encodeCallFrame, Kind, MAX_DATA, type Stream, WINDOW } from "../../lib/wire/call_frame.ts";

const COMMANDS = 8;
const COMMAND = { argv: ["true"], env: {}, stdin: true };

/** An agent's end that is the test's to write. */
function hostile() {
  const [port, theirs] = duplexPair();
  theirs.on("data", () => {});
  theirs.on("error", () => {});
  const agent = new Agent(port);
  const send = (kind: Kind, call: number, stream: Stream, payload?: string | Uint8Array) => {
    const bytes = typeof payload === "string" ? new TextEncoder().encode(payload) : payload;
    theirs.write(encodeCallFrame(kind, call, stream, bytes));
  };
  return { agent, send, theirs };
}

const RESULT = '{"ok":{"code":0}}';

test("every violation fails the calls with PROTOCOL", async () => {
  const violations: [string, (send: ReturnType<typeof hostile>["send"]) => void][] = [
    ["a call that is not open", (send) => send(Kind.Data, 9, 1, "x")],
    ["two results", (send) => {
      send(Kind.Result, 2, 0, RESULT);
      send(Kind.Result, 2, 0, RESULT);
    }],
    ["bytes after the result", (send) => {
      send(Kind.Result, 2, 0, RESULT);
      send(Kind.Data, 2, 1, "x");
    }],
    ["bytes after the end", (send) => {
      send(Kind.Eof, 1, 1);
      send(Kind.Data, 1, 1, "x");
    }],
    ["more than the window", (send) => {
      for (let sent = 0; sent < WINDOW; sent += MAX_DATA) {
        send(Kind.Data, 1, 1, new Uint8Array(MAX_DATA));
      }
      send(Kind.Data, 1, 1, "x");
    }],
    ["credit for what was not sent", (send) => send(Kind.Credit, 1, 0, Uint8Array.of(0, 0, 0, 1))],
    ["credit of nothing", (send) => send(Kind.Credit, 1, 0, new Uint8Array(4))],
    ["a result that is not JSON", (send) => send(Kind.Result, 1, 0, "{{")],
    ["a status that cannot be", (send) => send(Kind.Result, 1, 0, '{"ok":{"code":-1}}')],
    ["a kind of the host's", (send) => send(Kind.Signal, 1, 0, "x")],
  ];
  for (const [name, violate] of violations) {
    const { agent, send } = hostile();
    const [first] = [agent.exec(COMMAND), agent.exec(COMMAND)];
    violate(send);
    const error = await first.exit.then(() => "no error", (error: unknown) => error);
    expect(error, name).toBeInstanceOf(SbxError);
    expect(error, name).toMatchObject({ code: "PROTOCOL" });
    await expect(agent.exec(COMMAND).exit, name).rejects.toMatchObject({ code: "PROTOCOL" });
  }
});

test("the readers and writers of a lost call are told", async () => {
  const { agent, theirs } = hostile();
  const command = agent.exec(COMMAND);
  const reader = command.stdout.getReader();
  const reading = reader.read();
  const writer = command.stdin.getWriter();
  const writing = writer.write(new Uint8Array(WINDOW + 1));
  theirs.destroy();
  expect(await Promise.allSettled([reading, writing, command.exit])).toMatchObject([
    { reason: { code: "GUEST_LOST" } },
    { reason: { code: "PIPE_CLOSED" } },
    { reason: { code: "GUEST_LOST" } },
  ]);
});

test("a window of single bytes costs little more than a window", async () => {
  const { agent, send, theirs } = hostile();
  const commands = Array.from({ length: COMMANDS }, () => agent.exec(COMMAND));
  Bun.gc(true);
  const before = process.memoryUsage().rss;
  const one = Uint8Array.of(1);
  const burst = Buffer.concat(
    Array.from({ length: 4096 }, () => encodeCallFrame(Kind.Data, 1, 1, one)),
  );
  for (const call of commands.keys()) {
    for (let at = 4; at < burst.length; at += 9) burst.writeUInt32BE((call + 1) << 8 | 1, at);
    for (let sent = 0; sent < WINDOW; sent += 4096) {
      if (!theirs.write(burst)) await new Promise((resolve) => theirs.once("drain", resolve));
    }
    send(Kind.Eof, call + 1, 1);
    send(Kind.Result, call + 1, 0, RESULT);
  }
  await Promise.all(commands.map(({ exit }) => exit));
  Bun.gc(true);
  const grown = process.memoryUsage().rss - before;
  expect(grown).toBeLessThan(COMMANDS * WINDOW * 24); // an object a byte would be a hundred times as much
  for (const { stdout } of commands.slice(0, 3)) {
    let total = 0;
    for await (const chunk of stdout) total += chunk.length;
    expect(total).toBe(WINDOW);
  }
});

test("mutated conversations end in a status or a declared error", async () => {
  const honest = Buffer.concat([
    encodeCallFrame(Kind.Data, 1, 1, new TextEncoder().encode("out")),
    encodeCallFrame(Kind.Credit, 1, 0, Uint8Array.of(0, 0, 0, 3)),
    encodeCallFrame(Kind.Data, 1, 2, new TextEncoder().encode("err")),
    encodeCallFrame(Kind.Stop, 1, 0),
    encodeCallFrame(Kind.Eof, 1, 1),
    encodeCallFrame(Kind.Eof, 1, 2),
    encodeCallFrame(Kind.Result, 1, 0, new TextEncoder().encode(RESULT)),
  ]);
  let state = 7;
  const random = (below: number) => {
    state = Math.imul(state, 1_103_515_245) + 12_345 >>> 0;
    return (state >>> 8) % below;
  };
  for (let round = 0; round < 1500; round++) {
    const bytes = Buffer.from(honest);
    for (let n = random(5); n > 0; n--) bytes[random(bytes.length)] = random(256);
    const { agent, theirs } = hostile();
    const command = agent.exec(COMMAND);
    await command.stdin.getWriter().write(new TextEncoder().encode("abc"));
    const collected = Promise.allSettled([
      new Response(command.stdout).bytes(),
      new Response(command.stderr).bytes(),
      command.exit,
    ]);
    const cut = random(bytes.length);
    theirs.write(bytes.subarray(0, cut));
    theirs.end(bytes.subarray(cut));
    for (const settled of await collected) {
      if (settled.status === "fulfilled") continue;
      expect(settled.reason).toBeInstanceOf(SbxError);
      expect(["PROTOCOL", "GUEST_LOST", "GUEST_FAILED"]).toContain(settled.reason.code);
    }
  }
});

test("a port that fails while being written loses the agent", async () => {
  const port = new Duplex({
    read() {},
    write: (_bytes, _encoding, done) => done(new Error("broken pipe")),
  });
  const command = new Agent(port).exec(COMMAND);
  await expect(command.exit).rejects.toMatchObject({ code: "GUEST_LOST" });
});
