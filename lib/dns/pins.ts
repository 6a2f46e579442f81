/**
 * Which names were answered with which addresses: what domain rules match flows by.
 *
 * Only answers of host-chosen resolvers get here. A pin lives for max(TTL, 10 minutes): shorter
 * floors break clients that cache longer than they were told, and a longer one only re-opens an
 * address that the name really had. Answers add to a name's addresses and never replace them,
 * because rotating services hand out a part at a time.
 *
 * @module
 */
import type { PinTable } from "../policy/policy.ts";

const FLOOR_MS = 10 * 60_000;
/** A TTL is the name's owner's wish; a day is more than any sandbox needs. */
const CEILING_MS = 24 * 3_600_000;
const MAX_NAMES = 4096;
const MAX_ADDRESSES = 64;

export class Pins implements PinTable {
  /** Names by last use, each with its addresses and when they expire. */
  readonly #names = new Map<string, Map<string, number>>();
  readonly #addresses = new Map<string, Set<string>>();
  /** Flows that use an address keep its pins alive. */
  readonly #held = new Map<string, number>();
  readonly #now: () => number;

  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** Records that a name was answered with an address. Both canonical. */
  learn(name: string, address: string, ttlSeconds: number): void {
    const life = Math.min(CEILING_MS, Math.max(FLOOR_MS, ttlSeconds * 1000));
    const addresses = this.#names.get(name) ?? new Map<string, number>();
    this.#names.delete(name);
    this.#names.set(name, addresses);
    const before = addresses.get(address) ?? 0;
    addresses.delete(address);
    addresses.set(address, Math.max(before, this.#now() + life));
    for (const oldest of addresses.keys()) {
      if (addresses.size <= MAX_ADDRESSES) break;
      this.#forget(name, addresses, oldest);
    }
    const names = this.#addresses.get(address) ?? new Set<string>();
    this.#addresses.set(address, names.add(name));
    for (const oldest of this.#names.keys()) {
      if (this.#names.size <= MAX_NAMES) break;
      this.#forgetName(oldest);
    }
  }

  *namesOf(address: string): Iterable<string> {
    for (const name of this.#addresses.get(address) ?? []) if (this.has(name, address)) yield name;
  }

  has(name: string, address: string): boolean {
    const addresses = this.#names.get(name);
    const expires = addresses?.get(address);
    if (addresses === undefined || expires === undefined) return false;
    if (expires > this.#now() || this.#held.has(address)) return true;
    this.#forget(name, addresses, address);
    return false;
  }

  /** A flow to the address began. */
  hold(address: string): void {
    this.#held.set(address, (this.#held.get(address) ?? 0) + 1);
  }

  /** A flow to the address ended. */
  release(address: string): void {
    const count = (this.#held.get(address) ?? 0) - 1;
    if (count > 0) this.#held.set(address, count);
    else this.#held.delete(address);
  }

  #forgetName(name: string): void {
    const addresses = this.#names.get(name) ?? new Map<string, number>();
    for (const address of [...addresses.keys()]) this.#forget(name, addresses, address);
    this.#names.delete(name);
  }

  #forget(name: string, addresses: Map<string, number>, address: string): void {
    addresses.delete(address);
    if (addresses.size === 0) this.#names.delete(name);
    const names = this.#addresses.get(address);
    names?.delete(name);
    if (names?.size === 0) this.#addresses.delete(address);
  }
}
