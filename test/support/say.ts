/**
 * What guests say on connections when no library says it for them, and how they resolve names.
 *
 * @module
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { NamespaceGuest } from "./namespace_guest.ts";
import { ROOT } from "./world.ts";

/** See say.py for the options. */
export interface Saying {
  readonly to: readonly [address: string, port: number];
  readonly [option: string]: unknown;
}

/** Outcomes in the order of the sayings, which are all said at once. */
export async function say(
  guest: NamespaceGuest,
  ...sayings: readonly Saying[]
): Promise<string[]> {
  const script = readFileSync(join(ROOT, "test/support/say.py"), "utf8");
  const run = await guest.run(["python3", "-c", script, JSON.stringify(sayings)], { limit: 120 });
  if (run.status !== 0) throw new Error(run.stderr);
  return JSON.parse(run.stdout);
}

/** The addresses of all names, in order. */
export async function resolve(
  guest: NamespaceGuest,
  ...names: readonly string[]
): Promise<string[]> {
  const words = names.flatMap((name) => [name, "A"]);
  const { stdout } = await guest.run(["dig", "+short", "+tries=2", "+time=5", ...words]);
  return stdout.trim().split("\n").filter((line) => line !== "");
}
