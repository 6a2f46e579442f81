/**
 * The files that this program carries, for whoever uses them without being it: the library of npm.
 *
 * @module
 */
import { SbxError } from "../base/errors.ts";
import { quote } from "../base/escape.ts";

/**
 * Path of the file of this name, unpacked into the user's cache where it is not.
 *
 * @throws SbxError FILE_UNREADABLE when the cache cannot be used, USAGE for another name
 */
export async function carriedFile(text: string): Promise<string> {
  const { ASSET_NAMES, assetPath } = await import("../host/assets.ts");
  const name = ASSET_NAMES.find((each) => each === text);
  if (name !== undefined) return await assetPath(name);
  throw new SbxError("USAGE", `Cannot unpack ${quote(text)}: there is no such file`);
}
