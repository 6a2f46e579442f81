/**
 * accelerator_fixture CACHE ARCHITECTURE [CALLER]: prints what is found of the accelerator where this runs, as JSON;
 * for a caller, in JSON, other than the one that this is.
 *
 * @module
 */
import process from "node:process";
import { findAccelerator } from "../../lib/guest/qemu/accelerator.ts";
import { assetPath } from "../../lib/host/assets.ts";
import { bootId, caller } from "../../lib/host/caller.ts";
import { LINUX_QEMU } from "../../lib/host/linux/qemu.ts";

const [cache = "", architecture, other] = process.argv.slice(2);
const found = await findAccelerator(architecture === "arm64" ? "arm64" : "x64", {
  assetPath,
  bootId,
  caller: () => other === undefined ? caller() : { ...JSON.parse(other), capabilities: -1n },
  platform: LINUX_QEMU,
  cacheDir: () => cache,
});
process.stdout.write(JSON.stringify(found) + "\n");
