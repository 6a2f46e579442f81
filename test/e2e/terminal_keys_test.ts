/**
 * At a real terminal, keys end what does not want to end, and all others are the command's.
 */
import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import { join } from "node:path";
import process from "node:process";
import { processesOf } from "../support/host_state.ts";
import type { Run } from "../support/process.ts";
import { openWorld, ROOT, SBX, type World } from "../support/world.ts";

let world: World;
beforeAll(async () => {
  world = await openWorld({ bare: true });
});
afterAll(() => world?.[Symbol.asyncDispose]());
afterEach(() => processesOf(world).forEach(({ pid }) => process.kill(pid, "SIGKILL")));

/**
 * Somebody at a terminal, who takes one step after the other: ["wait", text] for what is shown, ["type",
 * keys], ["pause", seconds], ["stuff", count] for so many keys, ["freeze"] for QEMU. The terminal answers
 * where its cursor is. Prints what was shown, and then the status.
 */
const TERMINAL = `
import json, os, pty, select, signal, subprocess, sys, time
steps = json.loads(sys.argv[1])
pid, terminal = pty.fork()
if pid == 0: os.execvp(sys.argv[2], sys.argv[2:])
os.set_blocking(terminal, False)
shown, typed, seen = b"", b"", 0

def look(seconds):
    global shown, typed
    readable, writable, _ = select.select([terminal], [terminal] if typed else [], [], seconds)
    if writable:
        typed = typed[os.write(terminal, typed):]
    if readable:
        chunk = os.read(terminal, 65536)
        shown += chunk
        typed += b"\\x1b[1;1R" * chunk.count(b"\\x1b[6n")

def qemu():
    for child in subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True).stdout.split():
        if open(f"/proc/{child}/comm").read().startswith("qemu-system"): return int(child)

limit = time.time() + 80
try:
    for kind, *value in steps:
        if kind == "type": typed += value[0].encode()
        if kind == "stuff": typed += b"x" * value[0]
        if kind == "freeze": os.kill(qemu(), signal.SIGSTOP)
        until = time.time() + (value[0] if kind == "pause" else 0)
        while typed or time.time() < until or kind == "wait" and value[0].encode() not in shown[seen:]:
            if time.time() > limit: raise TimeoutError(str([kind, *value]))
            look(0.05)
        seen = len(shown)
    while time.time() < limit: look(0.05)
except OSError as error:
    if isinstance(error, TimeoutError): print("waited in vain:", error)
status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) if time.time() < limit else "late"
if status == "late": os.kill(pid, signal.SIGKILL)
sys.stdout.buffer.write(shown.replace(b"\\x1b[6n", b""))
print("\\nstatus", status)
`;

type Step =
  | readonly [kind: "wait" | "type", text: string]
  | readonly [
    kind: "pause" | "stuff",
    count: number,
  ]
  | readonly ["freeze"];

/** What a terminal shows of a run, with the status in its last line. */
function terminal(steps: readonly Step[], options: readonly string[], script: string) {
  return world.run(
    [
      ...["python3", "-c", TERMINAL, JSON.stringify(steps), SBX, "run", "--no-net", ...options],
      ...["--", "sh", "-c", script],
    ],
    {
      env: { XDG_CACHE_HOME: join(ROOT, ".cache/test"), NO_COLOR: "1", TERM: "xterm" },
      limit: 110,
    },
  );
}

const ended = ({ stdout }: Run, by: string) =>
  expect(stdout).toMatch(
    new RegExp(`sbx: ended \\(${by.replace(/[.^\\]]/g, "\\$&")}\\)[^]*\\nstatus 137\\n$`),
  );

const DEAF = "trap '' INT TERM HUP QUIT; echo ready; while :; do sleep 1; done";

test("Enter and ~. end a command that ignores every signal", async () => {
  const asks =
    "stty raw -echo; echo ready; while :; do printf '\\033[6n\\033[6n\\033[6n'; sleep 0.05; done";
  const [deaf, frozen, asking] = await Promise.all([
    terminal([["wait", "ready"], ["type", "x\r"], ["pause", 0.2], ["type", "~."]], [], DEAF),
    // More than the guest's end takes, so that what ends it stands behind what nobody reads.
    terminal([["wait", "ready"], ["freeze"], ["stuff", 2_000_000], ["type", "\r~."]], [], DEAF),
    // Answers of the terminal stand between the keys.
    terminal(
      [
        ["wait", "ready"],
        ...["\r", "~", "."].flatMap((key) => [["pause", 0.3], ["type", key]] as const),
      ],
      [],
      asks,
    ),
  ]);
  for (const run of [deaf, frozen, asking]) ended(run, "~.");
  expect(frozen.stdout).toContain("sbx: cannot go on: the guest did not answer, and was ended");
  expect(processesOf(world)).toEqual([]);
});

test("--escape-char has another key do it, or none, and other keys reach the command", async () => {
  const echo = (count: number) => `stty raw -echo; echo ready; head -c ${count} | od -An -c`;
  const keys = "~~.\ra~.\r~x\r";
  const [other, none, usual] = await Promise.all([
    terminal([["wait", "ready"], ["type", "\r~.\r\x1d."]], ["--escape-char", "^]"], DEAF),
    terminal([["wait", "ready"], ["type", `${keys}~.`]], ["--escape-char", "none"], echo(13)),
    terminal([["wait", "ready"], ["type", `~?${keys}`]], [], echo(10)),
  ]);
  ended(other, "^].");
  const shown = ({ stdout }: Run) => stdout.replace(/ +/g, " ");
  expect(shown(none)).toContain("\n ~ ~ . \\r a ~ . \\r ~ x \\r ~ .\n");
  expect(shown(usual)).toContain("sbx: ~. end the command, whatever it does\r\n");
  expect(shown(usual)).toContain("\n ~ . \\r a ~ . \\r ~ x \\r\n");
  for (const { stdout } of [none, usual]) expect(stdout).toEndWith("\nstatus 0\n");
});

test("a shell's prompt names the sandbox and its kind of user, unless another is set", async () => {
  const prompt = (shown: string, options: readonly string[], shell: string) =>
    terminal([["wait", shown], ["type", "exit 9\r"]], ["--name", "box", ...options], shell);
  const runs = await Promise.all([
    prompt("box# ", [], "exec bash --norc"),
    prompt("box$ ", ["-u", "nobody"], "exec sh -i"),
    prompt("own> ", ["-e", "PS1=own> "], "exec sh -i"),
  ]);
  for (const { stdout } of runs) expect(stdout).toEndWith("\nstatus 9\n");
});

test("a third Ctrl-C ends a command that shows nothing for it, and never a shell that does", async () => {
  const press = [["type", "\x03"], ["pause", 0.4]] as const;
  const [deaf, slow, shell] = await Promise.all([
    terminal([["wait", "ready"], ...press, ...press, ...press], [], DEAF),
    terminal(
      [
        ["wait", "ready"],
        ...press,
        ...press,
        ["pause", 2.5],
        ...press,
        ...press,
        ["type", "\r~."],
      ],
      [],
      DEAF,
    ),
    terminal(
      [
        ["wait", "$ "],
        ...Array.from(
          { length: 5 },
          // Its prompt is there before readline listens, and is not shown again for a signal in between.
          () => [["pause", 0.4], ["type", "\x03"], ["wait", "$ "]] as const,
        ).flat(),
        ["type", "exit 9\r"],
      ],
      ["-e", "PS1=$ "],
      "exec bash --norc -i",
    ),
  ]);
  ended(deaf, "a third Ctrl-C");
  ended(slow, "~.");
  expect(shell.stdout).toEndWith("status 9\n");
});
