/**
 * vmlinux.ts IN OUT: the kernel without the zeros that its memory begins with anyway. An ELF kernel that was
 * taken out of a compressed image holds what it only reserves (.bss, .brk), 24 of 66 MB, and every start
 * would read, check and keep them. A kernel that is no 64-bit ELF file is copied as it is.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { readFileSync, renameSync, writeFileSync } from "node:fs";
import process from "node:process";

const [from = "", to = ""] = process.argv.slice(2);

const ELF64_LITTLE_ENDIAN = Buffer.from("7f454c460201", "hex");
const PT_LOAD = 1;

/** The file up to the last byte that is loaded and not zero; sections, which no loader reads, go. */
function withoutZeros(file: Buffer): Buffer {
  if (!file.subarray(0, 6).equals(ELF64_LITTLE_ENDIAN)) return file;
  const headers = Number(file.readBigUInt64LE(32));
  const [size, count] = [file.readUInt16LE(54), file.readUInt16LE(56)];
  const trimmed = Buffer.from(file);
  let end = headers + size * count;
  for (let at = headers; at < headers + size * count; at += size) {
    const offset = Number(file.readBigUInt64LE(at + 8));
    let length = Number(file.readBigUInt64LE(at + 32)); // p_filesz; the rest of p_memsz is zeros
    if (file.readUInt32LE(at) === PT_LOAD) {
      while (length > 0 && file[offset + length - 1] === 0) length--;
      trimmed.writeBigUInt64LE(BigInt(length), at + 32);
    }
    end = Math.max(end, offset + length);
  }
  trimmed.fill(0, 40, 48); // e_shoff
  trimmed.fill(0, 58, 64); // e_shentsize, e_shnum, e_shstrndx
  return trimmed.subarray(0, end);
}

writeFileSync(`${to}.part`, withoutZeros(readFileSync(from)));
renameSync(`${to}.part`, to);
