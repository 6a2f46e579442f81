/**
 * The files that this program carries, for whoever uses them without being it: the library of npm.
 *
 * @module
 */

/**
 * Paths by name, unpacked into the user's cache where they are not.
 *
 * @throws SbxError FILE_UNREADABLE when the cache cannot be used
 */
export async function carriedFiles(): Promise<Readonly<Record<string, string>>> {
  const { assetPath } = await import("../host/assets.ts");
  const names = ["netstack", "vmlinux", "initramfs"] as const;
  const paths = await Promise.all(
    names.map(async (name) => [name, await assetPath(name)] as const),
  );
  return Object.fromEntries(paths);
}
