/**
 * accelerator_fixture CACHE: prints what is found of the accelerator where this runs, as JSON.
 *
 * @module
 */
import process from "node:process";
import { findAccelerator } from "../../lib/guest/qemu/accelerator.ts";
import { assetPath } from "../../lib/host/assets.ts";
import { bootId } from "../../lib/host/caller.ts";
import { LINUX_QEMU } from "../../lib/host/linux/qemu.ts";

const [cache = ""] = process.argv.slice(2);
const found = await findAccelerator("x64", {
  assetPath,
  bootId,
  platform: LINUX_QEMU,
  cacheDir: () => cache,
});
process.stdout.write(JSON.stringify(found) + "\n");
