/**
 * What one rule takes away from another that comes after it: containment of destinations, and
 * overlap of directions, protocols and ports.
 *
 * @module
 */

import { type Cidr, cidrHas, parseCidr } from "../../base/address.ts";
import { groupBlocks, GROUPS } from "../model/groups.ts";
import { suffixesOf } from "../model/name_set.ts";
import type { Destination, Group, PortRange, Protocol, Rule } from "../model/policy.ts";
import { formatPorts, formatProtocols, PROTOCOLS } from "../model/ports.ts";
import { PrefixIndex } from "./prefix_index.ts";

/** Rules by destination, to be asked for those whose destination contains another one. */
export class EarlierRules {
  readonly #byKey = new Map<string, number[]>();
  readonly #blocks = { 4: new PrefixIndex<number[]>(), 6: new PrefixIndex<number[]>() };

  add(index: number, destination: Destination): void {
    const block = blockOf(destination);
    if (block !== null) this.#blocks[block.family].at(block, () => []).push(index);
    const key = keyOf(destination);
    const same = this.#byKey.get(key);
    if (same === undefined) this.#byKey.set(key, [index]);
    else same.push(index);
  }

  /** The rules whose destination contains the whole of this one, in policy order. */
  containing(destination: Destination): number[] {
    const block = blockOf(destination);
    const found = block === null
      ? []
      : this.#blocks[block.family].covering(block.bytes, 0, block.prefix).flat();
    for (const key of containingKeys(destination)) found.push(...this.#byKey.get(key) ?? []);
    return found.sort((one, other) => one - other);
  }
}

/** Equal for equal destinations. */
export function keyOf(destination: Destination): string {
  switch (destination.kind) {
    case "any":
      return "any";
    case "cidr":
      return `cidr ${destination.cidr}`;
    case "domain":
      return `domain ${destination.name}`;
    case "suffix":
      return `suffix ${destination.suffix}`;
    case "group":
      return `group ${destination.group}`;
  }
}

/** The keys of destinations that contain this one, blocks aside. */
function* containingKeys(destination: Destination): Generator<string, void> {
  yield "any";
  switch (destination.kind) {
    case "any":
      return;
    case "group":
      yield keyOf(destination);
      return;
    case "domain":
      yield keyOf(destination);
      for (const suffix of suffixesOf(destination.name)) yield `suffix ${suffix}`;
      return;
    case "suffix":
      for (const suffix of suffixesOf(destination.suffix)) yield `suffix ${suffix}`;
      return;
    case "cidr": {
      const block = blockOf(destination);
      for (const group of GROUPS) {
        if (block !== null && isInside(group, block)) yield `group ${group}`;
      }
    }
  }
}

function blockOf(destination: Destination): Cidr | null {
  return destination.kind === "cidr" ? parseCidr(destination.cidr) : null;
}

/**
 * Whether an allow, although it contains the destination, leaves special addresses in it alone
 * (`endpoint.ts`): multicast that it does not name, and addresses that may be the host's.
 */
export function fallsShort(cover: Rule, destination: Destination): boolean {
  if (cover.action === "deny" || keyOf(cover.destination) === keyOf(destination)) return false;
  if (destination.kind === "group") return destination.group === "multicast";
  const block = blockOf(destination);
  if (block === null) return false;
  if (isInside("multicast", block)) return !names(cover.destination, "multicast");
  if (cover.destination.kind === "any") return false;
  const exact = block.prefix === block.bytes.length * 8;
  return exact || (isInside("loopback", block) && !names(cover.destination, "loopback"));
}

/** Whether the destination is the group or lies inside it. */
function names(destination: Destination, group: Group): boolean {
  if (destination.kind === "group") return destination.group === group;
  const block = blockOf(destination);
  return block !== null && isInside(group, block);
}

function isInside(group: Group, block: Cidr): boolean {
  return groupBlocks(group).some((member) =>
    member.prefix <= block.prefix && cidrHas(member, block)
  );
}

export function coversDirection(cover: Rule, rule: Rule): boolean {
  return cover.direction === "both" || cover.direction === rule.direction;
}

export function meetsDirection(cover: Rule, rule: Rule): boolean {
  return cover.direction === "both" || rule.direction === "both" ||
    cover.direction === rule.direction;
}

/** Whether every protocol and port of `rule` is also one of `cover`. */
export function coversScope(cover: Rule, rule: Rule): boolean {
  const protocols = rule.protocols.length === 0 ? PROTOCOLS : rule.protocols;
  if (cover.protocols.length > 0 && !protocols.every((one) => cover.protocols.includes(one))) {
    return false;
  }
  if (cover.ports.length === 0) return true;
  return rule.ports.length > 0 && rule.ports.every((range) => portsCover(cover.ports, range));
}

/** Whether the union of the ranges contains the range. */
function portsCover(ranges: readonly PortRange[], range: PortRange): boolean {
  let next = range.from;
  for (const { from, to } of [...ranges].sort((one, other) => one.from - other.from)) {
    if (from <= next && to >= next) next = to + 1;
  }
  return next > range.to;
}

/** What both rules are about, as `tcp/443`; null when nothing is. */
export function scopeOverlap(cover: Rule, rule: Rule): string | null {
  const protocols = PROTOCOLS.filter((protocol) =>
    [cover, rule].every((side) => side.protocols.length === 0 || side.protocols.includes(protocol))
  );
  if (protocols.length === 0) return null;
  const ports = overlap(cover.ports, rule.ports);
  if (ports === null) return null;
  const every = protocols.length === PROTOCOLS.length;
  const words: readonly Protocol[] = every ? [] : protocols;
  if (ports.length === 0) return every ? "everything" : formatProtocols(words);
  return `${formatProtocols(words)}/${formatPorts(ports)}`;
}

/** Ports in both lists, where an empty list is every port; null when there are none. */
function overlap(
  one: readonly PortRange[],
  other: readonly PortRange[],
): readonly PortRange[] | null {
  if (one.length === 0) return other;
  if (other.length === 0) return one;
  const both = one.flatMap((left) =>
    other.flatMap((right) => {
      const range = { from: Math.max(left.from, right.from), to: Math.min(left.to, right.to) };
      return range.from <= range.to ? [range] : [];
    })
  );
  return both.length === 0 ? null : both;
}
