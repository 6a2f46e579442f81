/**
 * The tables of HPACK that both of its directions share (RFC 7541 2.3, appendix A). Pure.
 *
 * @module
 */

/** A field as a table holds it. */
export interface Entry {
  readonly key: string;
  readonly value: string;
}

/** Appendix A: index 1 is the first. */
export const STATIC_TABLE: readonly Entry[] = [
  ":authority",
  ":method: GET",
  ":method: POST",
  ":path: /",
  ":path: /index.html",
  ":scheme: http",
  ":scheme: https",
  ":status: 200",
  ":status: 204",
  ":status: 206",
  ":status: 304",
  ":status: 400",
  ":status: 404",
  ":status: 500",
  "accept-charset",
  "accept-encoding: gzip, deflate",
  "accept-language",
  "accept-ranges",
  "accept",
  "access-control-allow-origin",
  "age",
  "allow",
  "authorization",
  "cache-control",
  "content-disposition",
  "content-encoding",
  "content-language",
  "content-length",
  "content-location",
  "content-range",
  "content-type",
  "cookie",
  "date",
  "etag",
  "expect",
  "expires",
  "from",
  "host",
  "if-match",
  "if-modified-since",
  "if-none-match",
  "if-range",
  "if-unmodified-since",
  "last-modified",
  "link",
  "location",
  "max-forwards",
  "proxy-authenticate",
  "proxy-authorization",
  "range",
  "referer",
  "refresh",
  "retry-after",
  "server",
  "set-cookie",
  "strict-transport-security",
  "transfer-encoding",
  "user-agent",
  "vary",
  "via",
  "www-authenticate",
].map((line) => {
  const [key = "", value = ""] = line.split(": ");
  return { key, value };
});

/** What an entry counts for (RFC 7541 4.1). */
function entrySize({ key, value }: Entry): number {
  return key.length + value.length + 32;
}

/** The most recent entries first, as many as fit. */
export class DynamicTable {
  /** Oldest first; entries before `#from` were evicted. */
  #entries: Entry[] = [];
  #from = 0;
  /** Evicted entries that are no longer in the list. */
  #shifted = 0;
  #size = 0;
  #limit: number;
  readonly #evicted: (entry: Entry, number: number) => void;

  /** `evicted` is told each entry that leaves, and its number, counted from 0. */
  constructor(limit: number, evicted: (entry: Entry, number: number) => void = () => {}) {
    this.#limit = limit;
    this.#evicted = evicted;
  }

  get limit(): number {
    return this.#limit;
  }

  /** Entries that are there. */
  get length(): number {
    return this.#entries.length - this.#from;
  }

  /** By HPACK's index behind the static table; 0 is the newest. */
  at(index: number): Entry | undefined {
    return index < this.length ? this.#entries[this.#entries.length - 1 - index] : undefined;
  }

  resize(limit: number): void {
    this.#limit = limit;
    this.#evict(0);
  }

  /** RFC 7541 4.4: an entry that does not fit empties the table, and is not there afterwards. */
  add(entry: Entry): boolean {
    const size = entrySize(entry);
    this.#evict(size);
    if (size > this.#limit) return false;
    this.#entries.push(entry);
    this.#size += size;
    return true;
  }

  #evict(room: number): void {
    while (this.length > 0 && this.#size + room > this.#limit) {
      const oldest = this.#entries[this.#from];
      if (oldest === undefined) break;
      this.#size -= entrySize(oldest);
      this.#evicted(oldest, this.#shifted + this.#from);
      this.#from++;
    }
    if (this.#from < 256) return;
    this.#entries = this.#entries.slice(this.#from);
    this.#shifted += this.#from;
    this.#from = 0;
  }
}
