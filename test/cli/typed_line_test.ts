import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { TypedLine } from "../../lib/cli/typed_line.ts";
import { start, until } from "../support/process.ts";

const MAIN = join(dirname(fileURLToPath(import.meta.url)), "../../main.ts");
const home = mkdtempSync(join(tmpdir(), "sbx-typed-"));
afterAll(() => rmSync(home, { recursive: true }));

test.each<[keys: readonly string[], text: string]>([
  [["hunter2\r"], "hunter2"],
  [["hun", "ter2", "\n"], "hunter2"],
  [["hunter2\x04"], "hunter2"],
  [["hunteX\x7fr2\r"], "hunter2"],
  [["\x7f\b\x7fhunter2\r"], "hunter2"],
  [["pässword\x7f🔑\x7f🔑\r"], "pässwor🔑"],
  [["wrong\x15hunter2\r"], "hunter2"],
  [["\x1b[200~hunter2\x1b[201~\r"], "hunter2"],
  [["\r"], ""],
])("typing %j gives %j", (keys, text) => {
  const line = new TypedLine();
  const seen = keys.map((piece) => line.take(piece));
  expect(seen.at(-1)).toEqual({ kind: "line", text });
  for (const one of seen.slice(0, -1)) expect(one.kind).toBe("more");
});

test.each([["\x03"], ["hunter2\x03"], ["\x04"], ["v".repeat(70_000)]])("%j gives it up", (keys) => {
  expect(new TypedLine().take(keys).kind).toBe("given-up");
});

/** What a terminal shows of `sbx secret set` while something is typed; script(1) plays the terminal. */
async function typing(
  name: string,
  act: (type: (keys: string) => void, pid: () => number) => void,
) {
  const pidFile = join(home, `${name}.pid`);
  const inner =
    `echo \\$\\$ > '${pidFile}'; exec '${process.execPath}' '${MAIN}' secret set --in file ${name}`;
  const outer = `before=$(stty -g); sh -c "${inner}"; echo status $?; ` +
    `[ "$before" = "$(stty -g)" ] && echo restored`;
  const running = start(["script", "-qec", outer, "/dev/null"], {
    env: { HOME: home, NO_COLOR: "1", XDG_DATA_HOME: "" },
    limit: 60,
  });
  await until("the question", () => running.stdout().includes("type the value"));
  act(
    (keys) => void running.child.stdin?.write(keys),
    () => Number(readFileSync(pidFile, "utf8")),
  );
  const { stdout } = await running.ended;
  return stdout;
}

const kept = (name: string) =>
  readFileSync(join(home, ".local/share/sbx/secrets", `${name}.json`), "utf8");

test("what is typed is kept and not shown, and the terminal is as it was", async () => {
  const shown = await typing("TYPED", (type) => type("hunter2-typed\r"));
  expect(shown).toContain("TYPED is kept");
  expect(shown).toContain("status 0");
  expect(shown).toContain("restored");
  expect(shown).not.toContain("hunter2");
  expect(kept("TYPED")).toContain('"value":"hunter2-typed"');
});

test("Ctrl-C and a signal leave nothing, and the terminal as it was", async () => {
  for (
    const [name, act] of [
      ["KEY", (type: (keys: string) => void) => type("hunter2\x03")],
      ["SIGNAL", (_: unknown, pid: () => number) => process.kill(pid(), "SIGTERM")],
    ] as const
  ) {
    const shown = await typing(name, act);
    expect(shown).toContain("given up, and nothing is changed");
    expect(shown).toContain("status 125");
    expect(shown).toContain("restored");
    expect(shown).not.toContain("hunter2");
    expect(() => kept(name)).toThrow();
  }
});
