/**
 * From bytes to messages. The bytes are the guest's or a stranger's: whatever they are, the outcome
 * is a message or {@link MalformedDns}, in time and memory bounded by their length.
 *
 * @module
 */
import { Cursor, Truncated } from "../../base/cursor.ts";
import { Type } from "./codes.ts";
import { ednsOf } from "./edns.ts";
import type { Edns, Message, Question, Resource } from "./message.ts";
import { readData } from "./rdata.ts";
import { MalformedDns, readName } from "./wire_name.ts";

const HEADER = 12;
const MAX_TTL = 0x7fff_ffff;

/**
 * Records of all sections. 64 KB hold thousands, each with a name that is long once expanded, and
 * whoever owns a name decides how many there are: a guest with a server of its own could make every
 * question cost as much as it likes. Sets that people mean are far smaller.
 */
const MAX_RECORDS = 1024;

/** The header alone, of bytes that may hold nothing else that can be understood. */
export interface Header {
  readonly id: number;
  readonly flags: number;
  readonly questions: number;
}

/** Null when there are not even the twelve bytes. */
export function parseHeader(bytes: Uint8Array): Header | null {
  if (bytes.length < HEADER) return null;
  const cursor = new Cursor(bytes);
  return { id: cursor.u16(), flags: cursor.u16(), questions: cursor.u16() };
}

/**
 * Reads a message of at most so many records. `strict` refuses bytes after it: resolvers that pad
 * exist, guests that do so are up to something.
 *
 * @throws MalformedDns
 */
export function parseMessage(bytes: Uint8Array, strict = false, most = MAX_RECORDS): Message {
  const cursor = new Cursor(bytes);
  try {
    const message = readMessage(cursor, most);
    if (strict && cursor.left > 0) throw new MalformedDns("bytes after the message");
    return message;
  } catch (error) {
    if (error instanceof Truncated) throw new MalformedDns("message ends early");
    throw error;
  }
}

function readMessage(cursor: Cursor, most: number): Message {
  const [id, flags] = [cursor.u16(), cursor.u16()];
  const counts = { question: cursor.u16(), answer: cursor.u16() };
  const more = { authority: cursor.u16(), additional: cursor.u16() };
  const records = counts.answer + more.authority + more.additional;
  if (counts.question > 1 || records > most) throw new MalformedDns("too many records");
  const questions: Question[] = [];
  for (let i = 0; i < counts.question; i++) {
    questions.push({ name: readName(cursor), type: cursor.u16(), class: cursor.u16() });
  }
  const answers = readSection(cursor, counts.answer);
  const authorities = readSection(cursor, more.authority);
  const last = readSection(cursor, more.additional);
  if ([...answers, ...authorities].some(isOpt)) throw new MalformedDns("misplaced OPT record");
  const edns = onlyEdns(last.filter(isOpt));
  const additionals = last.filter((record) => !isOpt(record));
  const message = { id, flags, questions, answers, authorities, additionals };
  return edns === undefined ? message : { ...message, edns };
}

function readSection(cursor: Cursor, count: number): Resource[] {
  const records: Resource[] = [];
  for (let i = 0; i < count; i++) {
    const name = readName(cursor);
    const [type, klass, ttl] = [cursor.u16(), cursor.u16(), cursor.u32()];
    const end = cursor.u16() + cursor.at;
    const data = readData(cursor, type, end);
    cursor.at = end;
    // RFC 2181 §8: a TTL with its first bit set is none. (In an OPT record the field is no TTL.)
    const life = ttl > MAX_TTL && type !== Type.OPT ? 0 : ttl;
    records.push({ name, type, class: klass, ttl: life, data });
  }
  return records;
}

function isOpt(record: Resource): boolean {
  return record.type === Type.OPT;
}

/** RFC 6891 §6.1.1: at most one. */
function onlyEdns(records: readonly Resource[]): Edns | undefined {
  const [first, second] = records;
  if (second !== undefined) throw new MalformedDns("several OPT records");
  return first === undefined ? undefined : ednsOf(first);
}
