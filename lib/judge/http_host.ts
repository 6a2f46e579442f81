/**
 * The host that a plain HTTP/1 request names, from the first bytes of a flow. Pure.
 *
 * Servers differ in what they forgive (RFC 9112 2.2, 3, 5.1, 5.2), and a guest may send what one of
 * them forgives and this parser does not see. So everything that any server may take for a request
 * counts as one, and a request that two servers could read in two ways names nobody.
 *
 * Only the first request of a connection is looked at here. Where its name decided, the relay of
 * `lib/http` takes over, and every request is judged.
 *
 * @module
 */
import { parseAddress } from "../base/address.ts";
import { nameFromWire } from "../base/name.ts";
import { isTokenByte, RequestReader } from "./request_reader.ts";

export type HostParse =
  | {
    readonly kind: "http";
    /** Null: a request without a host, or one that names an address. */
    readonly host: string | null;
    /** The target names a host itself, as only a proxy is asked (RFC 9112 3.2). */
    readonly proxied?: true;
  }
  /** A request, but so that no name may be taken from it; `why` is for the journal. */
  | { readonly kind: "invalid"; readonly why: string }
  | { readonly kind: "partial" }
  /** Nothing that names a host, so far. netstack lets no byte through that would make it so. */
  | { readonly kind: "open" }
  | { readonly kind: "not-http" };

/** As much as netstack waits for. */
const MAX_HEAD = 32 * 1024;

/** Parses the head as far as it is there. Never throws, and costs no more than its length. */
export function parseHttpHost(bytes: Uint8Array): HostParse {
  const head = bytes.subarray(0, MAX_HEAD);
  const state = new RequestReader().push(head);
  switch (state) {
    case "opaque":
      return { kind: "not-http" };
    case "whole":
      return parseHead(latin1(head));
    default:
      return bytes.length < MAX_HEAD ? { kind: state } : invalid("an endless head");
  }
}

function parseHead(text: string): HostParse {
  let at = 0;
  // RFC 9112 2.2: servers skip empty lines before a request. They may not know what else to skip.
  while (text[at] === "\r" || text[at] === "\n") at++;
  const lineEnd = text.indexOf("\n", at);
  if (lineEnd < 0) return invalid("no request line");
  const eol = text[lineEnd - 1] === "\r" ? "\r\n" : "\n";
  const [method = "", target = "", version = "", ...more] = text
    .slice(at, lineEnd + 1 - eol.length).split(" ");
  if (version === "HTTP/2.0" && method === "PRI") return invalid("HTTP/2 without TLS");
  const isRequestLine = more.length === 0 && isToken(method) && isTarget(target) &&
    (version === "HTTP/1.1" || version === "HTTP/1.0");
  if (!isRequestLine) return invalid("a malformed request line");
  const fields: string[] = [];
  for (at = lineEnd + 1;;) {
    const end = text.indexOf("\n", at);
    // It ends early for servers that do not know the ends of its lines.
    if (end < 0 || text.slice(end + 1 - eol.length, end + 1) !== eol) {
      return invalid("a malformed field");
    }
    const line = text.slice(at, end + 1 - eol.length);
    if (line === "") return hostOf(method, target, fields);
    fields.push(line);
    at = end + 1;
  }
}

function invalid(why: string): HostParse {
  return { kind: "invalid", why };
}

function isToken(text: string): boolean {
  if (text === "") return false;
  for (let at = 0; at < text.length; at++) if (!isTokenByte(text.charCodeAt(at))) return false;
  return true;
}

function isTarget(text: string): boolean {
  // deno-lint-ignore no-control-regex
  return /^[^\x00-\x20\x7f]+$/.test(text);
}

// deno-lint-ignore no-control-regex
const LINE_BREAKS = /[\x00\n-\r\x1c-\x1e]/;

function hostOf(method: string, target: string, fields: readonly string[]): HostParse {
  const stated: string[] = [];
  for (const field of fields) {
    const colon = field.indexOf(":");
    const name = field.slice(0, Math.max(0, colon));
    // Folded lines, spaces before the colon and stray line ends: each means something else elsewhere.
    if (!isToken(name) || LINE_BREAKS.test(field)) return invalid("a malformed field");
    if (name.toLowerCase() === "host") stated.push(trimBlanks(field.slice(colon + 1)));
  }
  if (stated.length > 1) return invalid("more than one Host");
  const authority = authorityOf(method, target);
  if (authority !== null) stated.push(authority);
  const names = new Set(stated.map(nameOf));
  if (names.has(undefined)) return invalid("a malformed Host");
  if (names.size > 1) return invalid("Host and target differ");
  const host = [...names][0] ?? null;
  return authority === null ? { kind: "http", host } : { kind: "http", host, proxied: true };
}

/** Without the blanks at both ends. */
function trimBlanks(text: string): string {
  let [from, to] = [0, text.length];
  while (text[from] === " " || text[from] === "\t") from++;
  while (to > from && (text[to - 1] === " " || text[to - 1] === "\t")) to--;
  return text.slice(from, to);
}

/** The authority of an absolute-form or authority-form target (RFC 9112 3.2). */
function authorityOf(method: string, target: string): string | null {
  if (method.toUpperCase() === "CONNECT") return target;
  return /^[A-Za-z][A-Za-z0-9+.-]*:\/\/([^/?#]*)/.exec(target)?.[1] ?? null;
}

/** The canonical name of `host[:port]`; null for an address or nothing, undefined when malformed. */
function nameOf(authority: string): string | null | undefined {
  if (authority === "") return null; // RFC 9112 3.2: a target without authority has an empty Host
  const match = /^(\[[0-9A-Fa-f:.]+\]|[^\s:@/\\[\]]+)(?::\d{0,5})?$/.exec(authority);
  const host = match?.[1];
  if (host === undefined) return undefined;
  if (parseAddress(host.replace(/^\[|\]$/g, "")) !== null) return null;
  return nameFromWire(host) ?? undefined;
}

function latin1(bytes: Uint8Array): string {
  let text = "";
  for (let at = 0; at < bytes.length; at += 8192) {
    text += String.fromCharCode(...bytes.subarray(at, at + 8192));
  }
  return text;
}
