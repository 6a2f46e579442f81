/**
 * The prompt of a shell in a guest, by which somebody with several terminals tells it from those of this
 * machine. Shells take it from the variable PS1 unless they have a file that sets another, and no two
 * agree on what stands for a host's name there, so the name itself does.
 *
 * @module
 */
import type { SandboxOptions } from "./options.ts";

/** Variables of a command on a terminal, run as this user of the guest; root when absent. */
export function promptOf(
  { hostname, name }: Pick<SandboxOptions, "hostname" | "name">,
  user = "root",
): Readonly<Record<string, string>> {
  const isRoot = /^(?:root|0)(?::|$)/.test(user);
  return { PS1: `${hostname ?? name}${isRoot ? "#" : "$"} ` };
}
