/**
 * Whether a Mach-O file's code signature fits its bytes, as a kernel of macOS asks of each page before it
 * runs. Who signed is not looked at.
 *
 * @module
 */
import type { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { CODE_DIRECTORY_MAGIC, CODE_DIRECTORY_SLOT, SUPERBLOB_MAGIC } from "./code_directory.ts";
import { readMachO } from "./mach_o.ts";

export interface Verified {
  readonly identifier: string;
  /** CS_ADHOC: signed by nobody. */
  readonly isAdHoc: boolean;
  readonly pages: number;
  /** Numbers of the pages whose bytes are not those that were signed. */
  readonly spoilt: readonly number[];
}

const HASHES: Readonly<Record<number, string>> = { 1: "sha1", 2: "sha256" };
const ADHOC = 0x2;

/** @throws Error when there is no signature, or it does not sign all that stands before it */
export function verifySignature(file: Buffer): Verified {
  const { signature, linkEdit } = readMachO(file);
  if (signature.offset + signature.size !== linkEdit.offset + linkEdit.size) {
    throw new Error("Cannot verify the signature: it does not end __LINKEDIT");
  }
  const directory = codeDirectory(
    file.subarray(signature.offset, signature.offset + signature.size),
  );
  const word = (at: number) => directory.readUInt32BE(at);
  const [flags, hashes, identifier, pages, codeSize] = [12, 16, 20, 28, 32].map(word) as [
    number,
    number,
    number,
    number,
    number,
  ];
  if (codeSize !== signature.offset) {
    throw new Error(
      `Cannot verify the signature: it is of ${codeSize} bytes of ${signature.offset}`,
    );
  }
  const [hashSize = 0, hashKind = 0, , pageShift = 0] = directory.subarray(36, 40);
  const pageSize = 1 << pageShift;
  if (pages !== Math.ceil(codeSize / pageSize)) {
    throw new Error("Cannot verify the signature: it has not one hash for each page");
  }
  const algorithm = HASHES[hashKind];
  if (algorithm === undefined) throw new Error(`Cannot verify the signature: hash ${hashKind}`);
  const spoilt: number[] = [];
  for (let page = 0; page < pages; page++) {
    const bytes = file.subarray(page * pageSize, Math.min((page + 1) * pageSize, codeSize));
    const signed = directory.subarray(hashes + page * hashSize, hashes + (page + 1) * hashSize);
    const hash = createHash(algorithm).update(bytes).digest().subarray(0, hashSize);
    if (!hash.equals(signed)) spoilt.push(page);
  }
  const end = directory.indexOf(0, identifier);
  return {
    identifier: directory.toString("latin1", identifier, end),
    isAdHoc: (flags & ADHOC) !== 0,
    pages,
    spoilt,
  };
}

function codeDirectory(superblob: Buffer): Buffer {
  if (superblob.length < 12 || superblob.readUInt32BE(0) !== SUPERBLOB_MAGIC) {
    throw new Error("Cannot verify the signature: there is none");
  }
  for (let index = 0; index < superblob.readUInt32BE(8); index++) {
    const [slot, offset] = [12, 16].map((at) => superblob.readUInt32BE(at + index * 8));
    if (slot !== CODE_DIRECTORY_SLOT || offset === undefined) continue;
    const blob = superblob.subarray(offset);
    if (blob.readUInt32BE(0) === CODE_DIRECTORY_MAGIC) {
      return blob.subarray(0, blob.readUInt32BE(4));
    }
  }
  throw new Error("Cannot verify the signature: it has no code directory");
}
