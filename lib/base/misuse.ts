/**
 * Refused arguments of the library's calls. The error keeps call and state apart, so that whoever made
 * the call for somebody else can say it in that one's words.
 *
 * Types say the same to a program in TypeScript. A program in JavaScript has only this, and a setting of the
 * wrong kind must not pass for one that is left out, or for its opposite.
 *
 * @module
 */
import { type ErrorCode, SbxError } from "./errors.ts";
import { quote } from "./escape.ts";
import { nearest } from "./nearest.ts";

/** "Cannot use `call`: `state`". */
export function misuse(
  call: string,
  state: string,
  { hint, code = "USAGE" }: { readonly hint?: string | undefined; readonly code?: ErrorCode } = {},
): SbxError {
  const message = `Cannot use ${call}: ${state}`;
  return new SbxError(code, message, { call, state, ...(hint === undefined ? {} : { hint }) });
}

/** What other libraries call an option, and what this one does. */
const HABITS: Readonly<Record<string, string>> = {
  cwd: "workdir",
  dir: "workdir",
  directory: "workdir",
  environment: "env",
  pty: "tty",
  terminal: "tty",
  uid: "user",
  timeout: "timeoutMs",
  timeoutSeconds: "timeoutMs",
  cols: "columns",
  host: "hostPort",
  port: "guestPort",
  address: "bind",
  mode: "readOnly",
  ro: "readOnly",
  writable: "readOnly",
  overwrite: "force",
  tail: "follow",
  watch: "follow",
  default: "defaults",
  expiry: "expires",
  expiration: "expires",
};

/**
 * The options of a call, which may be left out but not misspelt. `names` has every one that there is.
 *
 * @throws SbxError USAGE
 */
export function optionsOf<T extends object>(
  call: string,
  given: T,
  names: Readonly<Record<keyof T, true>>,
): T {
  if (typeof given !== "object" || given === null || Array.isArray(given)) {
    throw misuse(call, `${kindOf(given)} stands where options are expected`, {
      hint: `write them like { ${Object.keys(names)[0]}: … }`,
    });
  }
  for (const name of Object.keys(given)) {
    if (Object.hasOwn(names, name)) continue;
    const habit = Object.hasOwn(HABITS, name) ? HABITS[name] : undefined;
    const meant = habit !== undefined && Object.hasOwn(names, habit)
      ? habit
      : nearest(name, Object.keys(names));
    throw misuse(call, `there is no option ${quote(name)}`, {
      hint: meant === null
        ? `its options are ${Object.keys(names).join(", ")}`
        : `did you mean ${meant}?`,
    });
  }
  return given;
}

/** A switch. @throws SbxError USAGE for what is merely true or false to JavaScript */
export function flag(call: string, on: boolean): boolean {
  if (typeof on === "boolean") return on;
  throw misuse(call, `${kindOf(on)} stands where true or false is expected`);
}

/** @throws SbxError USAGE for what is no text */
export function text(call: string, value: string): string {
  if (typeof value === "string") return value;
  throw misuse(call, `${kindOf(value)} stands where a text is expected`);
}

/** @throws SbxError USAGE for what cannot be called */
export function callable<T>(call: string, value: T): T {
  if (typeof value === "function") return value;
  throw misuse(call, `${kindOf(value)} stands where a function is expected`);
}

/** What somebody gave, without showing it. */
export function kindOf(value: unknown): string {
  if (value === undefined) return "nothing";
  if (value === null) return "null";
  if (Array.isArray(value)) return "a list";
  if (value instanceof Promise) return "a promise";
  if (typeof value === "object") return "an object";
  return typeof value === "string" ? "a text" : `a ${typeof value}`;
}
