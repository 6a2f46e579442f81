/**
 * The index over a policy's rules that makes the cost of a verdict independent of their number.
 *
 * Rules are split by direction and action, then filed under their destination. First match wins, so
 * every lookup answers with the smallest rule index it finds, and the smallest of all decides.
 *
 * @module
 */

import { type Cidr, parseCidr } from "../../base/address.ts";
import { groupBlocks } from "../model/groups.ts";
import { suffixesOf } from "../model/name_set.ts";
import type { Action, Destination, Direction, Policy, Protocol, Rule } from "../model/policy.ts";
import { PrefixIndex } from "./prefix_index.ts";
import { NO_RULE, Scopes } from "./scopes.ts";

export interface CompiledPolicy {
  readonly policy: Policy;
  readonly outbound: Side;
  readonly inbound: Side;
}

/** The rules of one direction. */
export interface Side {
  readonly allow: RuleIndex;
  readonly deny: RuleIndex;
  readonly default: Action;
}

export function compilePolicy(policy: Policy): CompiledPolicy {
  const side = (direction: Direction): Side => ({
    allow: new RuleIndex(),
    deny: new RuleIndex(),
    default: policy.network ? policy.defaults[direction] : "deny",
  });
  const compiled = { policy, outbound: side("outbound"), inbound: side("inbound") };
  policy.rules.forEach((rule, index) => {
    if (rule.direction !== "inbound") compiled.outbound[rule.action].add(index, rule);
    if (rule.direction !== "outbound") compiled.inbound[rule.action].add(index, rule);
  });
  return compiled;
}

/** Rules of one direction and action, by destination. */
export class RuleIndex {
  readonly any = new Scopes();
  readonly host = new Scopes();
  readonly localNetwork = new Scopes();
  /** Every rule about a domain or suffix. */
  readonly names = new Scopes();
  readonly #domains = new Map<string, Scopes>();
  readonly #suffixes = new Map<string, Scopes>();
  readonly #blocks = { 4: new PrefixIndex<Scopes>(), 6: new PrefixIndex<Scopes>() };
  #hasNames = false;

  add(index: number, rule: Rule): void {
    for (const scopes of this.#placesOf(rule.destination)) scopes.add(index, rule);
  }

  get hasNames(): boolean {
    return this.#hasNames;
  }

  /** The first rule whose block, of `least` bits or more, covers the address. */
  firstByAddress(
    address: { readonly family: 4 | 6; readonly bytes: Uint8Array },
    protocol: Protocol,
    port: number | undefined,
    least = 0,
  ): number {
    let first = NO_RULE;
    for (const scopes of this.#blocks[address.family].covering(address.bytes, least)) {
      first = Math.min(first, scopes.first(protocol, port));
    }
    return first;
  }

  /** The first rule about this name. */
  firstByName(name: string, protocol: Protocol, port: number | undefined): number {
    return this.#leastOfName(name, (scopes) => scopes.first(protocol, port));
  }

  /** The first rule about this name, whatever protocol and port it is limited to. */
  lowestByName(name: string): number {
    return this.#leastOfName(name, (scopes) => scopes.lowest);
  }

  /** The first rule about this name that is limited to no protocol and no port. */
  lowestUnscopedByName(name: string): number {
    return this.#leastOfName(name, (scopes) => scopes.lowestUnscoped);
  }

  #leastOfName(name: string, pick: (scopes: Scopes) => number): number {
    if (!this.#hasNames) return NO_RULE;
    const exact = this.#domains.get(name);
    let first = exact === undefined ? NO_RULE : pick(exact);
    if (this.#suffixes.size === 0) return first;
    for (const suffix of suffixesOf(name)) {
      const scopes = this.#suffixes.get(suffix);
      if (scopes !== undefined) first = Math.min(first, pick(scopes));
    }
    return first;
  }

  #placesOf(destination: Destination): Scopes[] {
    switch (destination.kind) {
      case "any":
        return [this.any];
      case "group":
        if (destination.group === "host") return [this.host];
        if (destination.group === "local-network") return [this.localNetwork];
        return groupBlocks(destination.group).map((block) => this.#block(block));
      case "cidr":
        return [this.#block(blockOf(destination.cidr))];
      case "domain":
        this.#hasNames = true;
        return [this.names, slot(this.#domains, destination.name)];
      case "suffix":
        this.#hasNames = true;
        return [this.names, slot(this.#suffixes, destination.suffix)];
    }
  }

  #block(block: Cidr): Scopes {
    return this.#blocks[block.family].at(block, () => new Scopes());
  }
}

function slot(scopes: Map<string, Scopes>, key: string): Scopes {
  let found = scopes.get(key);
  if (found === undefined) scopes.set(key, found = new Scopes());
  return found;
}

function blockOf(text: string): Cidr {
  const block = parseCidr(text);
  if (block === null) throw new TypeError(`Cannot compile the policy: ${text} is no block`);
  return block;
}
