/**
 * kernel.ts TREE OUT MODULES: takes what the guest boots out of an unpacked kernel package: the ELF
 * `vmlinux` (booting the compressed image costs an emulated guest seconds of decompression), and
 * the modules of the list with their dependencies, uncompressed, in load order, without signatures,
 * and lists of them: `order` for the boot, and others for later.
 *
 * @module
 */
import { execFileSync } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import process from "node:process";
import { zstdDecompressSync } from "node:zlib";
import { Buffer } from "node:buffer";

const [tree = "", out = "", list = ""] = process.argv.slice(2);

/** Payload formats of the kernel's compressed images, by their first bytes. */
const FORMATS: readonly { magic: string; unpack: (data: Uint8Array) => Uint8Array }[] = [
  { magic: "fd377a585a00", unpack: (data) => pipe("xz", ["-dc", "--single-stream"], data) },
  { magic: "28b52ffd", unpack: (data) => zstdDecompressSync(data) },
  { magic: "02214c18", unpack: (data) => pipe("lz4", ["-dc"], data) },
  { magic: "1f8b", unpack: (data) => pipe("gzip", ["-dc"], data) },
];

function pipe(command: string, args: string[], input: Uint8Array): Uint8Array {
  return execFileSync(command, args, { input, maxBuffer: 1 << 30 });
}

function unpack(data: Uint8Array): Uint8Array {
  const head = Buffer.from(data.subarray(0, 8)).toString("hex");
  const format = FORMATS.find(({ magic }) => head.startsWith(magic));
  return format === undefined ? data : format.unpack(data);
}

/** The ELF inside an x86 bzImage (Documentation/arch/x86/boot.rst); other images are taken as is. */
function vmlinux(image: Buffer): Uint8Array {
  if (image.toString("latin1", 0x202, 0x206) !== "HdrS") return unpack(image);
  const setup = ((image[0x1f1] ?? 4) + 1) * 512;
  const [offset, length] = [image.readUInt32LE(0x248), image.readUInt32LE(0x24c)];
  // The last four bytes are the unpacked size, not part of the stream.
  return unpack(image.subarray(setup + offset, setup + offset + length - 4));
}

function* files(dir: string): Generator<string> {
  for (const entry of readdirSync(dir, { withFileTypes: true })) {
    const path = join(dir, entry.name);
    if (entry.isDirectory()) yield* files(path);
    else yield path;
  }
}

const all = [...files(tree)];
const image = all.find((path) => basename(path).startsWith("vmlinuz-"));
if (image === undefined) throw new Error(`no vmlinuz in ${tree}`);
writeFileSync(join(out, "vmlinux"), vmlinux(readFileSync(image)));

const SIGNED = Buffer.from("~Module signature appended~\n");

/**
 * The module without its signature. The guest has nobody to trust but this file, and hashing the
 * modules is a quarter of an emulated boot. Before the magic stand 12 bytes of which the last 4
 * are the signature's length (struct module_signature of the kernel).
 */
function unsigned(module: Buffer): Buffer {
  if (!module.subarray(-SIGNED.length).equals(SIGNED)) return module;
  const trailer = module.length - SIGNED.length - 12;
  return module.subarray(0, trailer - module.readUInt32BE(trailer + 8));
}

const nameOf = (path: string) => basename(path).replace(/\.ko.*$/, "").replaceAll("-", "_");
const found = new Map(
  all.filter((path) => /\.ko(\.xz|\.zst|\.gz)?$/.test(path)).map((path) => [nameOf(path), path]),
);
mkdirSync(join(out, "modules"), { recursive: true });
const lists = new Map<string, string[]>();

/** Depth first, so that what a module needs stands before it. Absent ones are built in. */
function add(name: string, order: string[]): void {
  const path = found.get(name);
  if (path === undefined || [...lists.values()].some((list) => list.includes(`${name}.ko`))) return;
  const module = Buffer.from(unpack(readFileSync(path)));
  const at = module.indexOf("\0depends=") + "\0depends=".length;
  const depends = module.toString("latin1", at, module.indexOf(0, at));
  for (const needed of depends.split(",")) add(needed.replaceAll("-", "_"), order);
  writeFileSync(join(out, "modules", `${name}.ko`), unsigned(module));
  order.push(`${name}.ko`);
}

for (const line of readFileSync(list, "utf8").split("\n")) {
  const [name = "", when] = line.replace(/#.*/, "").split(":").map((word) => word.trim()).reverse();
  const order = lists.get(when ?? "order") ?? [];
  lists.set(when ?? "order", order);
  if (name !== "") add(name, order);
}
for (const [name, order] of lists) {
  writeFileSync(join(out, "modules", name), order.map((file) => `${file}\n`).join(""));
}
