/**
 * As much of a Mach-O file as a code signature is about (mach-o/loader.h): 64-bit, little-endian, of one
 * architecture.
 *
 * @module
 */
import type { Buffer } from "node:buffer";

/** Where something stands in the file, in bytes. */
export interface Extent {
  readonly offset: number;
  readonly size: number;
}

export interface MachO {
  readonly text: Extent;
  readonly linkEdit: Extent & { readonly command: number };
  /** What LC_CODE_SIGNATURE says; `command` is where it says so. */
  readonly signature: Extent & { readonly command: number };
}

const MAGIC_64 = 0xfeedfacf;
const LC_SEGMENT_64 = 0x19;
const LC_CODE_SIGNATURE = 0x1d;
const HEADER_SIZE = 32;

/** @throws Error for what is no such file, or has no place for a signature */
export function readMachO(file: Buffer): MachO {
  if (file.length < HEADER_SIZE || file.readUInt32LE(0) !== MAGIC_64) {
    throw new Error("Cannot read the file: no 64-bit Mach-O");
  }
  const segments = new Map<string, Extent & { readonly command: number }>();
  let signature: MachO["signature"] | undefined;
  let at = HEADER_SIZE;
  for (let left = file.readUInt32LE(16); left > 0; left--) {
    const [kind, size] = [file.readUInt32LE(at), file.readUInt32LE(at + 4)];
    if (size < 8) throw new Error("Cannot read the file: a load command without a size");
    if (kind === LC_SEGMENT_64) {
      const name = file.toString("latin1", at + 8, at + 24).replace(/\0+$/, "");
      const [offset, length] = [file.readBigUInt64LE(at + 40), file.readBigUInt64LE(at + 48)];
      segments.set(name, { offset: Number(offset), size: Number(length), command: at });
    } else if (kind === LC_CODE_SIGNATURE) {
      const [offset, length] = [file.readUInt32LE(at + 8), file.readUInt32LE(at + 12)];
      signature = { offset, size: length, command: at };
    }
    at += size;
  }
  const [text, linkEdit] = [segments.get("__TEXT"), segments.get("__LINKEDIT")];
  if (text === undefined || linkEdit === undefined || signature === undefined) {
    throw new Error("Cannot read the file: no __TEXT, __LINKEDIT or LC_CODE_SIGNATURE");
  }
  return { text, linkEdit, signature };
}
