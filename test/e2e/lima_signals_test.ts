/** What ends `sbx lima start` from elsewhere than its terminal ends Lima's part of it as well. Lima is a script. */
import { afterAll, expect, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { start, until } from "../support/process.ts";
import { SBX } from "../support/world.ts";

const home = mkdtempSync(join(tmpdir(), "sbx-signals-"));
afterAll(() => rmSync(home, { recursive: true }));

test.each([["SIGINT", 130], ["SIGTERM", 143], ["SIGHUP", 129]] as const)(
  "%s ends limactl, and its end is waited for",
  async (signal, status) => {
    const [bin, dir, pidFile] = [join(home, "bin"), join(home, "dev"), join(home, signal)];
    for (const path of [bin, dir]) mkdirSync(path, { recursive: true, mode: 0o700 });
    const listed = JSON.stringify({ name: "dev", status: "Stopped", dir, vmType: "sbx" });
    writeFileSync(
      join(bin, "limactl"),
      `#!/bin/sh\n[ "$1" = list ] && exec echo '${listed}'\necho $$ >${pidFile}\nexec sleep 1000\n`,
      { mode: 0o755 },
    );
    const starting = start([SBX, "lima", "start", "dev"], {
      env: { HOME: home, PATH: `${bin}:${process.env["PATH"]}` },
    });
    const pid = () => existsSync(pidFile) ? readFileSync(pidFile, "utf8").trim() : "";
    await until("Lima to start it", () => pid() !== "", 30);
    process.kill(starting.pid, signal);
    expect((await starting.ended).status).toBe(status);
    expect(existsSync(`/proc/${pid()}`)).toBe(false);
  },
  60_000,
);
