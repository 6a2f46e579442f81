/**
 * Rules that allow what passes without them: whoever writes one under a policy that allows by default most
 * likely means an allow list. What each would open is played through with it and without. Pure.
 *
 * Verdicts change only at the edges of blocks, groups and ports that stand in rules, so one flow inside
 * each of them speaks for all.
 *
 * @module
 */
import {
  type Address,
  addressOf,
  type Cidr,
  cidrHas,
  parseAddress,
  parseCidr,
} from "../base/address.ts";
import { nameHasSuffix } from "../base/name.ts";
import { compilePolicy } from "../policy/decide/compile.ts";
import { groupBlocks, GROUPS } from "../policy/model/groups.ts";
import type { Destination, Policy, Protocol, Rule } from "../policy/model/policy.ts";
import { type Hypothetical, hypotheticalFlow } from "./hypothetical.ts";
import { type Outcome, type Resolution, simulate, simulateName, withPins } from "./simulate.ts";
import type { Snapshot } from "./snapshot.ts";

/** In no group, and nobody's. */
const SOMEWHERE = ["192.0.2.1", "2001:db8::1"];

/** Some that are judged in ways of their own, where a rule names no ports. */
const PORTS = [22, 53, 80, 443, 853];

/**
 * Of the first `count` rules, which stand before those of a policy, the indexes of those that allow
 * nothing that would not pass without all of these that allow. None under a policy that denies by
 * default, where rules that allow are what they seem.
 */
export function uselessAllows(snapshot: Snapshot, count: number): number[] {
  const { policy } = snapshot.compiled;
  if (policy.defaults.outbound !== "allow") return [];
  const isOwn = (rule: Rule, index: number) => index < count && rule.action === "allow";
  const under = (kept: number | null) => {
    const rules = policy.rules.filter((rule, index) => index === kept || !isOwn(rule, index));
    return { ...snapshot, compiled: compilePolicy({ ...policy, rules }) };
  };
  const without = under(null);
  return policy.rules.flatMap((rule, index) => {
    if (!isOwn(rule, index) || rule.direction !== "outbound") return [];
    const alone = under(index);
    return isOpen(alone, without, rule) ? [index] : [];
  });
}

/** Whether what the rule is about passes under the second, and as under the first in every part. */
function isOpen(one: Snapshot, other: Snapshot, rule: Rule): boolean {
  let passes = false;
  for (const [alone, without] of verdicts(one, other, rule)) {
    if (alone !== without) return false;
    passes ||= without === "allow";
  }
  return passes;
}

type Verdict = Outcome["verdict"];

/** Of everything that the rule is about, under both. */
function* verdicts(one: Snapshot, other: Snapshot, rule: Rule): Generator<[Verdict, Verdict]> {
  const names = namesOf(one.compiled.policy, rule.destination);
  for (const address of addressesOf(one, rule.destination)) {
    if (names.length === 0) {
      for (const flow of flowsTo(one, rule, address)) {
        yield [verdict(one, flow), verdict(other, flow)];
      }
    }
    for (const name of names) yield* named(one, other, rule, name, address);
  }
}

/** A name's question that this answers, and what follows it. */
function* named(
  one: Snapshot,
  other: Snapshot,
  rule: Rule,
  name: string,
  { text }: Address,
): Generator<[Verdict, Verdict]> {
  const [first, second] = [simulateName(one, name, [text]), simulateName(other, name, [text])];
  if (first.kind !== "answered" || second.kind !== "answered") {
    yield [resolved(first), resolved(second)];
    return;
  }
  for (const { address } of first.pins) {
    for (const flow of flowsTo(one, rule, parseAddress(address))) {
      const stating = { ...flow, name };
      yield [
        verdict(withPins(one, first.pins), stating),
        verdict(withPins(other, second.pins), stating),
      ];
    }
  }
}

function resolved({ kind }: Resolution): Verdict {
  return kind === "answered" ? "allow" : "deny";
}

function verdict(snapshot: Snapshot, flow: Hypothetical): Verdict {
  return simulate(snapshot, hypotheticalFlow(snapshot, flow)).verdict;
}

/** The names that a rule is about, as far as others could tell them apart. */
function namesOf({ rules }: Policy, destination: Destination): readonly string[] {
  if (destination.kind === "domain") return [destination.name];
  if (destination.kind !== "suffix") return [];
  const { suffix } = destination;
  const others = rules.flatMap(({ destination: other }) =>
    other.kind === "domain" ? [other.name] : other.kind === "suffix" ? [other.suffix] : []
  );
  const below = others.filter((name) => nameHasSuffix(name, suffix));
  return [...new Set([suffix, `any.${suffix}`, ...below])];
}

/** One of each block that is special to somebody, as far as the destination has them. */
function addressesOf(snapshot: Snapshot, destination: Destination): readonly Address[] {
  const { compiled: { policy }, hosts, links } = snapshot;
  const blocks: readonly Cidr[] = [
    ...links,
    ...GROUPS.flatMap(groupBlocks),
    ...policy.rules.flatMap((rule) =>
      rule.destination.kind === "cidr" ? parseCidr(rule.destination.cidr) ?? [] : []
    ),
  ];
  const machine = [...hosts].flatMap((text) => parseAddress(text) ?? []);
  const all = [
    ...SOMEWHERE.flatMap((text) => parseAddress(text) ?? []),
    ...machine,
    ...blocks.map(({ bytes }) => addressOf(bytes)),
    // The first address of a block can be another block of its own, and the second is not.
    ...blocks.map(({ bytes }) => addressOf(bytes.with(-1, (bytes.at(-1) ?? 0) | 1))),
  ];
  const within = withinOf(snapshot, destination);
  const found = new Map(all.filter(within).map((address) => [address.text, address]));
  return [...found.values()];
}

function withinOf(
  { hosts, links }: Snapshot,
  destination: Destination,
): (address: Address) => boolean {
  if (destination.kind === "cidr") {
    const block = parseCidr(destination.cidr);
    return (address) => block !== null && cidrHas(block, address);
  }
  if (destination.kind !== "group") return () => true;
  const { group } = destination;
  if (group === "host") return ({ text }) => hosts.has(text);
  const blocks = group === "local-network" ? links : groupBlocks(group);
  return (address) => blocks.some((block) => cidrHas(block, address));
}

/** One for each protocol and port that the rule, or one after it, could tell apart. */
function flowsTo(
  { compiled: { policy } }: Snapshot,
  { protocols, ports }: Rule,
  address: Address | null,
): Hypothetical[] {
  if (address === null) return [];
  const edges = policy.rules.flatMap((rule) => rule.ports.flatMap(({ from, to }) => [from, to]));
  const isMeant = (port: number) =>
    ports.length === 0 || ports.some(({ from, to }) => from <= port && port <= to);
  const some = new Set([...PORTS, ...edges].filter(isMeant));
  const icmp: Protocol = address.family === 6 ? "icmpv6" : "icmpv4";
  const spoken = (["tcp", "udp", icmp] as const)
    .filter((protocol) => protocols.length === 0 || protocols.includes(protocol));
  return spoken.flatMap((protocol): Hypothetical[] => {
    const flow = { direction: "outbound", protocol, address: address.text } as const;
    if (protocol === icmp) return ports.length === 0 ? [flow] : [];
    return [...some].map((port) => ({ ...flow, port }));
  });
}
