/**
 * Signals by name and number, as Linux has them on every machine that a guest can be.
 *
 * @module
 */
import { quote } from "./escape.ts";
import { kindOf, misuse } from "./misuse.ts";
import { nearest } from "./nearest.ts";

/** The name of a signal of Linux, as in signal(7). */
export type SignalName =
  | "SIGHUP"
  | "SIGINT"
  | "SIGQUIT"
  | "SIGILL"
  | "SIGTRAP"
  | "SIGABRT"
  | "SIGBUS"
  | "SIGFPE"
  | "SIGKILL"
  | "SIGUSR1"
  | "SIGSEGV"
  | "SIGUSR2"
  | "SIGPIPE"
  | "SIGALRM"
  | "SIGTERM"
  | "SIGCHLD"
  | "SIGCONT"
  | "SIGSTOP"
  | "SIGTSTP"
  | "SIGTTIN"
  | "SIGTTOU"
  | "SIGURG"
  | "SIGXCPU"
  | "SIGXFSZ"
  | "SIGVTALRM"
  | "SIGPROF"
  | "SIGWINCH"
  | "SIGIO"
  | "SIGPWR"
  | "SIGSYS";

const NUMBERS: Readonly<Record<SignalName, number>> = {
  SIGHUP: 1,
  SIGINT: 2,
  SIGQUIT: 3,
  SIGILL: 4,
  SIGTRAP: 5,
  SIGABRT: 6,
  SIGBUS: 7,
  SIGFPE: 8,
  SIGKILL: 9,
  SIGUSR1: 10,
  SIGSEGV: 11,
  SIGUSR2: 12,
  SIGPIPE: 13,
  SIGALRM: 14,
  SIGTERM: 15,
  SIGCHLD: 17,
  SIGCONT: 18,
  SIGSTOP: 19,
  SIGTSTP: 20,
  SIGTTIN: 21,
  SIGTTOU: 22,
  SIGURG: 23,
  SIGXCPU: 24,
  SIGXFSZ: 25,
  SIGVTALRM: 26,
  SIGPROF: 27,
  SIGWINCH: 28,
  SIGIO: 29,
  SIGPWR: 30,
  SIGSYS: 31,
};

/** The last of the real-time signals, which have no names. */
const LAST = 64;

/**
 * The number of a signal that is given by name or number.
 *
 * @throws SbxError USAGE
 */
export function signalNumber(signal: SignalName | number): number {
  if (typeof signal === "number") {
    if (Number.isInteger(signal) && signal >= 1 && signal <= LAST) return signal;
    throw misuse(`kill(${signal})`, `not a signal: they are 1 to ${LAST}`);
  }
  if (typeof signal !== "string") throw misuse("kill(…)", `${kindOf(signal)} is no signal`);
  if (Object.hasOwn(NUMBERS, signal)) return NUMBERS[signal];
  const close = nearest(withoutPrefix(signal), Object.keys(NUMBERS).map(withoutPrefix));
  throw misuse(`kill(${quote(signal)})`, "unknown signal", {
    hint: close === null ? "use a name like SIGTERM, or a number" : `did you mean SIG${close}?`,
  });
}

/** What all have alike makes any two of them seem near. */
function withoutPrefix(signal: string): string {
  return signal.replace(/^sig/i, "");
}
