import { expect, test } from "bun:test";
import { dirname, join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { run } from "../support/process.ts";

const FIXTURE = join(dirname(fileURLToPath(import.meta.url)), "terminal_fixture.ts");
const MAIN = join(dirname(FIXTURE), "../../main.ts");
const COMMAND = `'${process.execPath}' '${FIXTURE}'`;

/** What a terminal of 101 × 33 shows of the script; script(1) plays the terminal. */
async function terminal(
  script: string,
  env: Readonly<Record<string, string>> = {},
): Promise<string> {
  const inside = `stty rows 33 cols 101; ${script}`;
  const { stdout } = await run(["script", "-qec", inside, "/dev/null"], { limit: 30, env });
  return stdout;
}

test.each(["leave", "exit", "throw"])("the terminal is raw, and given back: %s", async (how) => {
  const shown = await terminal(
    `before=$(stty -g); ${COMMAND} ${how} 2>/dev/null; [ "$before" = "$(stty -g)" ] && echo restored`,
  );
  expect(shown).toContain("terminal=true input=true");
  expect(shown).toContain("raw=true size=101x33");
  expect(shown).toContain("restored");
});

test("a job in the background gets no terminal, and is not stopped for asking", async () => {
  const shown = await terminal(`set -m; ${COMMAND} ask & wait`);
  expect(shown).toContain("terminal=false input=false");
});

test("without a terminal there is none to want, and input may be read", async () => {
  const { stdout } = await run(["/bin/sh", "-c", `${COMMAND} ask`]);
  expect(stdout).toBe("terminal=false input=true\n");
});

test("colour is for a terminal, and NO_COLOR turns it off", async () => {
  // A runtime that is told of CI takes a terminal there for one without colours.
  const wrong = `unset CI; '${process.execPath}' '${MAIN}' policy test none`;
  const coloured = await terminal(wrong, { NO_COLOR: "", TERM: "xterm" });
  expect(coloured).toContain("\x1b[31msbx:\x1b[39m");
  const plain = await terminal(wrong, { NO_COLOR: "1", TERM: "xterm" });
  expect(plain).toContain("sbx: cannot");
  expect(plain).not.toContain("\x1b[");
  const piped = await run(["sh", "-c", wrong], { env: { NO_COLOR: "", TERM: "xterm" } });
  expect(piped.stderr).toContain("sbx: cannot");
  expect(piped.stderr).not.toContain("\x1b[");
});
