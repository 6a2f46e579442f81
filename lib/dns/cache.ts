/**
 * What resolvers said, for as long as they allow: positive answers for their lowest TTL, negative
 * ones for what their SOA record grants (RFC 2308), failures not at all. TTLs count down while an
 * answer is kept.
 *
 * @module
 */
import { Cursor } from "../base/cursor.ts";
import { LruMap } from "../base/lru.ts";
import { Rcode, Type } from "./wire/codes.ts";
import { type Message, rcodeOf, type Resource } from "./wire/message.ts";

/** The host's resolvers have caches of their own; this one only spares them a guest's repetitions. */
const MAX_POSITIVE_S = 3600;
const MAX_NEGATIVE_S = 300;

/** In bytes: record data, names, and a fixed part for each record. */
const CAPACITY = 8 * 1024 * 1024;
const PER_RECORD = 200;
/** A name is there as bytes, and as the text that it is judged by, which escapes bytes with four characters. */
const PER_NAME_BYTE = 5;

interface Entry {
  readonly message: Message;
  readonly at: number;
  readonly ttl: number;
}

export class AnswerCache {
  readonly #now: () => number;
  readonly #entries: LruMap<string, Entry>;

  /** `now` in milliseconds. */
  constructor(now: () => number, capacity = CAPACITY) {
    this.#now = now;
    this.#entries = new LruMap(capacity, ({ message }) => weightOf(message));
  }

  get(key: string): Message | null {
    const entry = this.#entries.get(key);
    if (entry === undefined) return null;
    const age = Math.floor((this.#now() - entry.at) / 1000);
    if (age >= entry.ttl) {
      this.#entries.delete(key);
      return null;
    }
    const { message } = entry;
    if (age === 0) return message;
    const aged = (records: readonly Resource[]) =>
      records.map((record) => ({ ...record, ttl: Math.max(0, record.ttl - age) }));
    return { ...message, answers: aged(message.answers), authorities: aged(message.authorities) };
  }

  clear(): void {
    this.#entries.clear();
  }

  put(key: string, message: Message): void {
    const ttl = lifetime(message);
    if (ttl > 0) this.#entries.set(key, { message, at: this.#now(), ttl });
  }
}

/** Seconds for which the message may be given again; 0 when not at all. */
export function lifetime(message: Message): number {
  const code = rcodeOf(message);
  if (code !== Rcode.NoError && code !== Rcode.NxDomain) return 0;
  const ttls = message.answers.map(({ ttl }) => ttl);
  if (code === Rcode.NoError && message.answers.some(({ type }) => type !== Type.CNAME)) {
    return Math.min(MAX_POSITIVE_S, ...ttls);
  }
  const soa = message.authorities.find(({ type }) => type === Type.SOA);
  if (soa === undefined) return 0;
  return Math.min(MAX_NEGATIVE_S, soa.ttl, minimumOf(soa), ...ttls);
}

/** MINIMUM is the last of the five numbers that end an SOA record (RFC 1035 §3.3.13). */
function minimumOf({ data }: Resource): number {
  return data.length < 4 ? 0 : new Cursor(data, data.length - 4).u32();
}

function weightOf({ answers, authorities }: Message): number {
  const records = [...answers, ...authorities];
  return records.reduce(
    (sum, { name, data }) => sum + name.length * PER_NAME_BYTE + data.length + PER_RECORD,
    PER_RECORD,
  );
}
