/**
 * initramfs.ts KERNEL AGENT OUT: the guest's first file system, an uncompressed cpio archive (in an
 * emulated guest unpacking costs more than reading) with the agent as /init and the modules, but for those
 * of a disk: scripts/disk has them, as most guests would pay for them and not use them.
 *
 * @module
 */
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { Buffer } from "node:buffer";

const [kernel = "", agent = "", out = ""] = process.argv.slice(2);

const DIRECTORY = 0o040755;
const EXECUTABLE = 0o100755;
const FILE = 0o100644;
const CHARACTER_DEVICE = 0o020600;

const parts: Uint8Array[] = [];
let inode = 0;

/** One entry of the "newc" format (Documentation/driver-api/early-userspace/buffer-format.rst). */
function entry(name: string, mode: number, data = new Uint8Array(), device = [0, 0]): void {
  const [major = 0, minor = 0] = device;
  const path = Buffer.from(`${name}\0`);
  const fields = [++inode, mode, 0, 0, 1, 0, data.length, 0, 0, major, minor, path.length, 0];
  const head = "070701" + fields.map((field) => field.toString(16).padStart(8, "0")).join("");
  parts.push(padded(Buffer.concat([Buffer.from(head), path])), padded(data));
}

function padded(data: Uint8Array): Uint8Array {
  return Buffer.concat([data, new Uint8Array((4 - data.length % 4) % 4)]);
}

for (const name of ["dev", "proc", "sys", "modules", "newroot"]) entry(name, DIRECTORY);
entry("dev/console", CHARACTER_DEVICE, undefined, [5, 1]);
entry("init", EXECUTABLE, readFileSync(agent));
const apart = readFileSync(join(kernel, "modules/disk"), "utf8").split("\n").concat("disk");
const modules = readdirSync(join(kernel, "modules")).filter((name) => !apart.includes(name));
for (const name of modules.sort()) {
  entry(`modules/${name}`, FILE, readFileSync(join(kernel, "modules", name)));
}
entry("TRAILER!!!", 0);
const archive = Buffer.concat(parts);
// A microvm of QEMU 10 has no ACPI tables, and so no bus, where the last page of this has 1024 or 1356 bytes left, and has
// them with 3584: as it seems, QEMU puts it over what the firmware has put behind the last page. Whole pages are safe.
const PAGE = 4096;
writeFileSync(out, Buffer.concat([archive, new Uint8Array(-archive.length & (PAGE - 1))]));
