/**
 * IP addresses and CIDR blocks as values: parsed once, canonical ever after. IPv4-mapped IPv6 is
 * folded to IPv4, because that is where the kernel sends it.
 *
 * @module
 */
import ipaddr from "ipaddr.js";

export interface Address {
  readonly family: 4 | 6;
  /** Dotted quad, or RFC 5952 text. Two equal addresses have equal text. */
  readonly text: string;
  /** 4 or 16 bytes in network order. */
  readonly bytes: Uint8Array;
}

export interface Cidr {
  readonly family: 4 | 6;
  /** Canonical `address/prefix` with the host bits cleared. */
  readonly text: string;
  readonly bytes: Uint8Array;
  readonly prefix: number;
}

/** No leading zeros and no short forms: `010.1` is a different host to different parsers. */
const OCTET = "(?:25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)";
const DOTTED = new RegExp(`^${OCTET}(?:\\.${OCTET}){3}$`);

/** Parses strict text without zone, brackets or port; null for anything else. */
export function parseAddress(text: string): Address | null {
  if (DOTTED.test(text)) return addressOf(Uint8Array.from(text.split("."), Number));
  if (text.length > 45 || !text.includes(":") || text.includes("%")) return null;
  const groups = hexTail(text);
  if (groups === null || !ipaddr.IPv6.isValid(groups)) return null;
  return addressOf(Uint8Array.from(ipaddr.IPv6.parse(groups).toByteArray()));
}

/** A dotted tail in hexadecimal groups: the library reads `::1.2.3.4` as `::ffff:1.2.3.4`. */
function hexTail(text: string): string | null {
  const start = text.lastIndexOf(":") + 1;
  const dotted = text.slice(start);
  if (!dotted.includes(".")) return text;
  if (!DOTTED.test(dotted)) return null;
  const [a = 0, b = 0, c = 0, d = 0] = dotted.split(".").map(Number);
  return `${text.slice(0, start)}${(a << 8 | b).toString(16)}:${(c << 8 | d).toString(16)}`;
}

/** The address of 4 or 16 bytes; an IPv4-mapped one becomes IPv4. */
export function addressOf(bytes: Uint8Array): Address {
  if (bytes.length === 4) return { family: 4, text: bytes.join("."), bytes };
  if (startsWith(bytes, MAPPED)) return addressOf(bytes.slice(12));
  return { family: 6, text: new ipaddr.IPv6([...bytes]).toRFC5952String(), bytes };
}

/** ::ffff:0:0/96. */
const MAPPED = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff];

function startsWith(bytes: Uint8Array, prefix: readonly number[]): boolean {
  return prefix.every((byte, index) => bytes[index] === byte);
}

/**
 * Parses `address/prefix`, or an address as the block of itself. Null when malformed, or when bits
 * beyond the prefix are set: `10.0.0.5/8` is more likely a mistake than a wish.
 */
export function parseCidr(text: string): Cidr | null {
  const match = /^([^/]+)(?:\/(0|[1-9]\d{0,2}))?$/.exec(text);
  const address = parseAddress(match?.[1] ?? "");
  if (match === null || address === null) return null;
  const width = address.bytes.length * 8;
  const folded = address.family === 4 && (match[1] ?? "").includes(":") ? 96 : 0;
  const prefix = match[2] === undefined ? width : Number(match[2]) - folded;
  if (prefix < 0 || prefix > width) return null;
  const cleared = keepBits(address.bytes, prefix);
  if (cleared.some((byte, index) => byte !== address.bytes[index])) return null;
  return { family: address.family, text: `${address.text}/${prefix}`, bytes: cleared, prefix };
}

function keepBits(bytes: Uint8Array, prefix: number): Uint8Array {
  return bytes.map((byte, index) => {
    const kept = Math.min(8, Math.max(0, prefix - index * 8));
    return byte & (0xff00 >> kept);
  });
}

/** Whether the address lies in the block. Families never match across. */
export function cidrHas(cidr: Cidr, address: Address): boolean {
  if (cidr.family !== address.family) return false;
  const whole = cidr.prefix >> 3;
  for (let i = 0; i < whole; i++) if (cidr.bytes[i] !== address.bytes[i]) return false;
  const rest = cidr.prefix & 7;
  if (rest === 0) return true;
  const mask = (0xff00 >> rest) & 0xff;
  return ((cidr.bytes[whole] ?? 0) & mask) === ((address.bytes[whole] ?? 0) & mask);
}

/**
 * The IPv4 address that a translator or tunnel would reach through this IPv6 address, or null:
 * NAT64 (RFC 6052 well-known prefix), 6to4 (RFC 3056), Teredo (RFC 4380, stored inverted),
 * IPv4-compatible (RFC 4291), IPv4-translated (RFC 2765) and ISATAP (RFC 5214).
 */
export function embeddedIPv4(address: Address): Address | null {
  const { bytes } = address;
  if (address.family === 4) return null;
  if (startsWith(bytes, [0, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0])) return tail(bytes);
  if (startsWith(bytes, [0x20, 0x02])) return addressOf(bytes.slice(2, 6));
  if (startsWith(bytes, [0x20, 0x01, 0, 0])) return addressOf(bytes.slice(12).map((b) => b ^ 0xff));
  if (startsWith(bytes, [0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0])) return tail(bytes);
  const isatap = ((bytes[8] ?? 0) & 0xfd) === 0 && bytes[9] === 0 && bytes[10] === 0x5e &&
    bytes[11] === 0xfe;
  if (isatap) return tail(bytes);
  const compatible = startsWith(bytes, new Array(12).fill(0)) && (bytes[12] ?? 0) !== 0;
  return compatible ? tail(bytes) : null;
}

function tail(bytes: Uint8Array): Address {
  return addressOf(bytes.slice(12));
}

/** `address:port`, with brackets around IPv6. */
export function formatEndpoint(address: string, port: number): string {
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}
