import { afterAll, beforeAll, expect, test } from "bun:test";
import type { Agent } from "../../lib/guest/agent/client.ts";
import type { GuestProcess } from "../../lib/guest/guest.ts";
import { Agents, feed, outcome, shell, text } from "./agent_process.ts";

let agents: Agents;
let agent: Agent;
beforeAll(() => {
  agents = new Agents();
  agent = agents.start().agent;
});
afterAll(() => agents.close());

const tty = { cols: 101, rows: 33, term: "xterm-256color" };

/** Reads until the output so far matches. */
function screen(command: GuestProcess) {
  const reader = command.stdout.getReader();
  let seen = "";
  return async (pattern: RegExp): Promise<string> => {
    while (!pattern.test(seen)) {
      const { done, value } = await reader.read();
      if (done) throw new Error(`the terminal ended without ${pattern}: ${JSON.stringify(seen)}`);
      seen += new TextDecoder().decode(value);
    }
    return seen;
  };
}

test("a command with a terminal sees one on all three descriptors", async () => {
  const script =
    "test -t 0 && test -t 1 && test -t 2 && tty && stty size && echo $TERM; echo e >&2";
  const { stdout, stderr, code } = await outcome(agent.exec(shell(script, { tty, stdin: true })));
  expect(stdout).toMatch(/^\/dev\/pts\/\d+\r\n33 101\r\nxterm-256color\r\ne\r\n$/);
  expect(stderr).toBe("");
  expect(code).toBe(0);
});

test("it is the controlling terminal: the interrupt key interrupts", async () => {
  const command = agent.exec(
    shell("trap 'echo interrupted; exit 4' INT; echo ready; while :; do sleep 1; done", {
      tty,
      stdin: true,
    }),
  );
  const until = screen(command);
  await until(/ready/);
  await command.stdin.getWriter().write(Uint8Array.of(3));
  await until(/\^Cinterrupted/);
  expect(await command.exit).toEqual({ code: 4 });
});

test("job control works in an interactive shell", async () => {
  const command = agent.exec({
    argv: ["bash", "--norc", "-i"],
    env: { PS1: "> " },
    tty,
    stdin: true,
  });
  const until = screen(command);
  const writer = command.stdin.getWriter();
  const type = (line: string) => writer.write(new TextEncoder().encode(line));
  await until(/> $/);
  // It waits by a builtin: a shell that is stopped between vfork and exec never tells its parent.
  await type(
    'sh -c \'sleep 20 & trap "echo re"sumed CONT; echo run""ning; while :; do wait; done\'\r',
  );
  await until(/^running/m); // the shell itself ignores the suspend key
  await type("\x1a"); // the suspend key
  await until(/Stopped/);
  await type("fg\r");
  await until(/^resumed/m);
  await type("\x03");
  await until(/\^C[^]*> $/);
  await type("exit 5\r");
  expect(await command.exit).toEqual({ code: 5 });
});

test("a new size is told to the command", async () => {
  const command = agent.exec(
    shell("trap 'stty size; exit' WINCH; echo ready; while :; do sleep 0.1; done", {
      tty,
      stdin: true,
    }),
  );
  const until = screen(command);
  await until(/ready/);
  command.resize(300, 70);
  await until(/70 300/);
  expect(await command.exit).toEqual({ code: 0 });
});

test("the end of input is typed, as a person would", async () => {
  const command = agent.exec({ argv: ["cat"], env: {}, tty, stdin: true });
  const [stdout] = await Promise.all([text(command.stdout), feed(command, "line\n")]);
  expect(stdout).toBe("line\r\nline\r\n");
  expect(await command.exit).toEqual({ code: 0 });
});

test("output before the end is not lost", async () => {
  const command = agent.exec(
    shell("i=0; while [ $i -lt 2000 ]; do echo $i; i=$((i+1)); done", { tty }),
  );
  const lines = (await text(command.stdout)).split("\r\n");
  expect(lines.slice(0, -1)).toEqual(Array.from({ length: 2000 }, (_, i) => String(i)));
});

test("a process left behind on the terminal does not keep the command", async () => {
  const command = agent.exec(shell("trap '' HUP; sleep 60 & echo done", { tty }));
  expect(await outcome(command)).toEqual({ stdout: "done\r\n", stderr: "", code: 0 });
});
