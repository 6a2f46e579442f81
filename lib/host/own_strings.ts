/**
 * This process's arguments and environment as they were given: the runtime has decoded them as UTF-8
 * and lost what was not.
 *
 * @module
 */
import process from "node:process";
import { decodeOsString } from "../base/os_string.ts";
import { ownSystem } from "./own_system.ts";

/** The arguments after the program, which `decoded` are as the runtime has them. */
export function ownArguments(decoded: readonly string[]): readonly string[] {
  // Nothing to find out, which is nearly always.
  if (!decoded.some((text) => text.includes("\ufffd"))) return decoded;
  const raw = strings("arguments").slice(-decoded.length);
  return raw.length === decoded.length ? raw : decoded;
}

/** The environment that this process was started with. */
export function ownEnvironment(): Readonly<Record<string, string | undefined>> {
  if (!Object.values(process.env).some((text) => text?.includes("\ufffd"))) return process.env;
  const raw = strings("environment").map((line): [string, string] => {
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

/** None where the system does not tell. */
function strings(which: "arguments" | "environment"): string[] {
  return (ownSystem().processes.ownStrings()?.[which] ?? []).map(decodeOsString);
}
