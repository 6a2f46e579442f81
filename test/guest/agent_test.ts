import { afterAll, beforeAll, expect, test } from "bun:test";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { totalmem } from "node:os";
import { join } from "node:path";
import type { Agent } from "../../lib/guest/agent/client.ts";
import { WINDOW } from "../../lib/wire/call_frame.ts";
import { Agents, bytes, feed, outcome, shell, text } from "./agent_process.ts";

let agents: Agents;
let agent: Agent;
beforeAll(() => {
  agents = new Agents();
  agent = agents.start().agent;
});
afterAll(() => agents.close());

const sha256 = (data: Uint8Array) => createHash("sha256").update(data).digest("hex");

test("exec keeps output, errors and status apart", async () => {
  const command = agent.exec(shell("echo out; echo err >&2; exit 7"));
  expect(await outcome(command)).toEqual({ stdout: "out\n", stderr: "err\n", code: 7 });
});

test("exec says which signal ended the command", async () => {
  expect(await outcome(agent.exec(shell("kill -9 $$")))).toMatchObject({ signal: 9 });
});

test("a signal reaches the command and its children", async () => {
  const command = agent.exec(shell("sleep 60; echo survived"));
  command.signal(15);
  expect(await outcome(command)).toEqual({ stdout: "", stderr: "", signal: 15 });
});

test("a trapped signal is the command's own business", async () => {
  const command = agent.exec(
    shell("trap 'echo trapped; exit 3' TERM; echo ready; sleep 60 & wait"),
  );
  const reader = command.stdout.getReader();
  expect(new TextDecoder().decode((await reader.read()).value)).toBe("ready\n");
  command.signal(15);
  expect(new TextDecoder().decode((await reader.read()).value)).toBe("trapped\n");
  expect(await command.exit).toEqual({ code: 3 });
});

test("input comes back byte for byte, and its end ends the command", async () => {
  const data = new Uint8Array(randomBytes(3_000_001));
  const command = agent.exec({ argv: ["cat"], env: {}, stdin: true });
  const [back] = await Promise.all([bytes(command.stdout), feed(command, data)]);
  expect(sha256(back)).toBe(sha256(data));
  expect(await command.exit).toEqual({ code: 0 });
});

test("without stdin a command reads an empty input", async () => {
  expect(await outcome(agent.exec(shell("cat; echo end")))).toMatchObject({ stdout: "end\n" });
});

test("a stream that is closed for a command fails there, and the others work", async () => {
  const hi = { argv: ["/bin/echo", "hi"], env: {}, stdin: false } as const;
  const unwritten = await outcome(agent.exec({ ...hi, closed: [1] }));
  expect(unwritten).toMatchObject({ stdout: "", code: 1 });
  expect(unwritten.stderr).toContain("write error: Bad file descriptor");
  const unread = await outcome(agent.exec({ argv: ["cat"], env: {}, stdin: true, closed: [0] }));
  expect(unread).toMatchObject({ stdout: "", code: 1 });
  expect(unread.stderr).toContain("Bad file descriptor");
  const said = shell("echo out; echo err >&2 || echo unsaid", { closed: [2] });
  expect(await outcome(agent.exec(said))).toEqual({ stdout: "out\nunsaid\n", stderr: "", code: 0 });
  const none = shell("ls /proc/self/fd >/dev/full || exit 9", { closed: [0, 1, 2] });
  expect(await outcome(agent.exec(none))).toEqual({ stdout: "", stderr: "", code: 9 });
});

test("a command that stops reading makes writers fail", async () => {
  const command = agent.exec(shell("exec <&-; echo closed; sleep 60", { stdin: true }));
  const reader = command.stdout.getReader();
  await reader.read();
  const writer = command.stdin.getWriter();
  const endless = async () => {
    for (;;) await writer.write(new Uint8Array(65536));
  };
  await expect(endless()).rejects.toMatchObject({ code: "PIPE_CLOSED" });
  command.signal(9);
});

test("a command whose reader leaves gets SIGPIPE", async () => {
  const command = agent.exec(shell("exec yes"));
  const reader = command.stdout.getReader();
  await reader.read();
  await reader.cancel();
  expect(await command.exit).toEqual({ signal: 13 });
});

