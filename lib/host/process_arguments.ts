/**
 * What a process of this machine was started with.
 *
 * @module
 */
import { decodeOsString } from "../base/os_string.ts";
import { ownSystem } from "./own_system.ts";

/** Its program and arguments; null where there is no such process, or no way to know. */
export function argumentsOf(pid: number): readonly string[] | null {
  return ownSystem().processes.argumentsOf(pid)?.map(decodeOsString) ?? null;
}
