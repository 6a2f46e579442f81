/**
 * From messages to bytes, with names compressed (RFC 1035 §4.1.4) and the answer cut where it does
 * not fit.
 *
 * @module
 */
import { Cursor } from "../../base/cursor.ts";
import { Flag } from "./codes.ts";
import { optRecord } from "./edns.ts";
import type { Message, Resource } from "./message.ts";
import { compressiblePieces } from "./rdata.ts";
import type { WireName } from "./wire_name.ts";

export const MAX_MESSAGE = 65_535;

const HEADER = 12;
const RECORD_HEAD = 10;
/** Pointers have 14 bits. */
const MAX_POINTED = 0x3fff;

/**
 * The wire form, at most `limit` bytes. Records that do not fit are left out, from the end, and TC
 * says so. (RFC 2181 §9 has clients ignore what is there then, but some C libraries never ask again
 * over TCP, and for them a part is better than nothing.)
 */
export function encodeMessage(message: Message, limit = MAX_MESSAGE): Uint8Array {
  const writer = new Writer(Math.min(limit, MAX_MESSAGE));
  writer.at = HEADER;
  for (const { name, type, class: klass } of message.questions) {
    writer.name(name);
    writer.u16(type);
    writer.u16(klass);
  }
  const opt = message.edns === undefined ? undefined : optRecord(message.edns);
  const reserved = opt === undefined ? 0 : 1 + RECORD_HEAD + opt.data.length;
  const sections = [message.answers, message.authorities, message.additionals];
  let whole = true;
  const counts = sections.map((records) => {
    let count = 0;
    for (const record of records) {
      whole &&= writer.record(record, reserved);
      if (whole) count++;
    }
    return count;
  });
  if (opt !== undefined && writer.record(opt, 0)) counts[2] = (counts[2] ?? 0) + 1;
  const flags = whole ? message.flags : message.flags | Flag.TC;
  return writer.finish([message.id, flags, message.questions.length, ...counts]);
}

class Writer {
  at = 0;
  readonly #limit: number;
  #bytes = new Uint8Array(512);
  #view = new DataView(this.#bytes.buffer);
  /** Where each name, by its bytes, was written. */
  readonly #written = new Map<string, number>();

  constructor(limit: number) {
    this.#limit = limit;
  }

  u16(value: number): void {
    this.#reserve(2);
    this.#view.setUint16(this.at, value);
    this.at += 2;
  }

  bytes(bytes: Uint8Array): void {
    this.#reserve(bytes.length);
    this.#bytes.set(bytes, this.at);
    this.at += bytes.length;
  }

  /** Spelling counts: a pointer to the same name in other letters would change this one's case. */
  name(name: WireName): void {
    const key = String.fromCharCode(...name);
    for (let at = 0; (name[at] ?? 0) !== 0; at += 1 + (name[at] ?? 0)) {
      const rest = key.slice(at);
      const target = this.#written.get(rest);
      if (target !== undefined) {
        this.u16(0xc000 | target);
        return;
      }
      if (this.at <= MAX_POINTED) this.#written.set(rest, this.at);
      this.bytes(name.subarray(at, at + 1 + (name[at] ?? 0)));
    }
    this.bytes(name.subarray(-1));
  }

  /** Writes a record unless that would leave less than `reserved` bytes. */
  record({ name, type, class: klass, ttl, data }: Resource, reserved: number): boolean {
    const start = this.at;
    this.name(name);
    this.u16(type);
    this.u16(klass);
    this.#reserve(6);
    this.#view.setUint32(this.at, ttl);
    const lengthAt = this.at + 4;
    this.at = lengthAt + 2;
    const pieces = compressiblePieces(new Cursor(data), type);
    for (const { kind, bytes } of pieces ?? [{ kind: "bytes", bytes: data }]) {
      if (kind === "name") this.name(bytes);
      else this.bytes(bytes);
    }
    this.#view.setUint16(lengthAt, this.at - lengthAt - 2);
    if (this.at + reserved <= this.#limit) return true;
    this.#forgetFrom(start);
    return false;
  }

  finish(header: readonly number[]): Uint8Array {
    header.forEach((word, index) => this.#view.setUint16(index * 2, word));
    return this.#bytes.subarray(0, this.at);
  }

  #forgetFrom(start: number): void {
    this.at = start;
    for (const [name, at] of this.#written) if (at >= start) this.#written.delete(name);
  }

  #reserve(count: number): void {
    const needed = this.at + count;
    if (needed <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(needed, this.#bytes.length * 2));
    grown.set(this.#bytes);
    this.#bytes = grown;
    this.#view = new DataView(grown.buffer);
  }
}
