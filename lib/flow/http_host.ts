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
  | { readonly kind: "not-http" };

const MAX_HEAD = 32 * 1024;

/** Lower case too: methods are case-sensitive, but servers need not know them to answer. */
const METHOD = "[!#$%&'*+\\-.^_`|~0-9A-Za-z]{1,32}";

const REQUEST_LINE = new RegExp(`^(${METHOD}) (\\S+) HTTP/1\\.[01]$`);
/** HTTP/0.9 has neither version nor fields, but its target may name a host. */
const OLD_REQUEST_LINE = new RegExp(`^${METHOD}[ \\t]+https?://\\S*[ \\t]*$`, "i");
const UNFINISHED_LINE = new RegExp(`^${METHOD}([ \\t][^\\n]*)?$`);

/** Parses the head as far as it is there. Never throws. */
export function parseHttpHost(bytes: Uint8Array): HostParse {
  // RFC 9112 2.2: servers skip empty lines before a request.
  const text = latin1(bytes.subarray(0, MAX_HEAD)).replace(/^[\r\n]+/, "");
  const full = bytes.length >= MAX_HEAD;
  if (text === "") return full ? invalid("nothing but empty lines") : { kind: "partial" };
  const lineEnd = text.indexOf("\n");
  if (lineEnd < 0) {
    if (!UNFINISHED_LINE.test(text.replace(/\r$/, ""))) return { kind: "not-http" };
    return full ? invalid("an endless request line") : { kind: "partial" };
  }
  const eol = text[lineEnd - 1] === "\r" ? "\r\n" : "\n";
  const line = text.slice(0, lineEnd + 1 - eol.length);
  if (!line.toUpperCase().includes("HTTP/") && !OLD_REQUEST_LINE.test(line)) {
    return { kind: "not-http" };
  }
  if (line === "PRI * HTTP/2.0") return invalid("HTTP/2 without TLS");
  const match = REQUEST_LINE.exec(line);
  if (match === null) return invalid("a malformed request line");
  const end = text.indexOf(eol + eol, lineEnd + 1 - eol.length);
  if (end < 0) return full ? invalid("an endless head") : { kind: "partial" };
  const fields = text.slice(lineEnd + 1, Math.max(lineEnd + 1, end)).split(eol);
  return hostOf(match[1] ?? "", match[2] ?? "", fields.filter((field) => field !== ""));
}

function invalid(why: string): HostParse {
  return { kind: "invalid", why };
}

const FIELD = /^([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*(.*?)[ \t]*$/;
// deno-lint-ignore no-control-regex
const LINE_BREAKS = /[\x00\r\n]/;

function hostOf(method: string, target: string, fields: readonly string[]): HostParse {
  const stated: string[] = [];
  for (const field of fields) {
    const match = FIELD.exec(field);
    // Folded lines, spaces before the colon and stray line ends: each means something else elsewhere.
    if (match === null || LINE_BREAKS.test(field)) return invalid("a malformed field");
    if (match[1]?.toLowerCase() === "host") stated.push(match[2] ?? "");
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
