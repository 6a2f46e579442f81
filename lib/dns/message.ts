/**
 * DNS messages (RFC 1035 4, RFC 6891) between bytes and values. Pure; malformed bytes throw
 * {@link MalformedDns} and nothing else.
 *
 * @module
 */
import { Cursor, Truncated } from "../base/cursor.ts";
import { MalformedDns, nameBytes, readName, type WireName } from "./wire_name.ts";

export const Type = {
  A: 1,
  NS: 2,
  CNAME: 5,
  SOA: 6,
  PTR: 12,
  MX: 15,
  AAAA: 28,
  SRV: 33,
  DNAME: 39,
  OPT: 41,
  SVCB: 64,
  HTTPS: 65,
} as const;

export const Rcode = {
  NoError: 0,
  FormErr: 1,
  ServFail: 2,
  NxDomain: 3,
  NotImp: 4,
  Refused: 5,
} as const;

export interface Question {
  readonly name: WireName;
  readonly type: number;
  readonly class: number;
}

export interface Resource {
  readonly name: WireName;
  readonly type: number;
  readonly class: number;
  readonly ttl: number;
  /** Names in it are uncompressed. */
  readonly data: Uint8Array;
}

export interface Message {
  readonly id: number;
  /** The 16 bits after the id: QR, opcode, AA, TC, RD, RA, AD, CD, RCODE. */
  readonly flags: number;
  readonly questions: readonly Question[];
  readonly answers: readonly Resource[];
  readonly authorities: readonly Resource[];
  /** Without the OPT record. */
  readonly additionals: readonly Resource[];
  /** The OPT record's fields, when there was one. */
  readonly edns?: { readonly size: number; readonly version: number; readonly dnssecOk: boolean };
}

export const Flag = {
  QR: 0x8000,
  AA: 0x0400,
  TC: 0x0200,
  RD: 0x0100,
  RA: 0x0080,
  AD: 0x0020,
  CD: 0x0010,
};

export function opcodeOf(flags: number): number {
  return flags >> 11 & 0xf;
}

export function rcodeOf(flags: number): number {
  return flags & 0xf;
}

const MAX_MESSAGE = 65_535;

/** Only the id, flags and question count of bytes that may not parse further. */
export function parseHead(
  bytes: Uint8Array,
): { id: number; flags: number; questions: number } | null {
  if (bytes.length < 12) return null;
  const cursor = new Cursor(bytes);
  return { id: cursor.u16(), flags: cursor.u16(), questions: cursor.u16() };
}

export function parseMessage(bytes: Uint8Array): Message {
  try {
    return parse(new Cursor(bytes));
  } catch (error) {
    if (error instanceof Truncated) throw new MalformedDns("message ends early");
    throw error;
  }
}

function parse(cursor: Cursor): Message {
  const [id, flags] = [cursor.u16(), cursor.u16()];
  const counts = [cursor.u16(), cursor.u16(), cursor.u16(), cursor.u16()] as const;
  const questions = Array.from({ length: Math.min(counts[0], 256) }, (): Question => ({
    name: readName(cursor),
    type: cursor.u16(),
    class: cursor.u16(),
  }));
  let edns: Message["edns"];
  const section = (count: number): Resource[] => {
    const records: Resource[] = [];
    for (let i = 0; i < count; i++) {
      const record = readResource(cursor);
      if (record.type !== Type.OPT) {
        records.push(record);
        continue;
      }
      if (edns !== undefined) throw new MalformedDns("two OPT records");
      edns = {
        size: record.class,
        version: record.ttl >>> 16 & 0xff,
        dnssecOk: (record.ttl & 0x8000) !== 0,
      };
    }
    return records;
  };
  const [answers, authorities, additionals] = [
    section(counts[1]),
    section(counts[2]),
    section(counts[3]),
  ];
  const message = { id, flags, questions, answers, authorities, additionals };
  return edns === undefined ? message : { ...message, edns };
}

function readResource(cursor: Cursor): Resource {
  const name = readName(cursor);
  const [type, klass, ttl] = [cursor.u16(), cursor.u16(), cursor.u32()];
  const length = cursor.u16();
  const end = cursor.at + length;
  if (end > cursor.bytes.length) throw new MalformedDns("record ends early");
  const data = readData(cursor, type, end);
  cursor.at = end;
  return { name, type, class: klass, ttl, data };
}