test("a stalled stream holds up nothing else", async () => {
  const stalled = agent.exec(shell("echo $$ >&2; exec yes"));
  const reader = stalled.stderr.getReader();
  const pid = new TextDecoder().decode((await reader.read()).value).trim();
  // It sleeps when window and pipe are full.
  const full = `until grep -q '^State:.S' /proc/${pid}/status; do :; done; echo through`;
  expect(await outcome(agent.exec(shell(full)))).toMatchObject({ stdout: "through\n" });
  stalled.signal(9);
  const rest = await bytes(stalled.stdout);
  expect(rest.length).toBeGreaterThan(WINDOW);
  expect(rest.length).toBeLessThan(2 << 20); // the window and the pipe, not more
  expect(await stalled.exit).toEqual({ signal: 9 });
});

test("both outputs at full speed do not block each other", async () => {
  const script = "head -c 2000000 /dev/zero >&2 & head -c 2000000 /dev/zero; wait";
  const { stdout, stderr, code } = await outcome(agent.exec(shell(script)));
  expect([stdout.length, stderr.length, code]).toEqual([2_000_000, 2_000_000, 0]);
});

test("the end does not wait for a background process that keeps the pipes", async () => {
  const command = agent.exec(shell("sleep 60 & echo done"));
  expect(await outcome(command)).toEqual({ stdout: "done\n", stderr: "", code: 0 });
});

test("what the command wrote arrives though a background process keeps the pipe and the reader is slow", async () => {
  const command = agent.exec(shell("sleep 60 & head -c 300000 /dev/zero"));
  await new Promise((resolve) => setTimeout(resolve, 600));
  expect((await bytes(command.stdout)).length).toBe(300_000);
  expect(await command.exit).toEqual({ code: 0 });
});

test("a background process that never stops writing cannot keep the command alive", async () => {
  const command = agent.exec(shell("yes & echo $! >&2"));
  const [, pid, exit] = await Promise.all([
    bytes(command.stdout),
    text(command.stderr),
    command.exit,
  ]);
  expect(exit).toEqual({ code: 0 });
  await outcome(agent.exec(shell(`kill -9 ${pid.trim()} 2>/dev/null`)));
});

test("orphans are reaped", async () => {
  const { stdout } = await outcome(agent.exec(shell("(sleep 0.05 & echo $!)")));
  const state = `until ! grep -q 'State:.Z' /proc/${stdout.trim()}/status 2>/dev/null; do :; done`;
  expect(await outcome(agent.exec(shell(state)))).toMatchObject({ code: 0 });
});

test("a hundred commands at once", async () => {
  const runs = Array.from(
    { length: 100 },
    (_, n) => outcome(agent.exec(shell(`echo ${n}; exit ${n}`))),
  );
  for (const [n, run] of (await Promise.all(runs)).entries()) {
    expect(run).toEqual({ stdout: `${n}\n`, stderr: "", code: n });
  }
});

test("commands start in the home directory, with a sane environment and what the host adds", async () => {
  const { stdout } = await outcome(
    agent.exec({
      argv: ["sh", "-c", "pwd; env"],
      env: { GREETING: "grüß\n'\"dich" },
      stdin: false,
    }),
  );
  expect(stdout).toStartWith(`${agents.home}\n`);
  expect(stdout).toContain("GREETING=grüß\n'\"dich\n");
  expect(stdout).toContain("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n");
  expect(stdout).toContain("LANG=C.UTF-8\n");
  expect(stdout).not.toContain("TERM=");
});

test("cwd and PATH decide what a name means", async () => {
  const bin = join(agents.home, "bin with space");
  mkdirSync(bin);
  writeFileSync(join(bin, "mine"), "#!/bin/sh\necho mine $0 $@\n");
  chmodSync(join(bin, "mine"), 0o755);
  const spec = { argv: ["mine", "a b"], env: { PATH: `/nowhere:${bin}` }, stdin: false };
  expect(await outcome(agent.exec(spec))).toMatchObject({ stdout: `mine ${bin}/mine a b\n` });
  const relative = { argv: ["./mine"], env: {}, cwd: bin, stdin: false };
  expect(await outcome(agent.exec(relative))).toMatchObject({ stdout: "mine ./mine\n" });
});

