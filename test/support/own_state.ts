/**
 * Where a test's own process, by the library, has its sandboxes: a directory of its own.
 *
 * @module
 */
import { afterAll, beforeEach } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";

/** Sets variables of this process, for whoever uses the library in it; called back, all are as they were. */
export function setVariables(values: Readonly<Record<string, string>>): () => void {
  const before = Object.keys(values).map((name) => [name, process.env[name]] as const);
  Object.assign(process.env, values);
  return () => {
    for (const [name, value] of before) {
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
  };
}

/** Points XDG_STATE_HOME at it, and leaves nothing. `of`: what the file tests. */
export function eachWithOwnState(of: string): void {
  let reset = () => {};
  const scratch = mkdtempSync(join(tmpdir(), `sbx-${of}-`));
  let number = 0;
  beforeEach(() => {
    reset();
    reset = setVariables({ XDG_STATE_HOME: join(scratch, String(++number)) });
  });
  afterAll(() => {
    reset();
    rmSync(scratch, { recursive: true });
  });
}
