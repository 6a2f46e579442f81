/**
 * The guest's clock is the host's: at the first command, under load, after the machine stood still,
 * and for files that both write.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { processesOf } from "../support/host_state.ts";
import { until } from "../support/process.ts";
import { openWorld, type World } from "../support/world.ts";

let world: World;
beforeAll(async () => {
  world = await openWorld({ bare: true });
});
afterAll(() => world?.[Symbol.asyncDispose]());

/** Well below what a clock stamped before the boot is behind, and above what a loaded host delays. */
const TOLERANCE_MS = 900;

/** Starts a guest that says its time for each line of input. */
function timekeeper(preparation: string) {
  const script = `${preparation}\nwhile read _; do date +%s%3N; done`;
  const run = world.start(["run", "-q", "--no-net", "--", "sh", "-c", script]);
  /** How far the guest is off for certain, whatever the exchange took; above zero is ahead. */
  const offMs = async () => {
    const had = run.stdout().length;
    const sent = Date.now();
    run.child.stdin?.write("\n");
    await until("the guest's time", () => run.stdout().length > had && run.stdout().endsWith("\n"));
    const time = Number(run.stdout().slice(had));
    return time < sent ? time - sent : Math.max(0, time - Date.now());
  };
  return { run, offMs };
}

test("it is right at the first command and stays so while the processor is busy", async () => {
  const { run, offMs } = timekeeper("(while :; do :; done) &");
  for (let turn = 0; turn < 6; turn++) {
    expect(Math.abs(await offMs())).toBeLessThan(TOLERANCE_MS);
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
  run.kill();
  await run.ended;
}, 120_000);

test("it is right again after the machine stood still, and after a guest set it", async () => {
  const { run, offMs } = timekeeper(":");
  await offMs();
  const qemu = processesOf(world).find(({ name }) => name.startsWith("qemu-system"))?.pid ?? 0;
  expect(qemu).toBeGreaterThan(0);
  process.kill(qemu, "SIGSTOP");
  await new Promise((resolve) => setTimeout(resolve, 4000));
  process.kill(qemu, "SIGCONT");
  await until("the right time", async () => Math.abs(await offMs()) < TOLERANCE_MS);
  run.kill();
  await run.ended;

  const other = timekeeper("date -s '1 hour ago' >/dev/null");
  expect(await other.offMs()).toBeLessThan(-3_000_000);
  await until("the right time", async () => Math.abs(await other.offMs()) < TOLERANCE_MS);
  other.run.kill();
  await other.run.ended;
}, 180_000);

test("what is written in a mount is not from the future, and make agrees", async () => {
  const work = join(world.scratch, "work");
  mkdirSync(work);
  const script = [
    "printf 'b: a\\n\\tcp a b\\n' > Makefile",
    "for i in 1 2 3 4 5; do",
    "  touch a; now=$(date +%s%N); stamp=$(stat -c %.9Y a | tr -d .)",
    '  [ "$stamp" -le "$now" ] && [ $((now - stamp)) -lt 5000000000 ] || echo "off by $((stamp - now)) ns"',
    "done",
    "if command -v make >/dev/null; then make 2>&1 | grep -i future; fi",
    "echo done",
  ].join("\n");
  const run = await world.sbx(
    ["run", "-q", "--no-net", "-v", `${work}:/work`, "-w", "/work", "--", "sh", "-c", script],
  );
  expect(run).toMatchObject({ stdout: "done\n", status: 0 });
}, 120_000);
