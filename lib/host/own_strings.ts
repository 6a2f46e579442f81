/**
 * This process's arguments and environment as they were given: the runtime has decoded them as UTF-8
 * and lost what was not.
 *
 * @module
 */
import { readFileSync } from "node:fs";
import process from "node:process";
import { decodeOsString } from "../base/os_string.ts";

/** The arguments after the program, which `decoded` are as the runtime has them. */
export function ownArguments(decoded: readonly string[]): readonly string[] {
  // Nothing to find out, which is nearly always.
  if (!decoded.some((text) => text.includes("\ufffd"))) return decoded;
  const raw = strings("/proc/self/cmdline").slice(-decoded.length);
  return raw.length === decoded.length ? raw : decoded;
}

/** The environment that this process was started with. */
export function ownEnvironment(): Readonly<Record<string, string | undefined>> {
  if (!Object.values(process.env).some((text) => text?.includes("\ufffd"))) return process.env;
  const raw = strings("/proc/self/environ").map((line): [string, string] => {
    const equals = line.indexOf("=", 1);
    return [line.slice(0, equals), line.slice(equals + 1)];
  });
  return { ...process.env, ...Object.fromEntries(raw.filter(([name]) => name !== "")) };
}

/** One of its variables, for whoever asks often. */
export function ownVariable(name: string): string | undefined {
  const text = process.env[name];
  return text?.includes("\ufffd") ? ownEnvironment()[name] : text;
}

/** Those of a file of proc(5), each of which ends with NUL; none where there is no such file. */
function strings(path: string): string[] {
  let bytes: Uint8Array;
  try {
    bytes = readFileSync(path);
  } catch {
    return [];
  }
  const found: string[] = [];
  for (let at = 0; at < bytes.length;) {
    const end = bytes.indexOf(0, at);
    const stop = end < 0 ? bytes.length : end;
    found.push(decodeOsString(bytes.subarray(at, stop)));
    at = stop + 1;
  }
  return found;
}
