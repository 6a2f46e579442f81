/**
 * Values by address prefix: a path-compressed binary trie for one address family.
 *
 * A lookup visits at most one node per branching of the stored prefixes along the address, so its
 * cost grows with the logarithm of the number of prefixes, not with the number.
 *
 * @module
 */

import { type Cidr, commonBits } from "../base/address.ts";

/** Children hold longer prefixes that start with this node's; `zero` continues with bit 0. */
interface Node<T> {
  readonly bytes: Uint8Array;
  readonly prefix: number;
  value: T | undefined;
  zero: Node<T> | undefined;
  one: Node<T> | undefined;
}

export class PrefixTrie<T> {
  #root: Node<T> | undefined;

  /** The value stored for exactly this prefix; `create` makes and stores it when there is none. */
  at(cidr: Cidr, create: () => T): T {
    const node = this.#nodeAt(cidr);
    node.value ??= create();
    return node.value;
  }

  /** The values of all stored prefixes of `least` bits or more that cover the address. */
  covering(address: Uint8Array, least = 0): T[] {
    const found: T[] = [];
    let node = this.#root;
    while (node !== undefined && commonBits(node.bytes, address) >= node.prefix) {
      if (node.value !== undefined && node.prefix >= least) found.push(node.value);
      if (node.prefix === address.length * 8) break;
      node = bit(address, node.prefix) ? node.one : node.zero;
    }
    return found;
  }

  #nodeAt(cidr: Cidr): Node<T> {
    let parent: Node<T> | undefined;
    let node = this.#root;
    while (node !== undefined) {
      const common = Math.min(commonBits(node.bytes, cidr.bytes), node.prefix, cidr.prefix);
      if (common < node.prefix) break;
      if (node.prefix === cidr.prefix) return node;
      parent = node;
      node = bit(cidr.bytes, node.prefix) ? node.one : node.zero;
    }
    const leaf = newNode<T>(cidr.bytes, cidr.prefix);
    if (node === undefined) {
      this.#attach(parent, leaf);
      return leaf;
    }
    // The stored prefix and the new one part ways, or the new one covers the stored one.
    const common = Math.min(commonBits(node.bytes, cidr.bytes), node.prefix, cidr.prefix);
    const fork = common === cidr.prefix ? leaf : newNode<T>(cidr.bytes, common);
    this.#attach(parent, fork);
    this.#attach(fork, node);
    if (fork !== leaf) this.#attach(fork, leaf);
    return leaf;
  }

  #attach(parent: Node<T> | undefined, child: Node<T>): void {
    if (parent === undefined) this.#root = child;
    else if (bit(child.bytes, parent.prefix)) parent.one = child;
    else parent.zero = child;
  }
}

function newNode<T>(bytes: Uint8Array, prefix: number): Node<T> {
  return { bytes, prefix, value: undefined, zero: undefined, one: undefined };
}

function bit(bytes: Uint8Array, index: number): boolean {
  return (((bytes[index >> 3] ?? 0) >> (7 - (index & 7))) & 1) === 1;
}
