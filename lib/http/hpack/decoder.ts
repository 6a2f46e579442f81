/**
 * Header blocks of HTTP/2 to fields (RFC 7541). One decoder for each direction of a connection: its
 * table is the state that both ends share, so a block that is refused for its size is still read to
 * its end.
 *
 * @module
 */
import type { Buffer } from "node:buffer";
import type { HttpLimits } from "../exchange.ts";
import type { Field } from "../fields.ts";
import { MalformedHttp } from "../malformed.ts";
import { decodeHuffman } from "./huffman.ts";
import { DynamicTable, type Entry, STATIC_TABLE } from "./table.ts";

export class HpackDecoder {
  readonly #limits: Pick<HttpLimits, "headBytes" | "headFields">;
  readonly #maxTable: number;
  readonly #table: DynamicTable;
  #block: Buffer | undefined;
  #at = 0;

  /** `maxTable`: what our settings allow the peer's table to hold, in bytes. */
  constructor(limits: Pick<HttpLimits, "headBytes" | "headFields">, maxTable: number) {
    this.#limits = limits;
    this.#maxTable = maxTable;
    this.#table = new DynamicTable(maxTable);
  }

  /**
   * The fields of one complete block, or null when they are more than the limits allow.
   *
   * @throws MalformedHttp when the table cannot be followed any further: the connection is lost.
   */
  decode(block: Buffer): Field[] | null {
    this.#block = block;
    this.#at = 0;
    const fields: Field[] = [];
    const { headBytes, headFields } = this.#limits;
    let size = 0;
    let begun = false;
    while (this.#at < block.length) {
      const first = block[this.#at] ?? 0;
      if ((first & 0xe0) === 0x20) {
        if (begun) throw new MalformedHttp("a table resized in the middle of a block");
        this.#resize();
        continue;
      }
      begun = true;
      const field = this.#field(first);
      size += field.key.length + field.value.length + 32;
      if (size <= headBytes && fields.length <= headFields) fields.push(field);
    }
    return size > headBytes || fields.length > headFields ? null : fields;
  }

  #resize(): void {
    const limit = this.#integer(5);
    if (limit > this.#maxTable) throw new MalformedHttp("a table larger than was allowed");
    this.#table.resize(limit);
  }

  #field(first: number): Field {
    if ((first & 0x80) !== 0) {
      const { key, value } = this.#entry(this.#integer(7));
      return { name: key, key, value };
    }
    const indexed = (first & 0x40) !== 0;
    const index = this.#integer(indexed ? 6 : 4);
    const key = index === 0 ? this.#string() : this.#entry(index).key;
    const value = this.#string();
    if (indexed) this.#table.add({ key, value });
    // RFC 7541 6.2.3: never to be put in a table, by no one on the way.
    const sensitive = (first & 0xf0) === 0x10;
    return sensitive ? { name: key, key, value, sensitive } : { name: key, key, value };
  }

  #entry(index: number): Entry {
    const entry = index <= STATIC_TABLE.length
      ? STATIC_TABLE[index - 1]
      : this.#table.at(index - STATIC_TABLE.length - 1);
    if (entry === undefined) throw new MalformedHttp("an index that no table has");
    return entry;
  }

  /** RFC 7541 5.1, with a prefix of so many bits. */
  #integer(prefix: number): number {
    const mask = (1 << prefix) - 1;
    let value = this.#byte() & mask;
    if (value < mask) return value;
    for (let shift = 0; shift <= 21; shift += 7) {
      const byte = this.#byte();
      value += (byte & 0x7f) << shift;
      if ((byte & 0x80) === 0) return value;
    }
    throw new MalformedHttp("an integer beyond all use");
  }

  #string(): string {
    const huffman = ((this.#block?.[this.#at] ?? 0) & 0x80) !== 0;
    const length = this.#integer(7);
    const bytes = this.#block?.subarray(this.#at, this.#at + length);
    if (bytes === undefined || bytes.length < length) throw cut();
    this.#at += length;
    return huffman ? decodeHuffman(bytes) : bytes.toString("latin1");
  }

  #byte(): number {
    const byte = this.#block?.[this.#at++];
    if (byte === undefined) throw cut();
    return byte;
  }
}

function cut(): MalformedHttp {
  return new MalformedHttp("a header block that was cut short");
}
