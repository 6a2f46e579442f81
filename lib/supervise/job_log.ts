/**
 * What a command printed, kept so that it can be read from any place on, while it runs and afterwards.
 *
 * ```
 * segment:  "sbxlog1\n" | u64 offset of its first byte | records
 * record:   u48 milliseconds since 1970 | u8 stream (1, 2) | u24 length | bytes
 * ```
 *
 * An offset counts the bytes of both streams from the command's start. There are at most two segments: when
 * the newer one is full it takes the older one's place, so that a command which prints for ever costs a
 * bounded part of the disk, and keeps its latest words.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import {
  closeSync,
  constants,
  existsSync,
  fstatSync,
  ftruncateSync,
  openSync,
  readSync,
  renameSync,
  writeSync,
} from "node:fs";
import { systemCode } from "../base/file_error.ts";

const MAGIC = "sbxlog1\n";
const HEADER = 16;
const RECORD = 10;

/** Of a segment; a log has two at most. */
const SEGMENT_BYTES = 32 << 20;
/** Of a record. */
const LARGEST = 64 << 10;

/** A piece of what a job printed. */
export interface LogPiece {
  /** 1: standard output; 2: standard error. */
  readonly stream: 1 | 2;
  /** When it was printed: milliseconds since 1970. */
  readonly atMs: number;
  /** Of its first byte. */
  readonly offset: number;
  /** At least one. */
  readonly bytes: Buffer;
}

const OLDER = ".older";

/** Where a log's older segment lies. */
function olderOf(path: string): string {
  return `${path}${OLDER}`;
}

export class JobLog {
  readonly #path: string;
  readonly #segment: number;
  #fd: number;
  #size: number;
  #end: number;
  #lost = 0;

  /** Opens the log at a path for writing, after what is there already. */
  constructor(path: string, segment: number = SEGMENT_BYTES) {
    this.#path = path;
    this.#segment = segment;
    const { end, size } = endOf(path);
    this.#end = end;
    this.#fd = openSegment(path);
    this.#size = size;
  }

  /** The offset of what comes next. */
  get end(): number {
    return this.#end;
  }

  /** Bytes that could not be kept: the disk was full. */
  get lost(): number {
    return this.#lost;
  }

  /** Keeps what was printed; what the disk does not take is counted. */
  append(stream: 1 | 2, bytes: Uint8Array, atMs: number): void {
    for (let at = 0; at < bytes.length; at += LARGEST) {
      this.#append(stream, bytes.subarray(at, at + LARGEST), atMs);
    }
  }

