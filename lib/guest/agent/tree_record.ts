/**
 * A file or directory with everything below it, as a stream of records, depth first;
 * docs/agent-protocol.md specifies the format.
 *
 * ```
 * u8 kind | u24 payload length | payload          big endian
 * ```
 *
 * Tar was weighed against it: names as bytes, holes and nanoseconds are extensions there, no library
 * of npm's has all of them with a bound on memory, and a file's length must be known before its content,
 * which nobody knows in a guest that runs. Pure.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { SbxError } from "../../base/errors.ts";
import { FrameCutter } from "../../wire/frame_cutter.ts";

const RecordKind = { Entry: 1, Data: 2, Hole: 3, End: 4, Attribute: 5 } as const;

const TYPES = ["file", "directory", "symlink", "link", "other", "gone"] as const;

/**
 * What an entry is; a `link` is another name of the file with its `id`. Lists of changes alone have `gone`, of
 * what was there before.
 */
export type EntryType = (typeof TYPES)[number];

export interface TreeEntry {
  readonly type: EntryType;
  /** At most 0o7777. */
  readonly mode: number;
  /** What it was; the content that follows may be another by now. */
  readonly size: number;
  /** Nanoseconds since 1970. */
  readonly mtimeNs: bigint;
  readonly uid: number;
  readonly gid: number;
  /** Ties the names of one file together; 0 where it has one. */
  readonly id: number;
  /** Below the root of the tree, whose own name is empty. Never has a NUL. */
  readonly name: Buffer;
  /** Where a symbolic link leads. Never has a NUL. */
  readonly target: Buffer;
}

export type TreeRecord =
  | { readonly kind: "entry"; readonly entry: TreeEntry }
  /** An extended attribute of the file or directory that was entered last, before its content. */
  | { readonly kind: "attribute"; readonly name: Buffer; readonly value: Buffer }
  /** The next bytes of the file that was entered last; only valid until the next `push`. */
  | { readonly kind: "data"; readonly bytes: Uint8Array }
  /** So many zeros that take no room. */
  | { readonly kind: "hole"; readonly bytes: number }
  | { readonly kind: "end" };

/** The head of a record. */
export const RECORD_HEAD = 4;
const ENTRY_HEAD = 41;
const MAX_PAYLOAD = 64 * 1024;
const MAX_NAME = 4096;

/** Only these are carried: what the kernel acts on, such as capabilities, is nobody else's to say. */
const USER_ATTRIBUTE = Buffer.from("user.");
const MAX_ATTRIBUTE_NAME = 255;
const MAX_ATTRIBUTE_VALUE = 64 * 1024;
const MAX_ATTRIBUTE = 1 + MAX_ATTRIBUTE_NAME + MAX_ATTRIBUTE_VALUE;

/** Bytes of content in one record, so that it fits a frame of the agent's channel. */
export const MAX_CONTENT = MAX_PAYLOAD - RECORD_HEAD;

const NS = 1_000_000_000n;

/** What `Date` can say; a time beyond is nobody's. */
const MAX_SECONDS = 8_640_000_000_000n;

/** @throws SbxError USAGE for a name longer than the format has */
export function encodeEntry(entry: TreeEntry): Uint8Array {
  const { name, target, mtimeNs } = entry;
  if (name.length > MAX_NAME || target.length > MAX_NAME) {
    throw new SbxError("USAGE", "Cannot copy the tree: a name in it is longer than 4096 bytes");
  }
  const record = Buffer.alloc(RECORD_HEAD + ENTRY_HEAD + name.length + target.length);
  putRecordHead(record, RecordKind.Entry, record.length - RECORD_HEAD);
  const nanoseconds = (mtimeNs % NS + NS) % NS;
  record.writeUInt8(TYPES.indexOf(entry.type) + 1, 4);
  record.writeUInt16BE(entry.mode, 5);
  record.writeBigUInt64BE(BigInt(entry.size), 7);
  record.writeBigInt64BE((mtimeNs - nanoseconds) / NS, 15);
  record.writeUInt32BE(Number(nanoseconds), 23);
  record.writeUInt32BE(entry.uid, 27);
  record.writeUInt32BE(entry.gid, 31);
  record.writeBigUInt64BE(BigInt(entry.id), 35);
  record.writeUInt16BE(name.length, 43);
  record.set(name, RECORD_HEAD + ENTRY_HEAD);
  record.set(target, RECORD_HEAD + ENTRY_HEAD + name.length);
  return record;
}

/** `name` begins with `user.`; the bounds are Linux's. */
export function encodeAttribute(name: Buffer, value: Buffer): Uint8Array {
  const record = Buffer.alloc(RECORD_HEAD + 1 + name.length + value.length);
  putRecordHead(record, RecordKind.Attribute, record.length - RECORD_HEAD);
  record.writeUInt8(name.length, RECORD_HEAD);
  record.set(name, RECORD_HEAD + 1);
  record.set(value, RECORD_HEAD + 1 + name.length);
  return record;
}

