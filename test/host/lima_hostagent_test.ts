import { afterAll, beforeAll, expect, test } from "bun:test";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { appendFileSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { adoptGuest, disownGuest } from "../../lib/host/lima/hostagent.ts";
import { run } from "../support/process.ts";

let dir: string;
beforeAll(() => void (dir = mkdtempSync(join(tmpdir(), "sbx-hostagent-"))));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

/** A process, and pidfiles of Lima's that name it, written at a time. */
function pidfiles(at: number) {
  const child = spawn("sleep", ["1000"]);
  for (const name of ["ha.pid", "qemu.pid"]) {
    const path = join(dir, name);
    writeFileSync(path, `${child.pid}\n`);
    utimesSync(path, at / 1000, at / 1000);
  }
  return child;
}

const NOW = Date.now();
const SPEC = { driver: "qemu", since: NOW } as const;

test("what pidfiles of another run name is not Lima's", async () => {
  const child = pidfiles(NOW - 1000);
  disownGuest({ ...SPEC, dir });
  await new Promise((wake) => setTimeout(wake, 100));

  expect([child.exitCode, child.signalCode]).toEqual([null, null]);
  child.kill();
  await once(child, "exit");
});

test("what Lima has begun and nobody adopted is ended", async () => {
  const child = pidfiles(NOW + 1000);
  const ended = once(child, "exit");
  disownGuest({ ...SPEC, dir });
  await ended;

  expect(child.signalCode).not.toBeNull();
});

test("an adopted guest is gone with its process, and its console is read from when it is there to its last word", async () => {
  const child = pidfiles(NOW + 1000);
  const guest = await adoptGuest({ ...SPEC, dir });
  expect(guest.pid).toBe(child.pid ?? -1);
  // QEMU has its pid before it opens its serial port, and Lima removed the last one's.
  const said = new Response(guest.console).text();
  await new Promise((wake) => setTimeout(wake, 500));
  writeFileSync(join(dir, "serial.log"), "booting\n");
  await new Promise((wake) => setTimeout(wake, 500));
  appendFileSync(join(dir, "serial.log"), "gone\n");
  process.kill(guest.pid, "SIGKILL");

  expect(await guest.exited).toEqual({ code: 0, signal: null });
  expect(await said).toBe("booting\ngone\n");
});

test("a number that another process has by now is signalled no more", async () => {
  const fixture = join(import.meta.dirname, "lima_hostagent_fixture.ts");
  const alone = ["unshare", "--user", "--map-root-user", "--pid", "--fork", "--mount-proc"];
  const { stdout, stderr } = await run([...alone, process.execPath, fixture, dir]);

  expect([stdout, stderr]).toEqual([
    `machine, Lima's: SIGKILL
machine, a stranger's: SIGTERM
hostagent, Lima's: SIGINT
hostagent, a stranger's: SIGTERM
`,
    "",
  ]);
});