  close(): void {
    closeSync(this.#fd);
  }

  #append(stream: 1 | 2, bytes: Uint8Array, atMs: number): void {
    const isReady = this.#size < this.#segment || this.#turn();
    if (!isReady || (this.#size === 0 && !this.#begin())) {
      this.#lost += bytes.length;
      return;
    }
    const record = Buffer.alloc(RECORD + bytes.length);
    record.writeUIntBE(atMs, 0, 6);
    record.writeUInt8(stream, 6);
    record.writeUIntBE(bytes.length, 7, 3);
    record.set(bytes, RECORD);
    if (!this.#write(record)) this.#lost += bytes.length;
    else this.#end += bytes.length;
  }

  /** The segment that is full becomes the older one; false where the disk has no room for another. */
  #turn(): boolean {
    return hasRoom(() => {
      // When there was no room for the new one, the old one has been renamed already.
      if (existsSync(this.#path)) renameSync(this.#path, olderOf(this.#path));
      const fd = openSegment(this.#path);
      closeSync(this.#fd);
      this.#fd = fd;
      this.#size = 0;
    });
  }

  #begin(): boolean {
    const header = Buffer.alloc(HEADER);
    header.write(MAGIC, "latin1");
    header.writeBigUInt64BE(BigInt(this.#end), MAGIC.length);
    return this.#write(header);
  }

  /** All of it or nothing: half a record would make what follows unreadable. */
  #write(bytes: Buffer): boolean {
    const written = hasRoom(() => {
      for (let done = 0; done < bytes.length;) {
        done += writeSync(this.#fd, bytes, done, bytes.length - done, this.#size + done);
      }
    });
    if (written) this.#size += bytes.length;
    else ftruncateSync(this.#fd, this.#size);
    return written;
  }
}

/** Whether the disk had room for it. */
function hasRoom(write: () => void): boolean {
  try {
    write();
    return true;
  } catch (cause) {
    if (["ENOSPC", "EDQUOT", "EFBIG", "EIO"].includes(systemCode(cause) ?? "")) return false;
    throw cause;
  }
}

/** How far a log goes, and the bytes of its newer segment that are whole; 0 where there is none. */
function endOf(path: string): { readonly end: number; readonly size: number } {
  const segment = openSegmentAt(path);
  if (segment === null) {
    const older = path.endsWith(OLDER) ? 0 : endOf(olderOf(path)).end;
    return { end: older, size: 0 };
  }
  const { size } = fstatSync(segment.fd);
  for (let head = headAt(segment); head !== null; head = headAt(segment)) {
    if (segment.at + RECORD + head.length > size) break;
    pass(segment, head);
  }
  closeSync(segment.fd);
  return { end: segment.offset, size: segment.at };
}

/** A segment that is being read. */
interface Segment {
  readonly fd: number;
  /** Where the next record is in the file, and what its first byte's offset is. */
  at: number;
  offset: number;
}

/** Reads a log from an offset on, also while it is written. */
export class JobLogReader {
  readonly #path: string;
  #segment: Segment | null = null;
  #wanted: number;

  constructor(path: string, from = 0) {
    this.#path = path;
    this.#wanted = from;
  }

  /**
   * The next piece; null when there is none yet. It lies further on than the one before ended where what
   * was between is gone already.
   */
  next(): LogPiece | null {
    while (true) {
      this.#segment ??= this.#open();
      if (this.#segment === null) return null;
      const piece = this.#read(this.#segment);
      if (piece !== null) return piece;
      if (!this.#isOver(this.#segment)) return null;
      this.close();
    }
  }

  close(): void {
    if (this.#segment !== null) closeSync(this.#segment.fd);
    this.#segment = null;
  }

  /** The older segment while something of it is wanted, or the newer one. */
  #open(): Segment | null {
    const newer = openSegmentAt(this.#path);
    if (newer !== null && newer.offset <= this.#wanted) return newer;
    const older = openSegmentAt(olderOf(this.#path));
    if (older === null) return newer;
    if (newer !== null) closeSync(newer.fd);
    return older;
  }

  #read(segment: Segment): LogPiece | null {
    for (let head = headAt(segment); head !== null; head = headAt(segment)) {
      const { stream, atMs, length } = head;
      const { at, offset } = segment;
      const skipped = Math.max(0, this.#wanted - offset);
      if (skipped >= length) {
        pass(segment, head);
        continue;
      }
      const bytes = readAt(segment.fd, at + RECORD, length);
      if (bytes === null) return null; // it is being written
      pass(segment, head);
      this.#wanted = segment.offset;
      return { stream, atMs, offset: offset + skipped, bytes: bytes.subarray(skipped) };
    }
    return null;
  }

  /** Whether the segment is read to its end, and another one has been begun. */
  #isOver({ fd }: Segment): boolean {
    const newer = openSegmentAt(this.#path);
    if (newer === null) return false; // it is being begun
    const same = fstatSync(newer.fd).ino === fstatSync(fd).ino;
    closeSync(newer.fd);
    return !same;
  }
}

interface RecordHead {
  readonly stream: 1 | 2;
  readonly atMs: number;
  readonly length: number;
}

/** Of the record that begins there; null where none does yet. */
function headAt({ fd, at }: Segment): RecordHead | null {
  const head = readAt(fd, at, RECORD);
  if (head === null) return null;
  const stream = head.readUInt8(6);
  const length = head.readUIntBE(7, 3);
  if (length === 0 || length > LARGEST || (stream !== 1 && stream !== 2)) return null;
  return { stream, atMs: head.readUIntBE(0, 6), length };
}

function pass(segment: Segment, { length }: RecordHead): void {
  segment.at += RECORD + length;
  segment.offset += length;
}

/** Null: there is none, or its header is being written. */
function openSegmentAt(path: string): Segment | null {
  const fd = openForReading(path);
  if (fd === null) return null;
  const offset = baseOf(fd);
  if (offset !== null) return { fd, at: HEADER, offset };
  closeSync(fd);
  return null;
}

function baseOf(fd: number): number | null {
  const header = readAt(fd, 0, HEADER);
  if (header === null || header.toString("latin1", 0, MAGIC.length) !== MAGIC) return null;
  return Number(header.readBigUInt64BE(MAGIC.length));
}

function readAt(fd: number, at: number, length: number): Buffer | null {
  const bytes = Buffer.alloc(length);
  let done = 0;
  while (done < length) {
    const read = readSync(fd, bytes, done, length - done, at + done);
    if (read === 0) return null;
    done += read;
  }
  return bytes;
}

function openSegment(path: string): number {
  const { O_RDWR, O_CREAT, O_NOFOLLOW } = constants;
  return openSync(path, O_RDWR | O_CREAT | O_NOFOLLOW, 0o600);
}

function openForReading(path: string): number | null {
  try {
    return openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW);
  } catch (cause) {
    if (systemCode(cause) === "ENOENT") return null;
    throw cause;
  }
}
