/**
 * The system that this process runs on.
 *
 * @module
 */
import process from "node:process";
import { linuxSystem } from "./linux/system.ts";
import { macSystem } from "./macos/system.ts";
import type { HostSystem } from "./system.ts";

let own: HostSystem | undefined;

/** Neither touches anything before it is asked, so that programs of other runtimes can import this. */
export function ownSystem(): HostSystem {
  own ??= process.platform === "darwin" ? macSystem() : linuxSystem();
  return own;
}
