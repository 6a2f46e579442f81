/**
 * The machine that guests run in here.
 *
 * @module
 */
import { createReadStream } from "node:fs";
import { readFile } from "node:fs/promises";
import type { GuestProvider } from "../guest/provider.ts";
import { STATE_BEGINS } from "../guest/saved.ts";
import { ownArchitecture } from "../guest/qemu/machine.ts";
import type { QemuPlatform } from "../guest/qemu/platform.ts";
import { QemuProvider } from "../guest/qemu/provider.ts";
import { requireSound } from "./assets.ts";
import { buildInfo } from "./build_info.ts";
import { requireOwn } from "./private_place.ts";
import { bootId, caller, fileLimit } from "./caller.ts";
import { openDisk } from "./disk_file.ts";
import { lockFile } from "./file_lock.ts";
import { cacheDir } from "./paths.ts";
import { qemuPlatform } from "./qemu_platform.ts";
import { greet, spawnQemu } from "./qemu_process.ts";
import { makeDatabase } from "./sqlite.ts";
import { emptyState, openState, roomForState } from "./state_file.ts";
import { usableAsset } from "./usable_asset.ts";

/** What the programs of a guest have to be made for. */
export const guestArchitecture = ownArchitecture;

/**
 * `notice` hears of files of the cache that had to be replaced. Guests can write to the directories
 * `distrusted`, so no program is taken from there. `platform` is that of this system, save in tests.
 */
export function guestProvider(
  notice: (line: string) => void = () => {},
  distrusted: readonly string[] = [],
  platform: QemuPlatform = qemuPlatform(),
): GuestProvider {
  const assetPath = (name: Parameters<typeof usableAsset>[0]) => usableAsset(name, notice);
  return new QemuProvider(
    {
      assetPath,
      platform,
      bootId,
      requireSound,
      cacheDir,
      requireOwn,
      openDisk: async (disk) => await openDisk(disk, await assetPath("disk")),
      openState,
      emptyState,
      roomForState,
      readState: (path) => createReadStream(path, { start: STATE_BEGINS }),
      diskModules: async () => await readFile(await assetPath("disk_modules")),
      tryLock: lockFile,
      build: buildInfo()["sbx"] ?? "",
      caller,
      fileLimit,
      greet,
      makeDatabase,
      spawn: spawnQemu,
    },
    distrusted,
  );
}
