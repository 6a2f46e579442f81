/**
 * What a program says of one command, checked before the guest hears of it.
 *
 * @module
 */
import { quote } from "../base/escape.ts";
import { flag, kindOf, misuse, optionsOf, text } from "../base/misuse.ts";
import { requireUser } from "./user.ts";

/** A terminal for a command. */
export interface TerminalOptions {
  /** Its width in characters. */
  readonly columns: number;
  /** Its height in lines. */
  readonly rows: number;
  /** What kind it is, for the variable `TERM`: `xterm-256color`. */
  readonly term: string;
}

/** How one command runs; absent fields come from the sandbox. */
export interface ExecOptions {
  /** Added to the sandbox's own variables. */
  readonly env?: Readonly<Record<string, string>>;
  /** Where the command starts: an absolute path of the guest. */
  readonly workdir?: string;
  /** `NAME` or `UID` of the guest, with `:GROUP` if wanted. */
  readonly user?: string;
  /** Gives the command a terminal of this size. Absent: it has none. */
  readonly tty?: TerminalOptions;
  /** False gives the command an empty input; true when absent. */
  readonly stdin?: boolean;
  /**
   * Standard streams, by number, that the command starts without, as a shell's `>&-` has it: reading or
   * writing there fails. None when absent, and with a terminal.
   */
  readonly closed?: readonly (0 | 1 | 2)[];
  /**
   * Time limit in milliseconds. At the limit the command is asked to end, and killed two seconds later; a
   * guest that does not even obey that is ended with its sandbox.
   */
  readonly timeoutMs?: number;
  /**
   * Aborting it ends the command as its time limit would, after which `exit` rejects with the signal's
   * reason. Aborted already, no command is run. Absent: nobody gives it up.
   */
  readonly signal?: AbortSignal;
}

const CALL = "exec(…)";

/** Every one that there is. */
export const EXEC_OPTIONS: Readonly<Record<keyof ExecOptions, true>> = {
  env: true,
  workdir: true,
  user: true,
  tty: true,
  stdin: true,
  closed: true,
  timeoutMs: true,
  signal: true,
};

/** @throws SbxError USAGE for what no command can be run with */
export function requireExec(
  command: string,
  args: readonly string[],
  options: ExecOptions,
): void {
  text(CALL, command);
  if (!Array.isArray(args) || args.some((arg) => typeof arg !== "string")) {
    throw misuse(CALL, "the arguments are no list of texts", {
      hint: 'write them like exec("ls", ["-l", "/tmp"])',
    });
  }
  const { env = {}, workdir, user, tty, stdin, closed = [], timeoutMs, signal } = optionsOf(
    CALL,
    options,
    EXEC_OPTIONS,
  );
  for (const [key, value] of Object.entries(env)) {
    requireVariable(`exec({ env: { ${quote(key)}: … } })`, key, value);
  }
  if (workdir !== undefined && !text(CALL, workdir).startsWith("/")) {
    throw misuse(CALL, `the workdir ${quote(workdir)} is not absolute`);
  }
  if (user !== undefined) requireUser(user, "exec");
  if (tty !== undefined) {
    const { columns, rows, term } = optionsOf(CALL, tty, { columns: true, rows: true, term: true });
    requireTerminalSize(CALL, columns, rows);
    text(CALL, term);
  }
  if (stdin !== undefined) flag(CALL, stdin);
  if (!Array.isArray(closed) || closed.some((stream) => ![0, 1, 2].includes(stream))) {
    throw misuse(CALL, "closed is no list of 0, 1 and 2");
  }
  if (signal !== undefined && !(signal instanceof AbortSignal)) {
    throw misuse(CALL, `${kindOf(signal)} stands where an AbortSignal is expected`);
  }
  if (timeoutMs !== undefined) {
    requireTimeLimit(`exec({ timeoutMs: ${shown(timeoutMs)} })`, timeoutMs);
  }
}

/** @throws SbxError USAGE for what an environment cannot hold */
export function requireVariable(call: string, key: string, value: string): void {
  if (typeof value !== "string") {
    throw misuse(call, `${kindOf(value)} stands where a text is expected`);
  }
  if (key === "" || /[=\0]/.test(key) || value.includes("\0")) {
    throw misuse(call, "not a name and value that an environment can hold");
  }
}

/** @throws SbxError USAGE for what is no number of milliseconds */
export function requireTimeLimit(call: string, ms: number): void {
  if (typeof ms !== "number" || Number.isNaN(ms)) {
    throw misuse(call, "not a number of milliseconds");
  }
  if (ms <= 0) throw misuse(call, "must be more than nothing");
}

/** @throws SbxError USAGE */
export function requireTerminalSize(call: string, columns: number, rows: number): void {
  if ([columns, rows].every((size) => Number.isInteger(size) && size >= 1 && size <= 65_535)) {
    return;
  }
  throw misuse(call, "the size of a terminal is columns and rows, from 1 to 65535 each");
}

function shown(value: unknown): string {
  return typeof value === "string" ? quote(value) : String(value);
}
