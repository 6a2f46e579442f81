/**
 * From a head that a guest sent to a request that may be sent on (RFC 9112 3). Pure.
 *
 * @module
 */
import type { RequestLine } from "./exchange.ts";
import { endToEnd, type Field, listOf, valuesOf } from "./fields.ts";
import { type Framing, persists, requestFraming } from "./h1_framing.ts";
import { field, type RequestHead } from "./h1_head.ts";
import { type Destination, formatAuthority, isFor, parseAuthority } from "./authority.ts";
import { MalformedHttp } from "./malformed.ts";
import { websocketKey } from "./websocket.ts";

/** A request that names its host, its end and its kind beyond doubt. */
export interface H1Request {
  readonly line: RequestLine;
  readonly framing: Framing;
  /** Of an upgrade to WebSocket. */
  readonly websocketKey: string | null;
  /** Whether the guest's connection can carry another request. */
  readonly persists: boolean;
  readonly minor: number;
  /** The body is held back until the server asks for it (RFC 9110 10.1.1). */
  readonly expects: boolean;
  /** What the server is sent. */
  readonly outgoing: RequestHead;
}

/** Methods that address a proxy (CONNECT), or make a server show what it was sent (TRACE). */
const REFUSED_METHODS: ReadonlySet<string> = new Set(["CONNECT", "TRACE", "TRACK", "PRI"]);

/** RFC 9112 3.2.1. A fragment is no part of a target. */
const PATH = /^\/[^#]*$/;

/** @throws MalformedHttp with the reason to refuse it for. */
export function readRequest(head: RequestHead, destination: Destination): H1Request {
  const { method, target, minor } = head;
  const hosts = valuesOf(head.fields, "host");
  const authority = parseAuthority(hosts[0] ?? "");
  if (REFUSED_METHODS.has(method.toUpperCase())) {
    const path = target.startsWith("/") ? pathOf(target) : ""; // of a proxy's request, another host
    const line = authority === null ? undefined : { method, host: authority.host, path };
    throw new MalformedHttp(method, "method", line);
  }
  if (target === "*" ? method !== "OPTIONS" : !PATH.test(target)) {
    throw new MalformedHttp("a target that is no path");
  }
  if (hosts.length !== 1) throw new MalformedHttp(`${hosts.length} Host fields instead of one`);
  if (authority === null) throw new MalformedHttp("a malformed Host");
  const line = { method, host: authority.host, path: pathOf(target) };
  if (!isFor(destination, authority)) {
    throw new MalformedHttp(formatAuthority(authority), "host-mismatch", line);
  }
  const framing = requestFraming(head);
  const key = framing.kind === "none" ? websocketKey(head) : null;
  const expects = expectsContinue(head, framing);
  const host = formatAuthority(authority);
  return {
    line,
    framing,
    websocketKey: key,
    persists: persists(head),
    minor,
    expects,
    outgoing: { method, target, minor, fields: outgoingFields(head, host, framing, expects, key) },
  };
}

/** An expectation that servers read in different ways is a way to hide a request in a body. */
function expectsContinue(head: RequestHead, framing: Framing): boolean {
  const [expectation, ...more] = valuesOf(head.fields, "expect");
  if (expectation === undefined) return false;
  if (more.length > 0 || expectation.toLowerCase() !== "100-continue") {
    throw new MalformedHttp("an expectation other than 100-continue");
  }
  return head.minor === 1 && framing.kind !== "none";
}

/** The target without its query. */
export function pathOf(target: string): string {
  const query = target.indexOf("?");
  return query < 0 ? target : target.slice(0, query);
}

function outgoingFields(
  head: RequestHead,
  host: string,
  framing: Framing,
  expects: boolean,
  key: string | null,
): Field[] {
  const fields = endToEnd(head.fields)
    .filter((one) => expects || one.key !== "expect")
    .map((one) => one.key === "host" ? field("Host", host) : one);
  if (framing.kind === "chunked") fields.push(field("Transfer-Encoding", "chunked"));
  const options = [];
  // RFC 9110 10.1.4: whether trailers are wanted is asked of each next recipient anew.
  if (listOf(head.fields, "te").includes("trailers")) {
    fields.push(field("TE", "trailers"));
    options.push("TE");
  }
  if (key !== null) {
    fields.push(field("Upgrade", "websocket"));
    options.push("Upgrade");
  } else if (!persists(head)) {
    options.push("close");
  } else if (head.minor === 0) {
    options.push("keep-alive");
  }
  if (options.length > 0) fields.push(field("Connection", options.join(", ")));
  return fields;
}
