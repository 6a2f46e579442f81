/**
 * Heads of HTTP/2 messages: what a peer's fields mean, and what the other side is sent (RFC 9113 8).
 * Pure.
 *
 * @module
 */
import type { RequestLine } from "./exchange.ts";
import { endToEndTrailers, type Field, isFieldValue, trim } from "./fields.ts";
import { type Destination, formatAuthority, isFor, parseAuthority } from "./authority.ts";
import { pathOf } from "./h1_request.ts";
import { MalformedHttp } from "./malformed.ts";

export interface H2Request {
  readonly line: RequestLine;
  /** What Content-Length states; null when nothing. */
  readonly length: number | null;
  readonly outgoing: readonly Field[];
}

export interface H2Response {
  readonly status: number;
  /** Null where none is stated, or where it is not that of the content (HEAD, 304). */
  readonly length: number | null;
  readonly outgoing: readonly Field[];
}

/** Lower case only (RFC 9113 8.2.1). */
const NAME = /^[!#$%&'*+\-.^_`|~0-9a-z]+$/;
const METHOD = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,32}$/;
const PATH = /^\/[\x21\x22\x24-\x7e\x80-\xff]*$/;
const STATUS = /^[1-9][0-9][0-9]$/;
const LENGTH = /^[0-9]{1,15}$/;

/** RFC 9113 8.2.2. */
const OF_HTTP1: ReadonlySet<string> = new Set([
  "connection",
  "proxy-connection",
  "keep-alive",
  "transfer-encoding",
  "upgrade",
]);

/** `tunnels`: the server takes CONNECT with `:protocol` (RFC 8441). @throws MalformedHttp */
export function readH2Request(
  fields: readonly Field[],
  destination: Destination,
  tunnels: boolean,
): H2Request {
  const pseudo = new Map<string, string>();
  const rest = split(fields, pseudo, [":method", ":scheme", ":authority", ":path", ":protocol"]);
  const method = pseudo.get(":method") ?? "";
  if (!METHOD.test(method)) throw new MalformedHttp("a malformed method");
  const protocol = pseudo.get(":protocol");
  const tunnel = method === "CONNECT" && protocol === "websocket" && tunnels;
  const path = pseudo.get(":path") ?? "";
  if (isRefused(method) && !tunnel) {
    const to = parseAuthority(pseudo.get(":authority") ?? "");
    const line = to === null ? undefined : { method, host: to.host, path: pathOf(path) };
    throw new MalformedHttp(method, "method", line);
  }
  if (protocol !== undefined && !tunnel) throw new MalformedHttp("a :protocol that is not spoken");
  if (pseudo.get(":scheme") !== "https") throw new MalformedHttp("another scheme than https");
  if (path === "*" ? method !== "OPTIONS" : !PATH.test(path)) {
    throw new MalformedHttp("a target that is no path");
  }
  const authority = statedAuthority(pseudo.get(":authority"), rest);
  const line = { method, host: authority.host, path: pathOf(path) };
  if (!isFor(destination, authority)) {
    throw new MalformedHttp(formatAuthority(authority), "host-mismatch", line);
  }
  const outgoing = [
    pair(":method", method),
    ...(protocol === undefined ? [] : [pair(":protocol", protocol)]),
    pair(":scheme", "https"),
    pair(":authority", formatAuthority(authority)),
    pair(":path", path),
    ...rest.filter(({ key }) => key !== "host"),
  ];
  return { line, length: lengthOf(rest), outgoing };
}

/** `method`: of the request. @throws MalformedHttp */
export function readH2Response(fields: readonly Field[], method: string): H2Response {
  const pseudo = new Map<string, string>();
  const rest = split(fields, pseudo, [":status"]);
  const text = pseudo.get(":status") ?? "";
  const status = Number(text);
  // RFC 9113 8.6: nothing can be switched to.
  if (!STATUS.test(text) || status === 101) throw new MalformedHttp("a malformed status");
  const length = lengthOf(rest);
  const empty = method === "HEAD" || status === 304 || status < 200;
  return { status, length: empty ? null : length, outgoing: [pair(":status", text), ...rest] };
}

/** The trailers that may be passed on. @throws MalformedHttp */
export function readH2Trailers(fields: readonly Field[]): Field[] {
  return endToEndTrailers(split(fields, new Map(), []));
}

function isRefused(method: string): boolean {
  return ["CONNECT", "TRACE", "TRACK"].includes(method.toUpperCase());
}

/** Takes the pseudo-fields, which come first and once, apart from the rest. */
function split(
  fields: readonly Field[],
  pseudo: Map<string, string>,
  known: readonly string[],
): Field[] {
  const rest: Field[] = [];
  for (const field of fields) {
    const { key } = field;
    const value = trim(field.value);
    if (!isFieldValue(value)) throw new MalformedHttp("a malformed value");
    if (key.startsWith(":")) {
      if (rest.length > 0 || pseudo.has(key) || !known.includes(key)) {
        throw new MalformedHttp("a pseudo-field out of place");
      }
      pseudo.set(key, value);
      continue;
    }
    if (!NAME.test(key)) throw new MalformedHttp("a malformed name");
    if (OF_HTTP1.has(key) || (key === "te" && value.toLowerCase() !== "trailers")) {
      throw new MalformedHttp("a field that means something in HTTP/1 only");
    }
    rest.push(value === field.value ? field : { ...field, value });
  }
  return rest;
}

function statedAuthority(authority: string | undefined, fields: readonly Field[]) {
  const hosts = fields.filter(({ key }) => key === "host").map(({ value }) => value);
  if (authority !== undefined) hosts.push(authority);
  const [stated, ...others] = hosts.map(parseAuthority);
  if (stated === undefined || stated === null) throw new MalformedHttp("no proper :authority");
  // RFC 9113 8.3.1: a Host that is there says the same; two of them say too much.
  const same = others.every((other) => other?.host === stated.host && other.port === stated.port);
  if (!same || hosts.length > 2) throw new MalformedHttp("more than one host");
  return stated;
}

function lengthOf(fields: readonly Field[]): number | null {
  const lengths = fields.filter(({ key }) => key === "content-length");
  const [length] = lengths;
  if (length === undefined) return null;
  if (lengths.length > 1 || !LENGTH.test(length.value)) {
    throw new MalformedHttp("a malformed content-length");
  }
  return Number(length.value);
}

function pair(key: string, value: string): Field {
  return { name: key, key, value };
}
