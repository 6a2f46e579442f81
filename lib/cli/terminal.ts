/**
 * The terminal of this process while a command in the guest has one of its own: raw, so that every
 * key reaches the guest, sized alike, and given back as it was on every way out.
 *
 * @module
 */
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import process from "node:process";
import { CHILD_ENV } from "../base/child_env.ts";
import { ui } from "./ui.ts";

export interface Size {
  readonly columns: number;
  readonly rows: number;
}

/**
 * Whether the command gets a terminal: `--tty` and `--no-tty` decide, else it gets one when both
 * its input and its output would be one here.
 */
export function wantsTerminal(flag: boolean | undefined): boolean {
  return flag ?? (process.stdin.isTTY === true && process.stdout.isTTY === true && !inBackground());
}

/** Whether the command may read our input. A background job that reads its terminal is stopped. */
export function mayReadInput(): boolean {
  return process.stdin.isTTY !== true || !inBackground();
}

/**
 * Whether another job has the terminal: `tpgid` in /proc/self/stat is its process group, see
 * proc_pid_stat(5). Unknown counts as foreground.
 */
function inBackground(): boolean {
  try {
    // The second field is a name in parentheses that may hold anything.
    const stat = readFileSync("/proc/self/stat", "utf8");
    const [, , group, , , foreground] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return Number(foreground) > 0 && foreground !== group;
  } catch {
    return false;
  }
}

/** The size of this terminal, or the classic one when there is none. */
export function terminalSize(): Size {
  const { columns, rows } = process.stdout.isTTY ? process.stdout : process.stderr;
  return { columns: columns || 80, rows: rows || 24 };
}

/** Makes the terminal raw and follows its size; the function returned gives it back. */
export function enterRaw(onResize: (size: Size) => void): () => void {
  const raw = process.stdin.isTTY === true;
  const resized = () => onResize(terminalSize());
  const leave = () => {
    process.off("SIGWINCH", resized);
    process.off("exit", leave);
    if (raw) process.stdin.setRawMode(false);
    ui.raw(false);
  };
  process.on("SIGWINCH", resized);
  process.once("exit", leave);
  if (raw) {
    process.stdin.setRawMode(true);
    passOutputUnchanged();
    ui.raw(process.stderr.isTTY === true);
  }
  return leave;
}

/** By path: on the PATH, a directory that a guest can write to may come first. */
const STTY = ["/usr/bin/stty", "/bin/stty", "/run/current-system/sw/bin/stty"];

/**
 * The runtime's raw mode leaves output processing on, as libuv does. The guest's terminal already
 * did that work, and a second time breaks programs that move down by a bare line feed. Leaving raw
 * mode undoes this as well; without `stty` such programs look odd and everything else works.
 */
function passOutputUnchanged(): void {
  const stty = STTY.find((path) => existsSync(path));
  if (stty === undefined) return;
  try {
    execFileSync(stty, ["-opost"], { stdio: ["inherit", "ignore", "ignore"], env: CHILD_ENV });
  } catch {
    // See above.
  }
}
