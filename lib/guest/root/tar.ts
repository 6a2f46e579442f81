/**
 * Tar archives in the "ustar" format (POSIX.1-1988), with GNU's entries for long names. Pure.
 *
 * @module
 */
import { Buffer } from "node:buffer";

/** A file, a symbolic link or a directory. */
export interface TarEntry {
  /** Absolute, below the root of wherever it is unpacked. */
  readonly path: string;
  readonly data?: Uint8Array;
  readonly link?: string;
  readonly directory?: true;
  /** Permission bits; 0644 for a file and 0755 for a directory when absent. */
  readonly mode?: number;
}

const BLOCK = 512;

/** What the format has room for; longer ones go before the header, in an entry of their own. */
const MAX_NAME = 100;

const LONG_NAME = "L";
const LONG_LINK = "K";

export function packTar(entries: readonly TarEntry[]): Uint8Array {
  const parts = entries.flatMap(({ path, data = new Uint8Array(), link = "", directory, mode }) => {
    const name = path.replace(/^\/+/, "");
    const kind = directory ? "5" : link === "" ? "0" : "2";
    return [
      ...long(LONG_NAME, name),
      ...long(LONG_LINK, link),
      header(kind, name, link, mode ?? (directory ? 0o755 : 0o644), data.length),
      ...padded(data),
    ];
  });
  return Buffer.concat([...parts, new Uint8Array(2 * BLOCK)]);
}

function long(kind: string, text: string): Uint8Array[] {
  if (Buffer.byteLength(text) <= MAX_NAME) return [];
  const data = Buffer.from(`${text}\0`);
  return [header(kind, "././@LongLink", "", 0, data.length), ...padded(data)];
}

function padded(data: Uint8Array): Uint8Array[] {
  const padding = (BLOCK - data.length % BLOCK) % BLOCK;
  return padding === 0 ? [data] : [data, new Uint8Array(padding)];
}

function header(kind: string, name: string, link: string, mode: number, size: number): Uint8Array {
  const block = Buffer.alloc(BLOCK);
  const octal = (value: number, at: number, width: number) =>
    block.write(`${value.toString(8).padStart(width - 1, "0")}\0`, at, "latin1");
  block.write(name, 0, MAX_NAME);
  octal(mode, 100, 8);
  octal(0, 108, 8);
  octal(0, 116, 8);
  octal(size, 124, 12);
  octal(0, 136, 12);
  block.write("        ", 148, "latin1"); // the checksum counts itself as spaces
  block.write(kind, 156, "latin1");
  block.write(link, 157, MAX_NAME);
  block.write("ustar\x0000", 257, "latin1");
  let sum = 0;
  for (const byte of block) sum += byte;
  octal(sum, 148, 7);
  return block;
}
