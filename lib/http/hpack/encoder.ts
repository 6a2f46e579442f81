/**
 * Fields to header blocks of HTTP/2 (RFC 7541). One encoder for each direction of a connection.
 *
 * Strings are written plain: Huffman coding would save some bytes of what the table does not hold
 * already, and cost more time than they do.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import type { Field } from "../fields.ts";
import { DynamicTable, STATIC_TABLE } from "./table.ts";

/** Ours, whatever more the peer would keep. */
const MAX_TABLE = 4096;

/** A value that differs each time, or is long, only drives others out of the table. */
const MAX_INDEXED = 512;
const UNINDEXED: ReadonlySet<string> = new Set([
  ":path",
  "content-length",
  "date",
  "etag",
  "if-modified-since",
  "if-none-match",
  "last-modified",
  "set-cookie",
]);

/** RFC 7541 7.1: whoever can make requests beside a secret could guess it by their size. */
const SECRET: ReadonlySet<string> = new Set(["authorization", "proxy-authorization"]);

const STATIC_FIELDS = new Map<string, number>();
const STATIC_NAMES = new Map<string, number>();
STATIC_TABLE.forEach(({ key, value }, index) => {
  STATIC_FIELDS.set(`${key}\0${value}`, index + 1);
  if (!STATIC_NAMES.has(key)) STATIC_NAMES.set(key, index + 1);
});

export class HpackEncoder {
  readonly #table = new DynamicTable(MAX_TABLE, ({ key, value }, number) => {
    const known = `${key}\0${value}`;
    if (this.#numbers.get(known) === number) this.#numbers.delete(known);
  });
  /** Where each field is, counted from the first that was ever added. */
  readonly #numbers = new Map<string, number>();
  #added = 0;
  /** A new limit that the peer has not been told of: the least of those since the last block. */
  #resized: number | null = null;

  /** The peer's SETTINGS_HEADER_TABLE_SIZE changed. */
  setLimit(bytes: number): void {
    const limit = Math.min(bytes, MAX_TABLE);
    if (limit === this.#table.limit) return;
    this.#resized = Math.min(limit, this.#resized ?? limit);
    this.#table.resize(limit);
  }

  encode(fields: readonly Field[]): Buffer {
    let block = "";
    if (this.#resized !== null) {
      const { limit } = this.#table;
      if (this.#resized < limit) block += integer(0x20, 5, this.#resized);
      block += integer(0x20, 5, limit);
      this.#resized = null;
    }
    for (const field of fields) block += this.#field(field);
    return Buffer.from(block, "latin1");
  }

  #field({ key, value, sensitive }: Field): Bytes {
    const whole = `${key}\0${value}`;
    const index = STATIC_FIELDS.get(whole) ?? this.#indexOf(whole);
    const secret = sensitive === true || SECRET.has(key);
    if (index !== undefined && !secret) return integer(0x80, 7, index);
    const indexed = !secret && !UNINDEXED.has(key) && key.length + value.length <= MAX_INDEXED;
    const name = STATIC_NAMES.get(key) ?? 0;
    if (indexed) this.#add(key, value, whole);
    const first = indexed ? integer(0x40, 6, name) : integer(secret ? 0x10 : 0, 4, name);
    return first + (name === 0 ? string(key) : "") + string(value);
  }

  #add(key: string, value: string, whole: string): void {
    const number = this.#added;
    if (!this.#table.add({ key, value })) return;
    this.#added++;
    this.#numbers.set(whole, number);
  }

  #indexOf(whole: string): number | undefined {
    const number = this.#numbers.get(whole);
    return number === undefined ? undefined : STATIC_TABLE.length + this.#added - number;
  }
}

/** One character a byte: a block is many short pieces, and each buffer of its own would cost as much as all. */
type Bytes = string;

function integer(pattern: number, prefix: number, value: number): Bytes {
  const mask = (1 << prefix) - 1;
  if (value < mask) return String.fromCharCode(pattern | value);
  let bytes = String.fromCharCode(pattern | mask);
  let rest = value - mask;
  for (; rest >= 0x80; rest >>>= 7) bytes += String.fromCharCode(rest & 0x7f | 0x80);
  return bytes + String.fromCharCode(rest);
}

function string(text: string): Bytes {
  return integer(0, 7, text.length) + text;
}
