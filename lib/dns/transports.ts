/**
 * Other ways than port 53 to ask for names. They would go past the filter, so they are refused at
 * once: clients fall back to plain DNS, which sbx answers.
 *
 * @module
 */
import { parseAddress } from "../base/address.ts";
import type { Protocol } from "../policy/model/policy.ts";
import { dohOperator } from "./doh_endpoints.ts";

/** By protocol and port. */
const TRANSPORTS: ReadonlyMap<string, string> = new Map([
  ["tcp/853", "DNS over TLS"], // RFC 7858
  ["udp/853", "DNS over QUIC"], // RFC 9250, and DNS over DTLS
  ["udp/784", "DNS over QUIC"], // its drafts' ports, still in use
  ["udp/8853", "DNS over QUIC"],
  ["udp/5353", "mDNS"], // RFC 6762
  ["tcp/5353", "mDNS"],
  ["udp/5355", "LLMNR"], // RFC 4795
  ["tcp/5355", "LLMNR"],
  ["udp/137", "NetBIOS name service"], // RFC 1002
  ["tcp/137", "NetBIOS name service"],
]);

/** The transport's name, or null when the flow is none of them. */
export function nameTransport(protocol: Protocol, port: number): string | null {
  return TRANSPORTS.get(`${protocol}/${port}`) ?? null;
}

/** Ports on which the known services answer over HTTPS, HTTP/3 included. */
const HTTPS_PORTS: ReadonlySet<number> = new Set([443, 8443]);

/** What to call the flow when it leads to a known DNS-over-HTTPS service; else null. */
export function dohTransport(protocol: Protocol, address: string, port: number): string | null {
  if ((protocol !== "tcp" && protocol !== "udp") || !HTTPS_PORTS.has(port)) return null;
  const parsed = parseAddress(address);
  const operator = parsed === null ? null : dohOperator(parsed);
  return operator === null ? null : `DNS over HTTPS (${operator})`;
}
