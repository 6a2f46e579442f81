/**
 * The placeholders of a guest of Lima's, told before it boots by another process than the one that it will be
 * judged in: both draw them of the same seed.
 *
 * @module
 */
import { hasDraw, keptDraw } from "../host/lima/placeholder_seed.ts";
import { placeholdersOf } from "./placeholders.ts";
import type { NetworkOptions } from "./options.ts";

/**
 * By the names of variables. Undefined: the guest never had secrets. `directory`: the instance's.
 *
 * @throws SbxError SECRET_UNAVAILABLE, SECRET_INVALID, FILE_UNREADABLE
 */
export async function limaPlaceholders(
  { secrets }: NetworkOptions,
  directory: string,
): Promise<Readonly<Record<string, string>> | undefined> {
  if (secrets.secrets.length === 0) return hasDraw(directory) ? {} : undefined;
  const { openVault } = await import("./vault.ts");
  const over = new AbortController();
  const draw = await keptDraw(directory);
  const spec = { settings: secrets, signal: over.signal, draw, onNotice: () => {} };
  try {
    return placeholdersOf(await openVault(spec));
  } finally {
    over.abort();
  }
}
