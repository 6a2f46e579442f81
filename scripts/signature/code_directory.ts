/**
 * The form of code signatures (xnu's osfmk/kern/cs_blobs.h): a superblob with a code directory, which has
 * a hash of each page of the file. All numbers are big-endian.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";

export const SUPERBLOB_MAGIC = 0xfade0cc0;
export const CODE_DIRECTORY_MAGIC = 0xfade0c02;

/** The slot of the code directory among the blobs. */
export const CODE_DIRECTORY_SLOT = 0;

/** With the extent of the text segment, which the kernel wants of a main program. */
const VERSION = 0x20400;
const ADHOC = 0x2;
const MAIN_BINARY = 1n;
const SHA256 = 2;
const PAGE_SHIFT = 12;
const HASH_SIZE = 32;
const FIXED_SIZE = 88;
const SUPERBLOB_HEAD_SIZE = 20;

export interface SignedText {
  /** What the program is called to the system. */
  readonly identifier: string;
  /** The size of __TEXT, which starts the file. */
  readonly textSize: number;
}

/** Bytes of the signature of so much code. */
export function signatureSize(codeSize: number, identifier: string): number {
  return SUPERBLOB_HEAD_SIZE + FIXED_SIZE + identifier.length + 1 +
    pagesOf(codeSize) * HASH_SIZE;
}

/** An ad-hoc signature: who made the file it does not say, only that its pages are whole. */
export function adHocSignature(code: Buffer, { identifier, textSize }: SignedText): Buffer {
  const signature = Buffer.alloc(signatureSize(code.length, identifier));
  const hashes = FIXED_SIZE + identifier.length + 1;
  const directory = signature.subarray(SUPERBLOB_HEAD_SIZE);
  write(signature, [
    SUPERBLOB_MAGIC,
    signature.length,
    1,
    CODE_DIRECTORY_SLOT,
    SUPERBLOB_HEAD_SIZE,
  ]);
  write(directory, [
    CODE_DIRECTORY_MAGIC,
    directory.length,
    VERSION,
    ADHOC,
    hashes,
    FIXED_SIZE, // where the identifier stands
    0, // no special slots: no entitlements, no resources
    pagesOf(code.length),
    code.length,
  ]);
  directory.set([HASH_SIZE, SHA256, 0, PAGE_SHIFT], 36);
  directory.writeBigUInt64BE(BigInt(textSize), 72);
  directory.writeBigUInt64BE(MAIN_BINARY, 80);
  directory.write(identifier, FIXED_SIZE, "latin1");
  for (let page = 0; page < pagesOf(code.length); page++) {
    const start = page << PAGE_SHIFT;
    const bytes = code.subarray(start, start + (1 << PAGE_SHIFT));
    createHash("sha256").update(bytes).digest().copy(directory, hashes + page * HASH_SIZE);
  }
  return signature;
}

function pagesOf(size: number): number {
  return Math.ceil(size / (1 << PAGE_SHIFT));
}

function write(into: Buffer, numbers: readonly number[]): void {
  for (const [index, number] of numbers.entries()) into.writeUInt32BE(number, index * 4);
}
