/**
 * What a TLS ClientHello says before anything is encrypted (RFC 8446 4.1.2, RFC 6066 3). Pure.
 *
 * The handshake message may be cut over records at any byte, which is how a guest would hide its
 * name from a parser that reads one record: they are put together first.
 *
 * @module
 */
import { Cursor, Truncated } from "../base/cursor.ts";
import { canonicalName } from "../base/name.ts";

export interface ClientHello {
  /** Canonical server name; null when the guest stated none. */
  readonly sni: string | null;
  readonly alpn: readonly string[];
  /**
   * An encrypted ClientHello is offered. Clients that know no key for a server send a random one
   * (GREASE), so this alone refuses nothing; the name above is the outer one.
   */
  readonly ech: boolean;
}

export type HelloParse =
  | { readonly kind: "hello"; readonly hello: ClientHello }
  /** TLS, but so that no name may be taken from it; `why` is for the journal. */
  | { readonly kind: "invalid"; readonly why: string }
  | { readonly kind: "partial" }
  | { readonly kind: "not-tls" };

const HANDSHAKE = 0x16;
const CLIENT_HELLO = 1;
const MAX_RECORD = 16_384;
const MAX_HELLO = 65_536;

const Extension = { ServerName: 0, Alpn: 16, EncryptedClientHello: 0xfe0d } as const;

/** Parses the first bytes of a flow. Never throws. */
export function parseClientHello(bytes: Uint8Array): HelloParse {
  if (bytes[0] !== HANDSHAKE) return { kind: bytes.length === 0 ? "partial" : "not-tls" };
  const message = reassemble(bytes);
  if (message === "malformed") return { kind: "invalid", why: "malformed record" };
  if (message === "partial") return { kind: "partial" };
  try {
    return parseBody(new Cursor(message));
  } catch (error) {
    if (error instanceof Truncated) return { kind: "invalid", why: "length past the end" };
    throw error;
  }
}

/** The body of the handshake message, without its header. */
function reassemble(bytes: Uint8Array): Uint8Array | "partial" | "malformed" {
  const fragments: Uint8Array[] = [];
  let have = 0;
  for (let at = 0; at < bytes.length;) {
    if (bytes[at] !== HANDSHAKE || (bytes[at + 1] ?? 3) !== 3) return "malformed";
    if (bytes.length - at < 5) return "partial";
    const size = (bytes[at + 3] ?? 0) << 8 | (bytes[at + 4] ?? 0);
    if (size === 0 || size > MAX_RECORD) return "malformed";
    const fragment = bytes.subarray(at + 5, at + 5 + size);
    fragments.push(fragment);
    have += fragment.length;
    at += 5 + size;
    if (have < 4) continue;
    const message = concat(fragments, have);
    const need = (message[1] ?? 0) << 16 | (message[2] ?? 0) << 8 | (message[3] ?? 0);
    if (message[0] !== CLIENT_HELLO || need > MAX_HELLO) return "malformed";
    if (have >= 4 + need) return message.subarray(4, 4 + need);
  }
  return "partial";
}

function concat(parts: readonly Uint8Array[], size: number): Uint8Array {
  if (parts.length === 1 && parts[0] !== undefined) return parts[0];
  const whole = new Uint8Array(size);
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

function parseBody(body: Cursor): HelloParse {
  body.skip(2 + 32); // legacy version, random
  body.skip(body.u8()); // session id
  body.skip(body.u16()); // cipher suites
  body.skip(body.u8()); // compression methods
  let sni: string | null = null;
  let named = false;
  let alpn: readonly string[] = [];
  let ech = false;
  const extensions = body.left === 0
    ? new Cursor(new Uint8Array())
    : new Cursor(body.take(body.u16()));
  if (body.left > 0) return { kind: "invalid", why: "bytes after the extensions" };
  while (extensions.left > 0) {
    const type = extensions.u16();
    const data = new Cursor(extensions.take(extensions.u16()));
    if (type === Extension.ServerName) {
      if (named) return { kind: "invalid", why: "two server_name extensions" };
      named = true;
      const name = serverName(data);
      if (name === null) return { kind: "invalid", why: "server_name is no host name" };
      sni = name;
    } else if (type === Extension.Alpn) {
      alpn = protocolNames(data);
    } else if (type === Extension.EncryptedClientHello) {
      ech = true;
    }
  }
  return { kind: "hello", hello: { sni, alpn, ech } };
}

/** The one host_name of the list; null when there is not exactly one, or it is no canonical name. */
function serverName(data: Cursor): string | null {
  const list = new Cursor(data.take(data.u16()));
  if (data.left > 0 || list.u8() !== 0) return null;
  const raw = list.take(list.u16());
  if (list.left > 0 || raw.length === 0 || raw.some((byte) => byte < 0x21 || byte > 0x7e)) {
    return null;
  }
  return canonicalName(String.fromCharCode(...raw));
}

function protocolNames(data: Cursor): string[] {
  const list = new Cursor(data.take(data.u16()));
  const names: string[] = [];
  while (list.left > 0) names.push(String.fromCharCode(...list.take(list.u8())));
  return names;
}
