/**
 * Ad-hoc signatures for macOS, written anywhere. Bun signs what it compiles for Apple's own processors,
 * and leaves Intel's with the signature of the Bun that was copied, which fits no more.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { adHocSignature, signatureSize } from "./code_directory.ts";
import { readMachO } from "./mach_o.ts";

/** Segments end on a page of the largest size that Macs have. */
const SEGMENT_PAGE = 0x4000;
const ALIGNMENT = 16;

/**
 * The file with a signature of its own in the place of the one that it had.
 *
 * @throws Error for what is no Mach-O file with a signature at its end
 */
export function signAdHoc(file: Buffer, identifier: string): Buffer {
  const { text, linkEdit, signature } = readMachO(file);
  if (signature.offset + signature.size < file.length || signature.offset % ALIGNMENT !== 0) {
    throw new Error("Cannot sign the file: something stands behind its signature");
  }
  const size = aligned(signatureSize(signature.offset, identifier), ALIGNMENT);
  const code = Buffer.from(file.subarray(0, signature.offset));
  // The load commands are code, too: they say where the signature stands before it is made.
  code.writeUInt32LE(size, signature.command + 12);
  const linkEditSize = signature.offset + size - linkEdit.offset;
  code.writeBigUInt64LE(BigInt(aligned(linkEditSize, SEGMENT_PAGE)), linkEdit.command + 32);
  code.writeBigUInt64LE(BigInt(linkEditSize), linkEdit.command + 48);
  const signed = adHocSignature(code, { identifier, textSize: text.size });
  return Buffer.concat([code, signed, Buffer.alloc(size - signed.length)]);
}

function aligned(size: number, to: number): number {
  return Math.ceil(size / to) * to;
}