test("commands that cannot start say why", async () => {
  const at = (name: string) => join(agents.home, name);
  writeFileSync(at("plain"), "no program\n");
  writeFileSync(at("orphan"), "#!/no/such/interpreter\n");
  writeFileSync(at("script"), "echo script without a first line\n");
  for (const name of ["orphan", "script"]) chmodSync(at(name), 0o755);
  const refused: [string[], string, RegExp][] = [
    [["no-such-command"], "EXEC_NOT_FOUND", /no-such-command: command not found/],
    [["/no/such/file"], "EXEC_NOT_FOUND", /\/no\/such\/file: no such file or directory/],
    [[""], "EXEC_NOT_FOUND", /"": command not found/],
    [[at("plain")], "EXEC_NOT_EXECUTABLE", /plain: permission denied/],
    [[agents.home], "EXEC_NOT_EXECUTABLE", /: is a directory/],
    [[at("orphan")], "EXEC_NOT_EXECUTABLE", /orphan: its interpreter was not found/],
  ];
  for (const [argv, code, message] of refused) {
    const command = agent.exec({ argv, env: {}, stdin: true });
    const error = await command.exit.then(() => undefined, (error) => error);
    expect(error).toMatchObject({ code, message: expect.stringMatching(message) });
    expect(await text(command.stdout)).toBe("");
  }
  const nowhere = agent.exec({ argv: ["true"], env: {}, cwd: "/no/where", stdin: false });
  await expect(nowhere.exit).rejects.toMatchObject({
    message: "Cannot run the command: cannot start in /no/where: no such file or directory",
  });
  expect(await outcome(agent.exec({ argv: [at("script")], env: {}, stdin: false }))).toMatchObject({
    stdout: "script without a first line\n",
  });
  expect(() => agent.exec({ argv: ["echo", "a\0b"], env: {}, stdin: false })).toThrow(/NUL/);
});

test("servers on the loopback are found, and without a network nothing leads to them", async () => {
  for (const at of ["127.0.0.1", "::1"]) {
    const server = createServer().listen(0, at);
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    expect(await agent.reach({ port, forward: false, avoid: [] })).toEqual({ at });
    const refused = agent.reach({ port, forward: true, avoid: [] });
    await expect(refused).rejects.toThrow("Cannot reach a server in the guest: the guest has no");
    server.close();
    await once(server, "close");
    expect(await agent.reach({ port, forward: true, avoid: [] })).toBeNull();
  }
  const everywhere = createServer().listen(0, "0.0.0.0");
  await once(everywhere, "listening");
  const { port } = everywhere.address() as AddressInfo;
  expect(await agent.reach({ port, forward: false, avoid: [] })).toBeNull();
  expect(await agent.listening(port)).toEqual(["0.0.0.0"]);
  everywhere.close();
  await once(everywhere, "close");
  expect(await agent.listening(port)).toEqual([]);
});

test("the agent tells what its machine is doing", async () => {
  const { load, totalBytes, availableBytes, processes } = await agent.usage();
  expect(load.every((average) => average >= 0)).toBeTrue();
  expect(totalBytes).toBe(totalmem());
  expect(availableBytes).toBeGreaterThan(0);
  expect(processes).toBeGreaterThan(1);
});

test("when the agent dies, everything fails with GUEST_LOST", async () => {
  const { agent, child } = agents.start();
  const command = agent.exec(shell("echo up; sleep 60", { stdin: true }));
  const reader = command.stdout.getReader();
  await reader.read();
  child.kill("SIGKILL");
  const lost = { code: "GUEST_LOST" };
  await expect(command.exit).rejects.toMatchObject(lost);
  await expect(reader.read()).rejects.toMatchObject(lost);
  await expect(agent.exec(shell("true")).exit).rejects.toMatchObject(lost);
  const asked = agent.files({ method: "stat", path: "/", follow: true });
  await expect(asked.done).rejects.toMatchObject(lost);
});

test("the agent ends when the host leaves or breaks the protocol", async () => {
  const left = agents.start();
  const leftExit = new Promise((resolve) => left.child.on("exit", resolve));
  left.port.destroy();
  expect(await leftExit).toBe(0);
  for (
    const frame of [[0, 0, 0, 0, 0, 0, 1, 0], [3, 0, 0, 1, 0, 0, 9, 0, 65], [
      1,
      0,
      0,
      2,
      0,
      0,
      1,
      0,
      1,
      1,
    ]]
  ) {
    const broken = agents.start();
    const exit = new Promise((resolve) => broken.child.on("exit", resolve));
    broken.port.write(Uint8Array.from(frame));
    expect(await exit).toBe(1);
  }
});
