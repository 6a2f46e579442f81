/**
 * Values by address prefix, for one address family.
 *
 * Prefixes are filed by length, so a lookup is one hash probe for each length in use (a handful in
 * practice, 33 or 129 at worst), however many prefixes there are. A trie would probe less for few
 * prefixes, but its depth, and the cache misses along it, grow with their number.
 *
 * @module
 */

import type { Cidr } from "../../base/address.ts";

export class PrefixIndex<T> {
  readonly #byLength = new Map<number, Map<number | string, T>>();
  /** Ascending. */
  #lengths: number[] = [];

  /** The value stored for exactly this prefix; `create` makes and stores it when there is none. */
  at(cidr: Cidr, create: () => T): T {
    let values = this.#byLength.get(cidr.prefix);
    if (values === undefined) {
      this.#byLength.set(cidr.prefix, values = new Map());
      this.#lengths = [...this.#byLength.keys()].sort((one, other) => one - other);
    }
    const key = keyOf(cidr.bytes, cidr.prefix);
    let value = values.get(key);
    if (value === undefined) values.set(key, value = create());
    return value;
  }

  /** The values of all stored prefixes of `least` to `most` bits that cover the address. */
  covering(address: Uint8Array, least = 0, most = 128): T[] {
    const found: T[] = [];
    for (const length of this.#lengths) {
      if (length < least || length > most) continue;
      const value = this.#byLength.get(length)?.get(keyOf(address, length));
      if (value !== undefined) found.push(value);
    }
    return found;
  }
}

/** The first `length` bits: a number where they fit, else 16 to a character. */
function keyOf(address: Uint8Array, length: number): number | string {
  if (length <= 32) return length === 0 ? 0 : first32(address) >>> (32 - length);
  let key = "";
  for (let at = 0; at * 8 < length; at += 2) {
    const unit = (address[at] ?? 0) << 8 | (address[at + 1] ?? 0);
    key += String.fromCharCode(unit & (0xffff << Math.max(0, at * 8 + 16 - length)));
  }
  return key;
}

function first32(address: Uint8Array): number {
  const [a = 0, b = 0, c = 0, d = 0] = address;
  return a << 24 | b << 16 | c << 8 | d;
}
