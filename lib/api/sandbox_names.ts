/**
 * The names of sandboxes, for who has no time to look at each.
 *
 * @module
 */
import { readdirSync } from "node:fs";
import { sandboxesDir } from "../supervise/home.ts";
import { isSandboxName } from "../supervise/sandbox_name.ts";

/** In order; none where they cannot be listed. */
export function sandboxNamesHere(): readonly string[] {
  try {
    return readdirSync(sandboxesDir()).filter(isSandboxName).toSorted();
  } catch {
    return [];
  }
}