/**
 * How the data of the types that may hold compressed names begins and how many names follow
 * (RFC 1035 3.3, RFC 2163, RFC 2782). All others are opaque, as RFC 3597 4 demands.
 */
const NAMES_IN_DATA: ReadonlyMap<number, { readonly skip: number; readonly names: number }> =
  new Map([
    ...[2, 3, 4, 5, 7, 8, 9, 12, 39].map((type) => [type, { skip: 0, names: 1 }] as const),
    ...[15, 18, 21, 36].map((type) => [type, { skip: 2, names: 1 }] as const),
    ...[6, 14, 17].map((type) => [type, { skip: 0, names: 2 }] as const),
    [33, { skip: 6, names: 1 }],
    [26, { skip: 2, names: 2 }],
  ]);

function readData(cursor: Cursor, type: number, end: number): Uint8Array {
  const layout = NAMES_IN_DATA.get(type);
  if (layout === undefined) return cursor.take(end - cursor.at);
  const parts = [cursor.take(layout.skip)];
  for (let i = 0; i < layout.names; i++) parts.push(nameBytes(readName(cursor)));
  if (cursor.at > end) throw new MalformedDns("name past the end of its record");
  parts.push(cursor.take(end - cursor.at));
  return join(parts);
}

function join(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** An EDNS option to send. */
export interface EdnsOption {
  readonly code: number;
  readonly data: Uint8Array;
}

export interface Encoded extends Omit<Message, "edns"> {
  readonly edns?: {
    readonly size: number;
    readonly dnssecOk: boolean;
    readonly options: readonly EdnsOption[];
  };
}

/** The wire form; a name equal to the question's is compressed, which is what saves most. */
export function encodeMessage(message: Encoded): Uint8Array {
  const question = message.questions[0];
  const opt = message.edns === undefined ? [] : [encodeOpt(message.edns)];
  const resources = (list: readonly Resource[]) =>
    list.map((record) => encodeResource(record, question));
  const head = new Uint8Array(12);
  const view = new DataView(head.buffer);
  const counts = [
    message.id,
    message.flags,
    message.questions.length,
    message.answers.length,
    message.authorities.length,
    message.additionals.length + opt.length,
  ];
  counts.forEach((count, index) => view.setUint16(index * 2, count));
  const bytes = join([
    head,
    ...message.questions.map((q) => join([nameBytes(q.name), numbers([q.type, 2], [q.class, 2])])),
    ...resources(message.answers),
    ...resources(message.authorities),
    ...resources(message.additionals),
    ...opt,
  ]);
  if (bytes.length > MAX_MESSAGE) throw new MalformedDns("message over 65,535 bytes");
  return bytes;
}

function encodeResource(record: Resource, question: Question | undefined): Uint8Array {
  const same = question !== undefined && equal(record.name, question.name);
  return join([
    same ? numbers([0xc00c, 2]) : nameBytes(record.name),
    numbers([record.type, 2], [record.class, 2], [record.ttl, 4], [record.data.length, 2]),
    record.data,
  ]);
}

function equal(a: WireName, b: WireName): boolean {
  return a.length === b.length && a.every((label, index) => {
    const other = b[index];
    return other !== undefined && label.length === other.length &&
      label.every((byte, at) => byte === other[at]);
  });
}

function encodeOpt(edns: NonNullable<Encoded["edns"]>): Uint8Array {
  const options = join(
    edns.options.map(({ code, data }) => join([numbers([code, 2], [data.length, 2]), data])),
  );
  const ttl = edns.dnssecOk ? 0x8000 : 0;
  return join([
    new Uint8Array(1),
    numbers([Type.OPT, 2], [edns.size, 2], [ttl, 4], [options.length, 2]),
    options,
  ]);
}

/** Big-endian integers of the given widths. */
function numbers(...fields: readonly (readonly [value: number, width: 2 | 4])[]): Uint8Array {
  const bytes = new Uint8Array(fields.reduce((sum, [, width]) => sum + width, 0));
  const view = new DataView(bytes.buffer);
  let at = 0;
  for (const [value, width] of fields) {
    if (width === 2) view.setUint16(at, value);
    else view.setUint32(at, value);
    at += width;
  }
  return bytes;
}
