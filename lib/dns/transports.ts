/**
 * Other ways than port 53 to ask for names. They would go past the filter, so they are refused at
 * once: clients fall back to plain DNS, which sbx answers.
 *
 * @module
 */
import type { Protocol } from "../policy/policy.ts";

/** By protocol and port: DNS over TLS (RFC 7858), over QUIC (RFC 9250), and the LAN's own. */
const TRANSPORTS: ReadonlyMap<string, string> = new Map([
  ["tcp/853", "DNS over TLS"],
  ["udp/853", "DNS over QUIC"],
  ["udp/8853", "DNS over QUIC"],
  ["udp/784", "DNS over QUIC"],
  ["udp/5353", "mDNS"],
  ["udp/5355", "LLMNR"],
  ["tcp/5355", "LLMNR"],
  ["udp/137", "NetBIOS name service"],
]);

/** The transport's name, or null when the flow is none of them. */
export function nameTransport(protocol: Protocol, port: number): string | null {
  return TRANSPORTS.get(`${protocol}/${port}`) ?? null;
}
