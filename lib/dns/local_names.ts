/**
 * Names that are answered here and never asked for outside: they mean something on one machine or
 * one network only, and asking would tell strangers about it.
 *
 * @module
 */
import { nameHasSuffix } from "../base/name.ts";
import { Class, Type } from "./wire/codes.ts";
import type { Question, Resource } from "./wire/message.ts";

/** Zones that no public server has. Reverse zones: RFC 6303 §4, RFC 7793 and the ranges' own RFCs. */
const LOCAL_ZONES: ReadonlySet<string> = new Set([
  "local", // multicast DNS, RFC 6762
  "localdomain",
  "home.arpa", // RFC 8375
  "invalid", // RFC 6761
  "onion", // RFC 7686
  "alt", // RFC 9476
  "resolver.arpa", // discovery of encrypted resolvers, RFC 9462: would lead past this filter
  "use-application-dns.net", // where it does not exist, Firefox keeps to the system's resolver
  "0.in-addr.arpa",
  "10.in-addr.arpa",
  "127.in-addr.arpa",
  "254.169.in-addr.arpa",
  "168.192.in-addr.arpa",
  "2.0.192.in-addr.arpa",
  "100.51.198.in-addr.arpa",
  "113.0.203.in-addr.arpa",
  "255.255.255.255.in-addr.arpa",
  ...range(16, 31).map((octet) => `${octet}.172.in-addr.arpa`),
  ...range(64, 127).map((octet) => `${octet}.100.in-addr.arpa`),
  `${"0.".repeat(32)}ip6.arpa`,
  `1.${"0.".repeat(31)}ip6.arpa`,
  "c.f.ip6.arpa", // unique local addresses
  "d.f.ip6.arpa",
  ..."89abcdef".split("").map((nibble) => `${nibble}.e.f.ip6.arpa`), // link and site local
  "8.b.d.0.1.0.0.2.ip6.arpa", // documentation
]);

/** Whether the name is one of the zones or lies in one. */
export function isLocalName(name: string): boolean {
  if (LOCAL_ZONES.has(name)) return true;
  for (let dot = name.indexOf("."); dot >= 0; dot = name.indexOf(".", dot + 1)) {
    if (LOCAL_ZONES.has(name.slice(dot + 1))) return true;
  }
  return false;
}

/** This host itself, and that only (RFC 6761 §6.3). */
export function isLocalhost(name: string): boolean {
  return nameHasSuffix(name, "localhost");
}

const LOOPBACK: ReadonlyMap<number, Uint8Array> = new Map([
  [Type.A, Uint8Array.of(127, 0, 0, 1)],
  [Type.AAAA, Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1)],
]);

/** What is known of `localhost` and the names below it. */
export function localhostRecords({ name, type }: Question): Resource[] {
  const data = LOOPBACK.get(type);
  return data === undefined ? [] : [{ name, type, class: Class.IN, ttl: 3600, data }];
}

/**
 * Whether the question is one that a stub resolver asks for a bare host name (`intranet`, `wpad`).
 * On the public net one label is a top-level domain, which has no addresses to speak of; on the
 * host's network it is a neighbour, and its resolver may know it.
 */
export function isBareHost(name: string, type: number): boolean {
  return name !== "" && !name.includes(".") && ADDRESS_QUESTIONS.has(type);
}

const ADDRESS_QUESTIONS: ReadonlySet<number> = new Set([
  Type.A,
  Type.AAAA,
  Type.SVCB,
  Type.HTTPS,
  Type.ANY,
]);

function range(first: number, last: number): number[] {
  return Array.from({ length: last - first + 1 }, (_, index) => first + index);
}
