/**
 * What one rule takes away from another that comes after it: containment of destinations, and
 * overlap of directions, protocols and ports.
 *
 * @module
 */

import { cidrHas, parseCidr } from "../base/address.ts";
import { groupBlocks, GROUPS } from "./groups.ts";
import { suffixesOf } from "./name_set.ts";
import type { Destination, PortRange, Protocol, Rule } from "./policy.ts";
import { formatPorts, formatProtocols, PROTOCOLS } from "./ports.ts";

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

/** The keys of all destinations that contain this one, itself included. */
export function* coveringKeys(destination: Destination): Generator<string, void> {
  yield "any";
  if (destination.kind !== "any") yield keyOf(destination);
  if (destination.kind === "domain") {
    for (const suffix of suffixesOf(destination.name)) yield `suffix ${suffix}`;
  } else if (destination.kind === "suffix") {
    for (const suffix of suffixesOf(destination.suffix)) {
      if (suffix !== destination.suffix) yield `suffix ${suffix}`;
    }
  } else if (destination.kind === "cidr") {
    const block = parseCidr(destination.cidr);
    if (block === null) return;
    const [address = ""] = block.text.split("/");
    for (let prefix = block.prefix - 1; prefix >= 0; prefix--) {
      yield `cidr ${parseCidr(`${address}/${prefix}`)?.text ?? ""}`;
    }
    for (const group of GROUPS) {
      const inside = groupBlocks(group).some((member) =>
        member.prefix <= block.prefix && cidrHas(member, block)
      );
      if (inside) yield `group ${group}`;
    }
  }
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
