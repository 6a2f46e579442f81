/**
 * IP addresses and blocks in exactly one spelling each.
 *
 * Two texts that reach the same machine must compare equal, or a rule about one is walked around
 * with the other. So parsing is strict (no octal, hex or shortened IPv4, which resolvers and C
 * libraries read in different ways), and an IPv4-mapped IPv6 address *is* its IPv4 address.
 *
 * ipaddr.js reads and spells; what it would read more generously is kept from it.
 *
 * @module
 */
import ipaddr from "ipaddr.js";
import { isIPv4, isIPv6 } from "node:net";

export interface Address {
  readonly family: 4 | 6;
  /** Dotted decimal, or RFC 5952. Equal texts are equal addresses. */
  readonly text: string;
  /** Network order: 4 or 16 bytes. */
  readonly bytes: Uint8Array;
}

/** A block of addresses; host bits are zero. */
export interface Cidr {
  readonly family: 4 | 6;
  /** `address/length`, canonical. */
  readonly text: string;
  readonly bytes: Uint8Array;
  /** Length of the prefix in bits. */
  readonly prefix: number;
}

/**
 * Reads one address, or null. IPv4-mapped IPv6 comes back as IPv4. A zone (`%eth0`) is dropped: it
 * names a link of one machine, not another address.
 */
export function parseAddress(text: string): Address | null {
  // The check admits one spelling only, so the text is canonical already.
  if (isIPv4(text)) return { family: 4, text, bytes: bytesOfIPv4(text) };
  if (!isIPv6(text)) return null;
  const zone = text.indexOf("%");
  const plain = withHexTail(zone < 0 ? text : text.slice(0, zone));
  return addressOf(Uint8Array.from(ipaddr.IPv6.parse(plain).toByteArray()));
}

/** The address of 4 or 16 bytes in network order; an IPv4-mapped one becomes IPv4. */
export function addressOf(bytes: Uint8Array): Address {
  if (bytes.length === 16 && isMapped(bytes)) return addressOf(bytes.slice(12));
  return { family: bytes.length === 4 ? 4 : 6, text: textOf(bytes), bytes };
}

/**
 * Reads `address/length`, or a bare address as the block of just itself; null for anything else.
 * Host bits are cleared. A block inside `::ffff:0:0/96` comes back as the IPv4 block it stands for.
 */
export function parseCidr(text: string): Cidr | null {
  const slash = text.indexOf("/");
  const base = slash < 0 ? text : text.slice(0, slash);
  if (base.includes("%")) return null;
  const address = parseAddress(base);
  if (address === null) return null;
  const width = isIPv4(base) ? 32 : 128;
  const digits = slash < 0 ? String(width) : text.slice(slash + 1);
  if (!/^(?:0|[1-9][0-9]{0,2})$/.test(digits) || Number(digits) > width) return null;
  // A mapped block wider than /96 would take in more than IPv4; nobody means that.
  const prefix = Number(digits) - (width - address.bytes.length * 8);
  if (prefix < 0) return null;
  const bytes = masked(address.bytes, prefix);
  return { family: address.family, text: `${textOf(bytes)}/${prefix}`, bytes, prefix };
}

/** Whether the block contains the address. Families never mix. */
export function cidrHas(cidr: Cidr, address: Address): boolean {
  if (cidr.family !== address.family) return false;
  return commonBits(cidr.bytes, address.bytes) >= cidr.prefix;
}

/** The number of leading bits that two addresses of one family share. */
export function commonBits(one: Uint8Array, other: Uint8Array): number {
  const size = Math.min(one.length, other.length);
  for (let i = 0; i < size; i++) {
    const differing = (one[i] ?? 0) ^ (other[i] ?? 0);
    if (differing !== 0) return i * 8 + Math.clz32(differing) - 24;
  }
  return size * 8;
}

/**
 * The IPv4 address that a translator, relay or tunnel end would deliver this IPv6 address to, or
 * null when it carries none: NAT64 (RFC 6052), 6to4 (RFC 3056), IPv4-compatible (RFC 4291),
 * IPv4-translated (RFC 2765), Teredo (RFC 4380) and ISATAP (RFC 5214).
 */
export function embeddedIPv4(address: Address): Address | null {
  if (address.family === 4) return null;
  const bytes = address.bytes;
  const at = (index: number) => addressOf(bytes.slice(index, index + 4));
  if (startsWith(bytes, NAT64)) return at(12);
  if (startsWith(bytes, SIX_TO_FOUR)) return at(2);
  if (startsWith(bytes, TRANSLATED)) return at(12);
  // Teredo hides the client's address from NATs that rewrite addresses by inverting its bits.
  if (startsWith(bytes, TEREDO)) return addressOf(bytes.slice(12).map((byte) => byte ^ 0xff));
  if (isIsatap(bytes)) return at(12);
  if (startsWith(bytes, COMPATIBLE) && !isUnspecifiedOrLoopback(bytes)) return at(12);
  return null;
}

/** Whether the address is one by which a machine reaches itself alone: 127.0.0.0/8 or ::1. */
export function isLoopback({ family, bytes, text }: Address): boolean {
  return family === 4 ? bytes[0] === 127 : text === "::1";
}

/** `1.2.3.4:80`, `[2001:db8::1]:80`, or the bare address without a port. */
export function formatEndpoint(address: string, port?: number): string {
  if (port === undefined) return address;
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}

const MAPPED = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff];
const NAT64 = [0, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0];
const SIX_TO_FOUR = [0x20, 0x02];
const TRANSLATED = [0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0];
const TEREDO = [0x20, 0x01, 0, 0];
const COMPATIBLE = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

function startsWith(bytes: Uint8Array, prefix: readonly number[]): boolean {
  return prefix.every((byte, index) => bytes[index] === byte);
}

function isMapped(bytes: Uint8Array): boolean {
  return startsWith(bytes, MAPPED);
}

/** Interface identifier `[02]00:5efe:a.b.c.d` under any prefix. */
function isIsatap(bytes: Uint8Array): boolean {
  return ((bytes[8] ?? 0) & 0xfd) === 0 && bytes[9] === 0 && bytes[10] === 0x5e &&
    bytes[11] === 0xfe;
}

/** `::` and `::1` have their own meaning; every other address below `::/96` is IPv4-compatible. */
function isUnspecifiedOrLoopback(bytes: Uint8Array): boolean {
  return bytes[12] === 0 && bytes[13] === 0 && bytes[14] === 0 && (bytes[15] ?? 0) <= 1;
}

function bytesOfIPv4(text: string): Uint8Array {
  return Uint8Array.from(ipaddr.IPv4.parse(text).octets);
}

/** `::1.2.3.4` as `::102:304`: ipaddr.js takes a dotted tail for an IPv4-mapped address. */
function withHexTail(text: string): string {
  if (!text.includes(".")) return text;
  const start = text.lastIndexOf(":") + 1;
  const [a = 0, b = 0, c = 0, d = 0] = bytesOfIPv4(text.slice(start));
  return `${text.slice(0, start)}${(a << 8 | b).toString(16)}:${(c << 8 | d).toString(16)}`;
}

function masked(bytes: Uint8Array, prefix: number): Uint8Array {
  return bytes.map((byte, index) => {
    const kept = Math.min(8, Math.max(0, prefix - index * 8));
    return byte & (0xff << (8 - kept));
  });
}

/** Dotted decimal, or RFC 5952. */
function textOf(bytes: Uint8Array): string {
  return bytes.length === 4 ? bytes.join(".") : new ipaddr.IPv6([...bytes]).toRFC5952String();
}
