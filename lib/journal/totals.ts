/**
 * What a journal adds up to, host by host.
 *
 * @module
 */
import { fieldOf, type JournalRecord } from "./format.ts";
import { isRefusal, partyOf } from "./record.ts";

export interface HostTotals {
  readonly host: string;
  /** Flows that reached it. */
  readonly flows: number;
  readonly requests: number;
  /** Bytes of the guest to it, and back, of the flows that ended. */
  readonly up: number;
  readonly down: number;
  /** Flows, names and requests that were refused. */
  readonly denied: number;
}

/** A guest chooses how many names it asks for; the rest are counted together. */
const MAX_HOSTS = 10_000;

/** The row of those that found no place of their own. */
export const OTHERS = "(others)";

export class Totals {
  readonly #rows = new Map<string, { -readonly [K in keyof HostTotals]: HostTotals[K] }>();

  add(record: JournalRecord): void {
    const host = partyOf(record);
    if (host === undefined) return;
    const refused = isRefusal(record);
    if (record.event === "dns" && !refused) return; // that a name was asked for is no traffic
    // What they are about has lines of its own.
    if (record.event === "secret" || record.event === "secret-violation") return;
    const row = this.#row(host);
    if (refused) row.denied++;
    if (record.event === "opened") row.flows++;
    if (record.event === "request") row.requests++;
    if (record.event === "closed") {
      row.up += fieldOf(record, "up") ?? 0;
      row.down += fieldOf(record, "down") ?? 0;
    }
  }

  /** The most traffic first, then the most refusals. */
  get hosts(): readonly HostTotals[] {
    return [...this.#rows.values()].sort((a, b) =>
      b.up + b.down - a.up - a.down || b.denied - a.denied || (a.host < b.host ? -1 : 1)
    );
  }

  #row(host: string) {
    const key = this.#rows.has(host) || this.#rows.size < MAX_HOSTS ? host : OTHERS;
    let row = this.#rows.get(key);
    if (row === undefined) {
      row = { host: key, flows: 0, requests: 0, up: 0, down: 0, denied: 0 };
      this.#rows.set(key, row);
    }
    return row;
  }
}
