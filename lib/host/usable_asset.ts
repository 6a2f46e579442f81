/**
 * Components that can be used where the cache put them.
 *
 * @module
 */
import { type AssetName, assetPath, PROGRAMS } from "./assets.ts";
import { requireExecutable } from "./surroundings.ts";

/**
 * A path that holds the asset. `notice` hears of one that had to be replaced.
 *
 * @throws SbxError as `assetPath`, and REQUIREMENT_MISSING where the cache runs nothing
 */
export async function usableAsset(
  name: AssetName,
  notice: (line: string) => void,
): Promise<string> {
  const path = await assetPath(name, notice);
  if (PROGRAMS.has(name)) requireExecutable(path);
  return path;
}
