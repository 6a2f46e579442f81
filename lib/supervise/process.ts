/**
 * `sbx __supervise NAME`: the process that owns a named sandbox. Nobody types it; launch.ts starts it, and
 * hears on a descriptor of its own what becomes of the start.
 *
 * @module
 */
import { closeSync, writeSync } from "node:fs";
import process from "node:process";
import { SbxError } from "../base/errors.ts";
import { failureOf } from "../base/failure.ts";
import { REPORT_FD } from "../host/spawn_supervisor.ts";
import type { Report } from "./launch.ts";
import { supervise } from "./supervisor.ts";

/** Resolves to this process's exit status at the sandbox's end. */
export async function superviseHere(name: string): Promise<number> {
  let isOpen = true;
  const report = (line: Report) => {
    if (!isOpen) return;
    try {
      writeSync(REPORT_FD, `${JSON.stringify(line)}\n`);
    } catch {
      // Whoever waited is gone; the end of standard input says so.
    }
  };
  const alone = new AbortController();
  process.stdin.on("close", () => alone.abort()).on("end", () => alone.abort()).resume();
  try {
    await supervise(name, {
      notice: (notice, topic) => report({ notice, ...(topic === undefined ? {} : { topic }) }),
      signal: alone.signal,
      ready() {
        report({ ready: true });
        closeSync(REPORT_FD);
        isOpen = false;
      },
    });
    return 0;
  } catch (error) {
    if (!isOpen || !(error instanceof SbxError)) throw error;
    report({ error: failureOf(error) });
    return 1;
  }
}
