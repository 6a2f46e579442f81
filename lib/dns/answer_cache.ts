/**
 * Answers of the resolvers for as long as they allow (RFC 2308 for the negative ones), bounded in
 * number. TTLs count down while an answer is kept.
 *
 * @module
 */
import { Cursor } from "../base/cursor.ts";
import { type Message, Rcode, rcodeOf, type Resource, Type } from "./message.ts";
import { readName } from "./wire_name.ts";

const MAX_ENTRIES = 4096;
const MAX_TTL_S = 3600;

export class AnswerCache {
  readonly #entries = new Map<
    string,
    { readonly message: Message; readonly at: number; readonly ttl: number }
  >();
  readonly #now: () => number;

  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  get(key: string): Message | null {
    const entry = this.#entries.get(key);
    if (entry === undefined) return null;
    const age = Math.floor((this.#now() - entry.at) / 1000);
    if (age >= entry.ttl) {
      this.#entries.delete(key);
      return null;
    }
    const aged = (records: readonly Resource[]) =>
      records.map((record) => ({ ...record, ttl: Math.max(0, record.ttl - age) }));
    const { message } = entry;
    return { ...message, answers: aged(message.answers), authorities: aged(message.authorities) };
  }

  put(key: string, message: Message): void {
    const ttl = lifetime(message);
    if (ttl <= 0) return;
    this.#entries.delete(key);
    this.#entries.set(key, { message, at: this.#now(), ttl });
    for (const oldest of this.#entries.keys()) {
      if (this.#entries.size <= MAX_ENTRIES) break;
      this.#entries.delete(oldest);
    }
  }
}

/** Seconds the message may be used again; 0 for failures. */
function lifetime(message: Message): number {
  const code = rcodeOf(message.flags);
  if (code !== Rcode.NoError && code !== Rcode.NxDomain) return 0;
  const ttls = message.answers.map(({ ttl }) => ttl);
  if (ttls.length === 0 || code === Rcode.NxDomain) {
    const soa = message.authorities.find(({ type }) => type === Type.SOA);
    if (soa === undefined) return 0;
    ttls.push(soa.ttl, minimumOf(soa));
  }
  return Math.min(MAX_TTL_S, ...ttls);
}

/** The MINIMUM field of an SOA record, the last of its five numbers. */
function minimumOf(soa: Resource): number {
  try {
    const cursor = new Cursor(soa.data);
    readName(cursor);
    readName(cursor);
    cursor.skip(16);
    return cursor.u32();
  } catch {
    return 0;
  }
}
