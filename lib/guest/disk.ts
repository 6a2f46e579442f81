/**
 * The disk that a guest writes to in place of its memory, as its file is on this machine. Pure.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { MIB, TIB } from "../base/size.ts";

export interface GuestDisk {
  /** As {@link diskBytes} has it. A file that is there already may be smaller, and is made larger. */
  readonly bytes: number;
  /** Absolute: the file that the next guest finds it in. Absent: the disk goes with the guest. */
  readonly path?: string;
  /** Absolute: the file of another disk, whose content it begins with. Absent: it begins empty. */
  readonly from?: string;
  /**
   * Whose it is, in 32 hexadecimal digits. Where it has another's mark it is a copy, and what makes his machine
   * known is removed. Absent: it stays whose it was.
   */
  readonly owner?: string;
}

/** Whether a guest may find on it what another one left. */
export function isInherited({ path, from }: GuestDisk): boolean {
  return path !== undefined || from !== undefined;
}

/** One group of blocks of the file system, which grows by whole ones. */
const GROUP = 128 * MIB;

const MIN_DISK = GROUP;

/** What the file system has room for the descriptors of (scripts/disk). */
const MAX_DISK = 4 * TIB;

/** The next size that a disk can have; undefined when there is none. */
export function diskBytes(bytes: number): number | undefined {
  const rounded = Math.ceil(bytes / GROUP) * GROUP;
  return rounded >= MIN_DISK && rounded <= MAX_DISK ? rounded : undefined;
}

const SUPERBLOCK = 1024;
const SUPERBLOCK_SIZE = 1024;
const UUID = 0x68;
const HASH_SEED = 0xec;
const CHECKSUM = 0x3fc;

/** How many random bytes a new disk takes. */
export const DISK_RANDOM = 32;

/**
 * The beginning of a new disk, of which the rest is empty: the file system that the build made, as one that
 * no other guest has. What its other checksums are made from stands in the file system by itself.
 */
export function newFileSystem(made: Uint8Array, random: Uint8Array): Uint8Array {
  const image = Buffer.from(made);
  const superblock = image.subarray(SUPERBLOCK, SUPERBLOCK + SUPERBLOCK_SIZE);
  superblock.set(uuid(random.subarray(0, 16)), UUID);
  superblock.set(uuid(random.subarray(16, 32)), HASH_SEED);
  superblock.writeUInt32LE(crc32c(superblock.subarray(0, CHECKSUM)), CHECKSUM);
  return image;
}

/** Version 4, variant 1 (RFC 9562). */
function uuid(random: Uint8Array): Uint8Array {
  return random.map((byte, at) =>
    at === 6 ? byte & 0x0f | 0x40 : at === 8 ? byte & 0x3f | 0x80 : byte
  );
}

/** CRC-32C (RFC 3720, B.4) without the inversion at its end, as ext4 has it. */
export function crc32c(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = crc >>> 1 ^ (crc & 1) * 0x82f63b78;
  }
  return crc >>> 0;
}
