/**
 * `sbx help COMMAND`: its manual page where somebody sits before it, else what `--help` prints.
 *
 * @module
 */
import type { Command } from "commander";
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { versions } from "../mod.ts";
import { manPage, pageName } from "./manual.ts";

/** Where Linux distributions and macOS have it. */
const MAN = "/usr/bin/man";

/** Shows the command's page; false where there is nobody to read it or nothing to show it with. */
export function openManual(command: Command): boolean {
  const isSeen = process.stdin.isTTY && process.stdout.isTTY;
  if (!isSeen || !existsSync(MAN)) return false;
  const directory = mkdtempSync(join(tmpdir(), "sbx-man-"));
  try {
    const page = join(directory, `${pageName(command)}.1`);
    writeFileSync(page, manPage(command, versions()["sbx"] ?? ""));
    process.once("SIGINT", () => {}); // Ctrl-C is for the pager, which ends by itself.
    // A word with a slash is a file to every man.
    return spawnSync(MAN, [page], { stdio: "inherit" }).status === 0;
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
