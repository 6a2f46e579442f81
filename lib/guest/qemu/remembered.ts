/**
 * What was found out about this machine, kept in the cache for the next run.
 *
 * @module
 */
import { mkdir, rename, rm, writeFile } from "node:fs/promises";
import { dirname } from "node:path";

/** A cache that cannot be written costs the next run another look, nothing else. */
export async function remember(path: string, content: string | Uint8Array): Promise<void> {
  const fresh = `${path}.${crypto.randomUUID()}`;
  try {
    await mkdir(dirname(path), { recursive: true });
    await writeFile(fresh, content);
    await rename(fresh, path);
  } catch {
    await rm(fresh, { force: true }).catch(() => {});
  }
}
