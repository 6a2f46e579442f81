/**
 * A request as both versions of HTTP state it, and what both have to make sure of: that it is one to a
 * server, for one host, which is the one that its connection is to. Pure.
 *
 * @module
 */
import {
  type Authority,
  type Destination,
  formatAuthority,
  isFor,
  parseAuthority,
  type Scheme,
  sentAuthority,
} from "./authority.ts";
import type { RequestLine } from "./exchange.ts";
import type { Field } from "./fields.ts";
import { MalformedHttp } from "./malformed.ts";

/** What follows a head. */
export type BodyShape =
  | { readonly kind: "none" }
  /** In bytes. */
  | { readonly kind: "length"; readonly length: number }
  /** Until its sender ends it. */
  | { readonly kind: "unknown" }
  /** Bytes both ways, once the server agreed to a WebSocket. */
  | { readonly kind: "upgrade" };

export const NO_BODY: BodyShape = { kind: "none" };

export interface HttpRequest {
  readonly method: string;
  readonly scheme: Scheme;
  readonly authority: Authority;
  /**
   * Path and query as they are sent on; `*` in a request about the whole server. To a proxy a URL, or the
   * authority of a tunnel.
   */
  readonly target: string;
  /**
   * In their order, without those of the connection. Host and Content-Length are among them where they
   * were stated so.
   */
  readonly fields: readonly Field[];
  readonly body: BodyShape;
}

/** What a request says of where it goes. */
export interface StatedTarget {
  readonly method: string;
  readonly scheme: string;
  readonly target: string;
  /** Every statement of its host, the one that counts first. */
  readonly hosts: readonly string[];
  /** How many of them there may be. */
  readonly mostHosts: number;
  /** It is CONNECT in its extended form (RFC 8441), which is a request to a server. */
  readonly tunnel: boolean;
}

export interface Target {
  readonly scheme: Scheme;
  readonly authority: Authority;
  /** The authority as it is sent on. */
  readonly host: string;
  readonly line: RequestLine;
}

/** Methods that are for proxies alone (CONNECT), make a server show what it was sent (TRACE), or are none (PRI). */
const REFUSED_METHODS: ReadonlySet<string> = new Set(["CONNECT", "TRACE", "TRACK", "PRI"]);

/** RFC 9112 3.2.1. A fragment is no part of a target. */
const PATH = /^\/[\x21\x22\x24-\x7e\x80-\xff]*$/;

/** RFC 9112 3.2.2: scheme, authority, path and query. */
const ABSOLUTE = /^[A-Za-z][A-Za-z0-9+.-]*:\/\/([^/?#]*)([/?][\x21\x22\x24-\x7e\x80-\xff]*)?$/;

/** @throws MalformedHttp with the reason to refuse it for. */
export function readTarget(stated: StatedTarget, destination: Destination): Target {
  const { method, target } = stated;
  const named = destination.proxy === true ? namedIn(method, target) : null;
  const hosts = named === null ? stated.hosts : [named.authority, ...stated.hosts];
  const mostHosts = stated.mostHosts + (named === null ? 0 : 1);
  const tunnel = stated.tunnel || (named !== null && method === CONNECT);
  const [written = ""] = hosts;
  const authority = parseAuthority(written);
  if (REFUSED_METHODS.has(method.toUpperCase()) && !tunnel) {
    const path = target.startsWith("/") ? withoutQuery(target) : ""; // of a proxy's, another host
    const line = authority === null ? undefined : { method, host: authority.host, path };
    throw new MalformedHttp(method, "method", line);
  }
  const { scheme } = destination;
  if (stated.scheme !== scheme) throw new MalformedHttp(`another scheme than ${scheme}`);
  if (named === null && !isTarget(target, method)) {
    throw new MalformedHttp("a target that is no path");
  }
  if (hosts.length === 0 || hosts.length > mostHosts) {
    throw new MalformedHttp(`${hosts.length} hosts instead of one`);
  }
  if (authority === null) throw new MalformedHttp("a malformed host");
  // RFC 9113 8.3.1: a Host beside :authority says the same.
  for (let index = 1; index < hosts.length; index++) {
    const same = parseAuthority(hosts[index] ?? "");
    // Clients of proxies leave the port out of Host, or put it there alone.
    if (same?.host !== authority.host || (named === null && same.port !== authority.port)) {
      throw new MalformedHttp("more than one host");
    }
  }
  const line = { method, host: authority.host, path: pathOf(method, target) };
  if (!isFor(destination, authority)) {
    throw new MalformedHttp(formatAuthority(authority), "host-mismatch", line);
  }
  return { scheme, authority, host: sentAuthority(written, authority), line };
}

/** Whether a request with this method may be for this. */
export function isTarget(target: string, method: string): boolean {
  return target === "*" ? method === "OPTIONS" : PATH.test(target);
}

/** The request as rules and journal see it. */
export function lineOf({ method, authority, target }: HttpRequest): RequestLine {
  return { method, host: authority.host, path: pathOf(method, target) };
}

const CONNECT = "CONNECT";

/** Whom a request to a proxy names in its target (RFC 9112 3.2.2, 3.2.3); null: it names nobody. */
function namedIn(
  method: string,
  target: string,
): { readonly authority: string; readonly path: string } | null {
  if (method === CONNECT && !target.startsWith("/")) return { authority: target, path: "" };
  const absolute = ABSOLUTE.exec(target);
  if (absolute === null) return null;
  return { authority: absolute[1] ?? "", path: absolute[2] ?? "/" };
}

/** What a target asks of its host, without the query. */
function pathOf(method: string, target: string): string {
  if (target.startsWith("/")) return withoutQuery(target);
  return withoutQuery(namedIn(method, target)?.path ?? target);
}

function withoutQuery(target: string): string {
  const query = target.indexOf("?");
  return query < 0 ? target : target.slice(0, query);
}
