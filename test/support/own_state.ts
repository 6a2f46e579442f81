/**
 * A directory of its own for the sandboxes of each test of a file.
 *
 * @module
 */
import { afterAll, beforeEach } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";

/** Points XDG_STATE_HOME at it, and leaves nothing. `of`: what the file tests. */
export function eachWithOwnState(of: string): void {
  const before = process.env["XDG_STATE_HOME"];
  const scratch = mkdtempSync(join(tmpdir(), `sbx-${of}-`));
  let number = 0;
  beforeEach(() => {
    process.env["XDG_STATE_HOME"] = join(scratch, String(++number));
  });
  afterAll(() => {
    if (before === undefined) delete process.env["XDG_STATE_HOME"];
    else process.env["XDG_STATE_HOME"] = before;
    rmSync(scratch, { recursive: true });
  });
}
