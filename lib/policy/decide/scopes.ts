/**
 * What tells rules apart that share action, direction and destination: protocol and port.
 *
 * @module
 */

import type { PortRange, Protocol, Rule } from "../model/policy.ts";

/** Greater than every rule index, so that the smallest index of several is the first match. */
export const NO_RULE = Number.POSITIVE_INFINITY;

/** Below this many port ranges a scan is as quick as a search. */
const FEW = 8;

interface Scope {
  readonly index: number;
  readonly protocols: readonly Protocol[];
  readonly ports: readonly PortRange[];
}

/** Rules of one destination, added in policy order. */
export class Scopes {
  readonly #scopes: Scope[] = [];
  #ranges = 0;
  /** Built when first asked for: most destinations have one rule. */
  #tables: Map<Protocol, PortTable> | undefined;
  #lowestUnscoped = NO_RULE;

  add(index: number, rule: Rule): void {
    this.#scopes.push({ index, protocols: rule.protocols, ports: rule.ports });
    this.#ranges += Math.max(1, rule.ports.length);
    this.#tables = undefined;
    if (rule.protocols.length === 0 && rule.ports.length === 0) {
      this.#lowestUnscoped = Math.min(this.#lowestUnscoped, index);
    }
  }

  /** The first rule that applies to the protocol and port; no port is ICMP. */
  first(protocol: Protocol, port: number | undefined): number {
    if (this.#ranges > FEW) return this.#table(protocol).first(port);
    for (const scope of this.#scopes) {
      if (protocolMatches(scope.protocols, protocol) && portMatches(scope.ports, port)) {
        return scope.index;
      }
    }
    return NO_RULE;
  }

  /** The first rule, whatever it is limited to. */
  get lowest(): number {
    return this.#scopes[0]?.index ?? NO_RULE;
  }

  /** The first rule that is limited to no protocol and no port. */
  get lowestUnscoped(): number {
    return this.#lowestUnscoped;
  }

  #table(protocol: Protocol): PortTable {
    const tables = this.#tables ??= new Map();
    let table = tables.get(protocol);
    if (table === undefined) {
      const scopes = this.#scopes.filter((scope) => protocolMatches(scope.protocols, protocol));
      tables.set(protocol, table = new PortTable(scopes));
    }
    return table;
  }
}

export function protocolMatches(protocols: readonly Protocol[], protocol: Protocol): boolean {
  return protocols.length === 0 || protocols.includes(protocol);
}

export function portMatches(ports: readonly PortRange[], port: number | undefined): boolean {
  if (ports.length === 0) return true;
  return port !== undefined && ports.some((range) => range.from <= port && port <= range.to);
}

/** The port space cut at every bound that a rule mentions, with the first rule of each piece. */
class PortTable {
  readonly #starts: readonly number[];
  readonly #first: number[];
  readonly #portless: number;

  constructor(scopes: readonly Scope[]) {
    this.#portless = scopes.find((scope) => scope.ports.length === 0)?.index ?? NO_RULE;
    const bounds = scopes.flatMap((scope) => scope.ports.flatMap(({ from, to }) => [from, to + 1]));
    this.#starts = [...new Set([0, ...bounds])].sort((a, b) => a - b);
    this.#first = this.#starts.map(() => NO_RULE);
    // Each piece is painted once, by the first rule that covers it; `next` skips painted pieces.
    const next = this.#starts.map((_, piece) => piece);
    for (const scope of scopes) {
      for (const { from, to } of scope.ports) {
        const end = this.#pieceOf(to) + 1;
        for (let piece = unpainted(next, this.#pieceOf(from)); piece < end;) {
          this.#first[piece] = scope.index;
          next[piece] = piece + 1;
          piece = unpainted(next, piece);
        }
      }
    }
  }

  first(port: number | undefined): number {
    if (port === undefined) return this.#portless;
    return Math.min(this.#portless, this.#first[this.#pieceOf(port)] ?? NO_RULE);
  }

  /** The last piece that starts at or before the port. */
  #pieceOf(port: number): number {
    let low = 0;
    let high = this.#starts.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((this.#starts[middle] ?? 0) <= port) low = middle;
      else high = middle - 1;
    }
    return low;
  }
}

function unpainted(next: number[], piece: number): number {
  let root = piece;
  while (root < next.length && next[root] !== root) root = next[root] ?? root;
  for (let at = piece; at < root;) {
    const following = next[at] ?? root;
    next[at] = root;
    at = following;
  }
  return root;
}