/** Puts the head of a record of content before it; `room` begins with {@link RECORD_HEAD} free bytes. */
export function asData(room: Uint8Array, length: number): Uint8Array {
  putRecordHead(room, RecordKind.Data, length);
  return room.subarray(0, RECORD_HEAD + length);
}

export function encodeHole(bytes: number): Uint8Array {
  const record = Buffer.alloc(RECORD_HEAD + 8);
  putRecordHead(record, RecordKind.Hole, 8);
  record.writeBigUInt64BE(BigInt(bytes), RECORD_HEAD);
  return record;
}

export function encodeEnd(): Uint8Array {
  const record = new Uint8Array(RECORD_HEAD);
  putRecordHead(record, RecordKind.End, 0);
  return record;
}

function putRecordHead(record: Uint8Array, kind: number, length: number): void {
  new DataView(record.buffer, record.byteOffset).setUint32(0, kind << 24 | length);
}

/** Takes a stream from the guest apart. Holds at most one incomplete record. */
export class TreeReader {
  readonly #records = new FrameCutter(RECORD_HEAD, sizeOf);
  #whole = false;

  /** The tree has ended, as one that is whole does. */
  get whole(): boolean {
    return this.#whole;
  }

  /** The records that these bytes complete. @throws SbxError PROTOCOL */
  *push(bytes: Uint8Array): Generator<TreeRecord, void, undefined> {
    for (const record of this.#records.push(bytes)) {
      if (this.#whole) throw malformed();
      const parsed = parseRecord(
        record[0],
        Buffer.from(record.buffer, record.byteOffset + 4, record.length - 4),
      );
      this.#whole = parsed.kind === "end";
      yield parsed;
    }
  }
}

function sizeOf(bytes: Uint8Array): number {
  const [kind, high = 0, middle = 0, low = 0] = bytes;
  const length = high << 16 | middle << 8 | low;
  if (length > (kind === RecordKind.Attribute ? MAX_ATTRIBUTE : MAX_PAYLOAD)) throw malformed();
  return RECORD_HEAD + length;
}

function parseRecord(kind: number | undefined, payload: Buffer): TreeRecord {
  switch (kind) {
    case RecordKind.Entry:
      return { kind: "entry", entry: parseEntry(payload) };
    case RecordKind.Attribute:
      return parseAttribute(payload);
    case RecordKind.Data:
      if (payload.length > 0) return { kind: "data", bytes: payload };
      break;
    case RecordKind.Hole:
      if (payload.length === 8) return { kind: "hole", bytes: count(payload, 0, 1) };
      break;
    case RecordKind.End:
      if (payload.length === 0) return { kind: "end" };
  }
  throw malformed();
}

function parseEntry(payload: Buffer): TreeEntry {
  if (payload.length < ENTRY_HEAD) throw malformed();
  const type = TYPES[payload.readUInt8(0) - 1];
  const mode = payload.readUInt16BE(1);
  const seconds = payload.readBigInt64BE(11);
  const nanoseconds = payload.readUInt32BE(19);
  const names = payload.subarray(ENTRY_HEAD);
  const length = payload.readUInt16BE(39);
  const [name, target] = [names.subarray(0, length), names.subarray(length)];
  if (
    type === undefined || mode > 0o7777 || nanoseconds >= Number(NS) ||
    seconds > MAX_SECONDS || seconds < -MAX_SECONDS ||
    length > names.length || length > MAX_NAME || target.length > MAX_NAME ||
    names.includes(0) || (type === "symlink") !== (target.length > 0)
  ) throw malformed();
  return {
    type,
    mode,
    size: count(payload, 3, 0),
    mtimeNs: seconds * NS + BigInt(nanoseconds),
    uid: payload.readUInt32BE(23),
    gid: payload.readUInt32BE(27),
    id: count(payload, 31, 0),
    name: Buffer.from(name),
    target: Buffer.from(target),
  };
}

function parseAttribute(payload: Buffer): TreeRecord {
  const [length = 0] = payload;
  const name = payload.subarray(1, 1 + length);
  const value = payload.subarray(1 + length);
  if (
    name.length !== length || length <= USER_ATTRIBUTE.length || name.includes(0) ||
    !name.subarray(0, USER_ATTRIBUTE.length).equals(USER_ATTRIBUTE) ||
    value.length > MAX_ATTRIBUTE_VALUE
  ) throw malformed();
  return { kind: "attribute", name: Buffer.from(name), value: Buffer.from(value) };
}

function count(payload: Buffer, at: number, least: number): number {
  const value = Number(payload.readBigUInt64BE(at));
  if (value < least || value > Number.MAX_SAFE_INTEGER) throw malformed();
  return value;
}

function malformed(): SbxError {
  return new SbxError("PROTOCOL", "Cannot follow the guest's agent: it sent a malformed tree");
}
