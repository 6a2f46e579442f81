/**
 * Ports and protocols as a person writes them: `443`, `8000-8010`, `80,443`; `tcp`, `tcp,udp`, `icmp`.
 *
 * @module
 */

import { PolicyFault, quote, unknownWord } from "../text/fault.ts";
import type { Action, Destination, PortRange, Protocol } from "./policy.ts";

export const PROTOCOLS: readonly Protocol[] = ["tcp", "udp", "icmpv4", "icmpv6"];

/** What may stand where a protocol is expected: `icmp` is both of its versions. */
export const PROTOCOL_WORDS: readonly string[] = [...PROTOCOLS, "icmp"];

const MAX_PORT = 65_535;

/** Reads a list of ports and inclusive ranges, separated by commas. */
export function readPorts(text: string): PortRange[] {
  return text.split(",").map((part) => {
    const range = /^\s*([0-9]{1,9})(?:\s*-\s*([0-9]{1,9}))?\s*$/.exec(part);
    if (range === null) {
      throw new PolicyFault(
        `${quote(part)} is no port`,
        "write ports like 443, 8000-8010 or 80,443",
      );
    }
    const from = Number(range[1]);
    return portRange(from, range[2] === undefined ? from : Number(range[2]));
  });
}

/** A checked range of ports, inclusive. */
export function portRange(from: number, to: number): PortRange {
  for (const port of [from, to]) {
    if (!Number.isInteger(port) || port < 1 || port > MAX_PORT) {
      throw new PolicyFault(
        `port ${port} is out of range`,
        `use a port from 1 to ${MAX_PORT}, or leave the ports out to mean every port`,
      );
    }
  }
  if (from > to) {
    throw new PolicyFault(`the range ${from}-${to} is empty`, `write ${to}-${from}`);
  }
  return { from, to };
}

/** Reads protocols separated by commas. `any` stands for the empty list, which is every protocol. */
export function readProtocols(text: string): Protocol[] {
  if (text === "any") return [];
  return distinct(text.split(",").flatMap((word) => readProtocol(word)));
}

/** Reads one protocol word; `icmp` gives two protocols. */
export function readProtocol(word: string): Protocol[] {
  const lower = word.toLowerCase();
  if (lower === "icmp") return ["icmpv4", "icmpv6"];
  const protocol = PROTOCOLS.find((known) => known === lower);
  if (protocol === undefined) throw unknownWord("protocol", word, PROTOCOL_WORDS);
  return [protocol];
}

/** Refuses what would make a rule that no flow can ever match, wherever it was written. */
export function checkScope(
  action: Action,
  destination: Destination,
  { protocols, ports }: {
    readonly protocols: readonly Protocol[];
    readonly ports: readonly PortRange[];
  },
): void {
  if (protocols.length === 0) return;
  if (ports.length > 0 && protocols.every(isIcmp)) {
    throw new PolicyFault(
      `it can never match: ${formatProtocols(protocols)} has no ports`,
      "leave the ports out, or name tcp or udp",
    );
  }
  if (destination.kind !== "cidr") return;
  const [other, right, family] = destination.cidr.includes(":")
    ? ["icmpv4", "icmpv6", "IPv6"] as const
    : ["icmpv6", "icmpv4", "IPv4"] as const;
  // A deny of IPv4 also sees the IPv4 address inside an IPv6 one, over ICMPv6 too.
  if (action === "deny" && other === "icmpv6") return;
  if (protocols.every((protocol) => protocol === other)) {
    throw new PolicyFault(
      `it can never match: ${other} does not go to ${family} addresses`,
      `name ${right}`,
    );
  }
}

function isIcmp(protocol: Protocol): boolean {
  return protocol === "icmpv4" || protocol === "icmpv6";
}

export function distinct(protocols: readonly Protocol[]): Protocol[] {
  return [...new Set(protocols)];
}

export function formatPorts(ports: readonly PortRange[]): string {
  return ports.map(({ from, to }) => from === to ? `${from}` : `${from}-${to}`).join(",");
}

/** The shortest text that {@link readProtocols} reads back; `any` for the empty list. */
export function formatProtocols(protocols: readonly Protocol[]): string {
  if (protocols.length === 0) return "any";
  if (protocols.length === 2 && protocols[0] === "icmpv4" && protocols[1] === "icmpv6") {
    return "icmp";
  }
  return protocols.join(",");
}
