/**
 * What a TLS ClientHello says before anything is encrypted (RFC 8446 4.1.2, RFC 6066 3). Pure.
 *
 * The guest chooses every byte, and a parser that gives up where a server does not is how a name is
 * hidden. So the handshake message is put together from records of any size, whatever begins like a
 * TLS record is TLS, and a server_name that servers could read in two ways is no name at all.
 * `vendor/netstack/internal/flight/hello.go` finds the end of a hello, and
 * `test/vectors/first_flights.json` holds the two together.
 *
 * @module
 */
import { Cursor, Truncated } from "../base/cursor.ts";
import { nameFromWire } from "../base/name.ts";
import {
  CLIENT_HELLO,
  HANDSHAKE,
  isRecord,
  MAX_HELLO,
  MAX_RECORD,
  MESSAGE_HEADER,
  RECORD_HEADER,
} from "./hello_framing.ts";

export interface ClientHello {
  /** Canonical server name; null when the guest stated none. */
  readonly sni: string | null;
  readonly alpn: readonly string[];
  /** Versions as on the wire, 0x0304 for TLS 1.3, preferred first. */
  readonly versions: readonly number[];
  /** Cipher suites as on the wire, preferred first. */
  readonly ciphers: readonly number[];
}

export type HelloParse =
  | { readonly kind: "hello"; readonly hello: ClientHello }
  /** TLS, but so that no name may be taken from it; `why` is for the journal. */
  | { readonly kind: "invalid"; readonly why: string }
  | { readonly kind: "partial" }
  | { readonly kind: "not-tls" };

const Extension = {
  ServerName: 0,
  Alpn: 16,
  SupportedVersions: 43,
} as const;

/** Parses the first bytes of a flow. Never throws. */
export function parseClientHello(bytes: Uint8Array): HelloParse {
  const [type] = bytes;
  if (type === undefined) return { kind: "partial" };
  if (isVersion2(bytes)) return invalid("a ClientHello as of SSLv2");
  if (!isRecord(type)) return { kind: "not-tls" };
  // Some servers skip a warning alert or a change_cipher_spec that comes before the hello.
  if (type !== HANDSHAKE) return invalid("a record before the hello");
  const message = reassemble(bytes);
  if (message === null) return { kind: "partial" };
  if (typeof message === "string") return invalid(message);
  try {
    return parseBody(new Cursor(message));
  } catch (error) {
    if (error instanceof Truncated) return invalid("a length past the end");
    throw error;
  }
}

/** Servers of TLS 1.2 still read such a hello (RFC 5246 E.2), which has no place for a name. */
function isVersion2([length = 0, , type, major]: Uint8Array): boolean {
  return length >= 0x80 && type === CLIENT_HELLO && major === 3;
}

function invalid(why: string): HelloParse {
  return { kind: "invalid", why };
}

/** The handshake message without its header; null while incomplete, a text when malformed. */
function reassemble(bytes: Uint8Array): Uint8Array | string | null {
  const message = new Uint8Array(bytes.length);
  let have = 0;
  for (let at = 0; at < bytes.length;) {
    // The version of a record says nothing: servers ignore it (RFC 8446 5.1).
    if (bytes[at] !== HANDSHAKE) return "a record inside the hello";
    if (bytes.length - at < RECORD_HEADER) return null;
    const size = uint(bytes, at + 3, 2);
    if (size === 0 || size > MAX_RECORD) return "a malformed record";
    const fragment = bytes.subarray(at + RECORD_HEADER, at + RECORD_HEADER + size);
    message.set(fragment, have);
    at += RECORD_HEADER + size;
    const whole = have + size;
    have += fragment.length;
    if (have > 0 && message[0] !== CLIENT_HELLO) return "no hello";
    if (have < MESSAGE_HEADER) continue;
    const need = MESSAGE_HEADER + uint(message, 1, 3);
    if (need > MAX_HELLO) return "an endless ClientHello";
    if (have < need) continue;
    // A second hello could hide there, which a server reads when it has asked for one.
    return whole > need
      ? "more than the hello in its record"
      : message.subarray(MESSAGE_HEADER, need);
  }
  return null;
}

function uint(bytes: Uint8Array, at: number, size: number): number {
  let value = 0;
  for (let i = 0; i < size; i++) value = value << 8 | (bytes[at + i] ?? 0);
  return value;
}

function parseBody(body: Cursor): HelloParse {
  const version = body.u16();
  body.skip(32); // random
  body.skip(body.u8()); // session id
  const ciphers = numbers(body.take(body.u16()));
  body.skip(body.u8()); // compression methods
  let sni: string | null = null;
  let alpn: readonly string[] = [];
  let versions: readonly number[] = [version];
  const seen = new Set<number>();
  // RFC 5246 7.4.1.2: a hello without extensions ends here.
  const extensions = new Cursor(body.left === 0 ? new Uint8Array() : body.take(body.u16()));
  if (body.left > 0) return invalid("bytes after the extensions");
  while (extensions.left > 0) {
    const type = extensions.u16();
    const data = new Cursor(extensions.take(extensions.u16()));
    // RFC 8446 4.2 forbids doubles; which of two names counts would be the server's choice.
    if (seen.has(type)) return invalid("an extension twice");
    seen.add(type);
    if (type === Extension.ServerName) {
      sni = serverName(data);
      if (sni === null) return invalid("a server_name that is no host name");
    } else if (type === Extension.Alpn) {
      alpn = protocolNames(data);
    } else if (type === Extension.SupportedVersions) {
      versions = numbers(data.take(data.u8()));
    }
  }
  return { kind: "hello", hello: { sni, alpn, versions, ciphers } };
}

/** The one host_name of the list; null when there is not exactly one, or it is no canonical name. */
function serverName(data: Cursor): string | null {
  const list = new Cursor(data.take(data.u16()));
  if (data.left > 0 || list.u8() !== 0) return null;
  const raw = list.take(list.u16());
  return list.left > 0 ? null : nameFromWire(latin1(raw));
}

function protocolNames(data: Cursor): string[] {
  const list = new Cursor(data.take(data.u16()));
  const names: string[] = [];
  while (list.left > 0) names.push(latin1(list.take(list.u8())));
  return names;
}

/** A vector of 16-bit numbers. */
function numbers(bytes: Uint8Array): number[] {
  const list = new Cursor(bytes);
  const values: number[] = [];
  while (list.left > 0) values.push(list.u16());
  return values;
}

/** One character a byte, so that nothing but ASCII can pass for a name. */
function latin1(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => String.fromCharCode(byte)).join("");
}
