/**
 * Tar archives in the "ustar" format (POSIX.1-1988), which every reader has. Pure.
 *
 * @module
 */
import { Buffer } from "node:buffer";

/** A file, or a symbolic link. */
export interface TarEntry {
  /** Absolute, below the root of wherever it is unpacked. */
  readonly path: string;
  readonly data?: Uint8Array;
  readonly link?: string;
}

const BLOCK = 512;

/** The format's limits on names and link targets without a prefix. */
const MAX_NAME = 100;

/** The archive of the entries that the format can hold; longer names are left out. */
export function packTar(entries: readonly TarEntry[]): Uint8Array {
  const parts = entries.flatMap(({ path, data = new Uint8Array(), link = "" }) => {
    const name = path.replace(/^\/+/, "");
    if (Buffer.byteLength(name) > MAX_NAME || Buffer.byteLength(link) > MAX_NAME) return [];
    const padding = (BLOCK - data.length % BLOCK) % BLOCK;
    return [header(name, data.length, link), data, new Uint8Array(padding)];
  });
  return Buffer.concat([...parts, new Uint8Array(2 * BLOCK)]);
}

function header(name: string, size: number, link: string): Uint8Array {
  const block = Buffer.alloc(BLOCK);
  const octal = (value: number, at: number, width: number) =>
    block.write(`${value.toString(8).padStart(width - 1, "0")}\0`, at, "latin1");
  block.write(name, 0);
  octal(0o644, 100, 8);
  octal(0, 108, 8);
  octal(0, 116, 8);
  octal(size, 124, 12);
  octal(0, 136, 12);
  block.write("        ", 148, "latin1"); // the checksum counts itself as spaces
  block.write(link === "" ? "0" : "2", 156, "latin1");
  block.write(link, 157);
  block.write("ustar\x0000", 257, "latin1");
  octal(block.reduce((sum, byte) => sum + byte, 0), 148, 7);
  return block;
}
