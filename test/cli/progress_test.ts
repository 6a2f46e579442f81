import { expect, test } from "bun:test";
import { dirname, join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { Progress } from "../../lib/cli/progress.ts";
import { ManualClock } from "../support/manual_clock.ts";
import { run } from "../support/process.ts";

const ERASE = "\r\x1b[K";

function waiting(columns = 80) {
  const clock = new ManualClock();
  const written: string[] = [];
  const screen = { write: (text: string) => void written.push(text), columns: () => columns };
  return { clock, written, progress: new Progress("starting dev", screen, clock) };
}

test("what takes less than a second shows nothing", async () => {
  const { clock, written, progress } = waiting();
  await clock.pass(999);
  progress.hide();
  progress.end();
  await clock.pass(10_000);
  expect(written).toEqual([]);
});

test("it is shown each second, is hidden for others, comes back, and goes at the end", async () => {
  const { clock, written, progress } = waiting();
  await clock.pass(2000);
  const [one, two] = ["1", "2"].map((count) => `${ERASE}sbx: starting dev … ${count} s`);
  expect(written.splice(0)).toEqual([one, two] as string[]);
  progress.hide();
  progress.hide();
  expect(written.splice(0)).toEqual([ERASE]);
  await clock.pass(1000);
  expect(written.splice(0)).toEqual([`${ERASE}sbx: starting dev … 3 s`]);
  progress.end();
  progress.end();
  await clock.pass(10_000);
  expect(written).toEqual([ERASE]);
});

test("a line is never longer than the terminal is wide", async () => {
  const { clock, written } = waiting(12);
  await clock.pass(1000);
  expect(written).toEqual([`${ERASE}sbx: starti`]);
});

const FIXTURE = join(dirname(fileURLToPath(import.meta.url)), "progress_fixture.ts");
const COMMAND = `'${process.execPath}' '${FIXTURE}'`;

/** All that a terminal gets of it; script(1) plays the terminal. */
async function terminal(options: string, env: Readonly<Record<string, string>>): Promise<string> {
  const argv = ["script", "-qec", `${COMMAND} ${options}`, "/dev/null"];
  return (await run(argv, { limit: 60, env: { TERM: "xterm", NO_COLOR: "1", ...env } })).stdout;
}

test("a terminal shows it between what is printed, and nothing of it is left", async () => {
  const shown = await terminal("2500", {});
  expect(shown).toStartWith(`${ERASE}sbx: waiting … `);
  // The notice and the answer stand on lines of their own.
  expect(shown).toContain(`s${ERASE}sbx: a notice\r\n`);
  expect(shown).toEndWith(`s${ERASE}the answer\r\n`);
});

test("nothing of it is in a pipe, on a terminal that cannot erase, or with --quiet", async () => {
  const piped = await run(["sh", "-c", `${COMMAND} 1500 2>&1`], { limit: 60 });
  expect(piped.stdout).toBe("sbx: a notice\nthe answer\n");
  expect(await terminal("1500", { TERM: "dumb" })).toBe("sbx: a notice\r\nthe answer\r\n");
  expect(await terminal("1500 quiet", {})).toBe("the answer\r\n");
});
