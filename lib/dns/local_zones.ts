/**
 * Names that are never asked for outside: they mean something on this machine or its network only,
 * and asking would tell strangers about it (RFC 6303, RFC 6761, RFC 6762).
 *
 * @module
 */
import { nameHasSuffix } from "../base/name.ts";

const LOCAL_SUFFIXES = [
  "localhost",
  "local",
  "localdomain",
  "home.arpa",
  "invalid",
  "onion",
  "10.in-addr.arpa",
  "168.192.in-addr.arpa",
  "254.169.in-addr.arpa",
  "127.in-addr.arpa",
  "0.in-addr.arpa",
  "255.255.255.255.in-addr.arpa",
  "d.f.ip6.arpa",
  "8.e.f.ip6.arpa",
  "9.e.f.ip6.arpa",
  "a.e.f.ip6.arpa",
  "b.e.f.ip6.arpa",
];

/** 16 to 31 of 172, 64 to 127 of 100. */
const RANGES = [/^(?:.*\.)?(\d+)\.172\.in-addr\.arpa$/, /^(?:.*\.)?(\d+)\.100\.in-addr\.arpa$/];
const BOUNDS = [[16, 31], [64, 127]] as const;

/** Whether the canonical name stays on this machine. Names of one label always do. */
export function isLocalName(name: string): boolean {
  if (!name.includes(".")) return true;
  if (LOCAL_SUFFIXES.some((suffix) => nameHasSuffix(name, suffix))) return true;
  return RANGES.some((range, index) => {
    const octet = Number(range.exec(name)?.[1] ?? -1);
    const [low, high] = BOUNDS[index] ?? [1, 0];
    return octet >= low && octet <= high;
  });
}

/** Whether the name is this host's loopback (RFC 6761 6.3). */
export function isLocalhost(name: string): boolean {
  return nameHasSuffix(name, "localhost");
}
