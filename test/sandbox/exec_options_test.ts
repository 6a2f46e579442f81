import { expect, test } from "bun:test";
import { SbxError } from "../../lib/base/errors.ts";
import {
  type ExecOptions,
  requireExec,
  requireTerminalSize,
} from "../../lib/sandbox/exec_options.ts";
import { signalNumber } from "../../lib/base/signal.ts";

/** As a program in JavaScript calls it. */
// deno-lint-ignore no-explicit-any
const untyped = (value: unknown): any => value;

const TTY = { columns: 80, rows: 24, term: "xterm" };

function refusal(call: () => unknown): string {
  try {
    call();
  } catch (error) {
    if (error instanceof SbxError) return `${error.message}${error.hint ? `; ${error.hint}` : ""}`;
    throw error;
  }
  return "taken";
}

test("options of a command are taken as documented", () => {
  const all: ExecOptions = {
    env: { A: "", B: "x y" },
    workdir: "/",
    user: "nobody:0",
    tty: TTY,
    stdin: false,
    closed: [0, 2],
    timeoutMs: 0.5,
  };
  for (const [name, value] of Object.entries(all)) {
    expect([name, refusal(() => requireExec("a", ["b"], { [name]: value }))]).toEqual([
      name,
      "taken",
    ]);
  }
  expect(refusal(() => requireExec("a", [], { ...all, timeoutMs: Infinity }))).toBe("taken");
});

test("an option that there is not, or that is of another kind, is refused with what is meant", () => {
  const rows: readonly (readonly [options: unknown, said: string])[] = [
    [{ cwd: "/" }, 'there is no option "cwd"; did you mean workdir?'],
    [{ timeout: 5 }, 'there is no option "timeout"; did you mean timeoutMs?'],
    [{ workDir: "/" }, 'there is no option "workDir"; did you mean workdir?'],
    [{ environment: {} }, 'there is no option "environment"; did you mean env?'],
    [{ shell: true }, 'there is no option "shell"; its options are env, workdir, user, tty,'],
    [{ __proto__: null, constructor: 1 }, 'there is no option "constructor"'],
    [{ workdir: "src" }, 'the workdir "src" is not absolute'],
    [{ workdir: 5 }, "a number stands where a text is expected"],
    [{ user: "a b" }, 'exec("a b"): not a user'],
    [{ env: { A: 1 } }, 'exec({ env: { "A": … } }): a number stands where a text is expected'],
    [{ env: { "A=B": "" } }, "not a name and value that an environment can hold"],
    [{ env: { A: "\0" } }, "not a name and value that an environment can hold"],
    [{ tty: true }, "a boolean stands where options are expected"],
    [{ tty: { ...TTY, cols: 80 } }, 'there is no option "cols"; did you mean columns?'],
    [
      { tty: { ...TTY, rows: 0 } },
      "the size of a terminal is columns and rows, from 1 to 65535 each",
    ],
    [{ tty: { columns: 80, rows: 24 } }, "nothing stands where a text is expected"],
    [{ stdin: "no" }, "a text stands where true or false is expected"],
    [{ closed: [3] }, "closed is no list of 0, 1 and 2"],
    [{ closed: 2 }, "closed is no list of 0, 1 and 2"],
    [{ timeoutMs: "5s" }, 'exec({ timeoutMs: "5s" }): not a number of milliseconds'],
    [{ timeoutMs: 0 }, "exec({ timeoutMs: 0 }): must be more than nothing"],
    ["-l", "a text stands where options are expected"],
  ];
  for (const [options, said] of rows) {
    expect(refusal(() => requireExec("a", [], untyped(options)))).toContain(said);
  }
});

test("arguments are a list of texts", () => {
  for (const args of ["-l", { workdir: "/" }, null, [1], [undefined]]) {
    expect(refusal(() => requireExec("ls", untyped(args), {}))).toBe(
      'Cannot use exec(…): the arguments are no list of texts; write them like exec("ls", ["-l", "/tmp"])',
    );
  }
  expect(refusal(() => requireExec(untyped(["ls"]), [], {}))).toContain(
    "a list stands where a text",
  );
});

test("a terminal has a size that fits its message", () => {
  expect(refusal(() => requireTerminalSize("resize(…)", 65_535, 1))).toBe("taken");
  for (const size of [0, -1, 1.5, 65_536, NaN, untyped("80")]) {
    expect(refusal(() => requireTerminalSize("resize(…)", size, 24))).toContain(
      "Cannot use resize(…)",
    );
  }
});

test("a signal is one by its name or its number, and nothing else is", () => {
  expect([
    signalNumber("SIGTERM"),
    signalNumber("SIGKILL"),
    signalNumber("SIGUSR2"),
    signalNumber(64),
  ])
    .toEqual([15, 9, 12, 64]);
  const rows: readonly (readonly [signal: unknown, said: string])[] = [
    ["TERM", 'kill("TERM"): unknown signal; did you mean SIGTERM?'],
    ["sigint", 'kill("sigint"): unknown signal; did you mean SIGINT?'],
    ["SIGFOO", 'kill("SIGFOO"): unknown signal; use a name like SIGTERM, or a number'],
    ["SIGTREM", 'kill("SIGTREM"): unknown signal; did you mean SIGTERM?'],
    ["9", 'kill("9"): unknown signal; use a name like SIGTERM, or a number'],
    ["toString", "unknown signal"],
    [0, "kill(0): not a signal: they are 1 to 64"],
    [65, "kill(65): not a signal"],
    [1.5, "kill(1.5): not a signal"],
    [null, "kill(…): null is no signal"],
    [{}, "kill(…): an object is no signal"],
  ];
  for (const [signal, said] of rows) {
    expect(refusal(() => signalNumber(untyped(signal)))).toContain(said);
  }
});
