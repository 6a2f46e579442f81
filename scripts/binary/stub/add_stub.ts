/**
 * A program for Linux that runs some code of ours before its own. The code is put behind the file's end
 * and mapped above everything else, by the program header that pointed at the notes: nobody reads those of a
 * program, and so nothing that was there moves. Bun's payload is a section that is found by its address.
 *
 * @module
 */
import { Buffer } from "node:buffer";

/** Of elf(5), for 64 bits. */
const ELF64_LITTLE_ENDIAN = [0x7f, 0x45, 0x4c, 0x46, 2, 1];
const PT_LOAD = 1;
const PT_NOTE = 4;
const PF_X = 1;
const PF_R = 4;
const AT_ENTRY = 24;
const AT_HEADERS = 32;
const AT_HEADER_SIZE = 54;

/** Code begins where any instruction of any machine may. */
const ALIGNMENT = 16;

interface ProgramHeader {
  /** Where in the file it stands. */
  readonly at: number;
  readonly type: number;
  /** The first address behind what it maps. */
  readonly end: bigint;
  readonly align: bigint;
}

/**
 * The program with `stub` as its entry. The last eight bytes of the stub become the distance from them to
 * the old entry, to which it has to go on.
 *
 * @throws Error for a file that has no place for it
 */
export function addStub(program: Uint8Array, stub: Uint8Array): Uint8Array {
  const source = Buffer.from(program.buffer, program.byteOffset, program.byteLength);
  if (!ELF64_LITTLE_ENDIAN.every((byte, index) => source[index] === byte)) {
    throw new Error("Cannot add a stub: the file is no ELF of 64 bits, little-endian");
  }
  const headers = readHeaders(source);
  const segments = headers.filter(({ type }) => type === PT_LOAD);
  const notes = headers.findLast(({ type }) => type === PT_NOTE);
  const last = segments.at(-1);
  // Segments stand in the order of their addresses, and the kernel starts the heap behind the last one.
  if (last === undefined || notes === undefined || notes.at < last.at) {
    throw new Error("Cannot add a stub: no header for notes stands behind those of the segments");
  }
  const offset = alignedTo(program.length, ALIGNMENT);
  const align = segments.reduce((most, each) => each.align > most ? each.align : most, 1n);
  const end = segments.reduce((most, each) => each.end > most ? each.end : most, 0n);
  // The address of a byte is its place in the file, up to whole pages (elf(5), p_align).
  const address = (end + align - 1n) / align * align + BigInt(offset) % align;

  const out = Buffer.alloc(offset + stub.length);
  source.copy(out);
  out.set(stub, offset);
  const origin = address + BigInt(stub.length - 8);
  out.writeBigInt64LE(source.readBigUInt64LE(AT_ENTRY) - origin, out.length - 8);
  out.writeBigUInt64LE(address, AT_ENTRY);
  out.writeUInt32LE(PT_LOAD, notes.at);
  out.writeUInt32LE(PF_R | PF_X, notes.at + 4);
  const size = BigInt(stub.length);
  [BigInt(offset), address, address, size, size, align]
    .forEach((value, index) => out.writeBigUInt64LE(value, notes.at + 8 + 8 * index));
  return out;
}

function readHeaders(file: Buffer): readonly ProgramHeader[] {
  const first = Number(file.readBigUInt64LE(AT_HEADERS));
  const size = file.readUInt16LE(AT_HEADER_SIZE);
  return Array.from({ length: file.readUInt16LE(AT_HEADER_SIZE + 2) }, (_, index) => {
    const at = first + index * size;
    return {
      at,
      type: file.readUInt32LE(at),
      end: file.readBigUInt64LE(at + 16) + file.readBigUInt64LE(at + 40),
      align: file.readBigUInt64LE(at + 48),
    };
  });
}

function alignedTo(size: number, to: number): number {
  return Math.ceil(size / to) * to;
}
