/** A program whose sandbox's process does not answer. */
import { afterAll, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { Sandbox } from "../../lib/mod.ts";
import { createForProgram } from "../../lib/supervise/program_client.ts";

const scratch = mkdtempSync(join(tmpdir(), "sbx-silent-"));
const before = process.env["SBX_BINARY"];
afterAll(() => {
  if (before === undefined) delete process.env["SBX_BINARY"];
  else process.env["SBX_BINARY"] = before;
  rmSync(scratch, { recursive: true });
});

test("one that is silent is ended, and what is said to do about it can be done", async () => {
  const [binary, pidFile] = [join(scratch, "sbx"), join(scratch, "pid")];
  // It reads nothing, not even the end of its socket.
  writeFileSync(binary, `#!/bin/sh\necho $$ >${pidFile}\nexec sleep 1000\n`, { mode: 0o755 });
  process.env["SBX_BINARY"] = binary;
  const options = Sandbox.builder("quiet").build();
  await expect(createForProgram(options, undefined, 3_000)).rejects.toMatchObject({
    code: "SUPERVISOR_LOST",
    message: "Cannot use sandbox quiet: its supervisor has not answered for 3 seconds",
    hint: "it was ended: try again, this machine may have been too busy to load it",
  });
  const pid = readFileSync(pidFile, "utf8").trim();
  for (let tries = 0; existsSync(`/proc/${pid}`) && tries < 100; tries++) await Bun.sleep(50);
  expect(existsSync(`/proc/${pid}`)).toBe(false);
}, 60_000);
