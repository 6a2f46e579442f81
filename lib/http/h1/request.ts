/**
 * From a head that a guest sent to a request that may be sent on (RFC 9112 3). Pure.
 *
 * @module
 */
import type { Destination } from "../authority.ts";
import type { RequestLine } from "../exchange.ts";
import { endToEnd, type Field, field, listOf, valuesOf, withLength } from "../fields.ts";
import { MalformedHttp } from "../malformed.ts";
import { type HttpRequest, readTarget } from "../request.ts";
import { websocketKey } from "../websocket.ts";
import { type Framing, persists, requestFraming, shapeOf } from "./framing.ts";
import type { RequestHead } from "./head.ts";

/** A request that names its host, its end and its kind beyond doubt. */
export interface H1Request {
  readonly line: RequestLine;
  /** For the gate. */
  readonly request: HttpRequest;
  /** The authority as it is sent on. */
  readonly host: string;
  readonly framing: Framing;
  /** Of an upgrade to WebSocket. */
  readonly websocketKey: string | null;
  /** It asks a proxy for a tunnel (RFC 9110 9.3.6). */
  readonly tunnel: boolean;
  /** Whether the guest's connection can carry another request. */
  readonly persists: boolean;
  readonly minor: number;
  /** The body is held back until the server asks for it (RFC 9110 10.1.1). */
  readonly expects: boolean;
  /** Trailers are wanted, of the guest's next recipient. */
  readonly trailers: boolean;
}

/**
 * `same`: of fields that say what others said, those.
 *
 * @throws MalformedHttp with the reason to refuse it for.
 */
export function readRequest(
  head: RequestHead,
  destination: Destination,
  same: (fields: readonly Field[]) => readonly Field[] = (fields) => fields,
): H1Request {
  const { method, target, minor } = head;
  const { scheme, authority, host, line } = readTarget({
    method,
    scheme: destination.scheme,
    target,
    hosts: valuesOf(head.fields, "host"),
    mostHosts: 1,
    tunnel: false,
  }, destination);
  const framing = requestFraming(head);
  const tunnel = method === "CONNECT";
  // What follows is either the tunnel's or another request's; a body of it could be taken for both.
  if (tunnel && framing.kind !== "none") throw new MalformedHttp("a tunnel with a body");
  const key = framing.kind === "none" ? websocketKey(head) : null;
  const expects = expectsContinue(head, framing);
  const kept = endToEnd(head.fields);
  const fields = same(expects ? kept : kept.filter(({ key }) => key !== "expect"));
  const body = key === null ? shapeOf(framing) : { kind: "upgrade" } as const;
  return {
    line,
    request: { method, scheme, authority, target, fields, body },
    host,
    framing,
    websocketKey: key,
    tunnel,
    persists: persists(head),
    minor,
    expects,
    trailers: listOf(head.fields, "te").includes("trailers"),
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

/** What the server is sent: the request as the gate let it pass, with a body of this framing. */
export function sentHead(read: H1Request, passed: HttpRequest, framing: Framing): RequestHead {
  const { method, target } = passed;
  // Chunks are of HTTP/1.1; what a length became that is not known any more has no other form.
  const minor = framing.kind === "chunked" ? 1 : read.minor;
  return { method, target, minor, fields: sentFields(read, passed, framing) };
}

function sentFields(read: H1Request, passed: HttpRequest, framing: Framing): Field[] {
  const fields = withLength(
    withHost(
      passed.fields === read.request.fields ? passed.fields : endToEnd(passed.fields),
      read.host,
    ),
    framing.kind === "length" ? framing.length : null,
  );
  if (framing.kind === "chunked") fields.push(field("Transfer-Encoding", "chunked"));
  const options = [];
  // RFC 9110 10.1.4: whether trailers are wanted is asked of each next recipient anew.
  if (read.trailers) {
    fields.push(field("TE", "trailers"));
    options.push("TE");
  }
  if (read.websocketKey !== null) {
    fields.push(field("Upgrade", "websocket"));
    options.push("Upgrade");
  } else if (!read.persists && !read.tunnel) {
    options.push("close");
  } else if (read.minor === 0 && !read.tunnel) {
    options.push("keep-alive");
  }
  if (options.length > 0) fields.push(field("Connection", options.join(", ")));
  return fields;
}

/** Host once, where it was; first (RFC 9110 7.2) where a gate lost it. */
function withHost(fields: readonly Field[], host: string): Field[] {
  const sent: Field[] = [];
  let stated = false;
  for (const one of fields) {
    if (one.key !== "host") sent.push(one);
    else if (!stated) {
      stated = true;
      sent.push({ name: "Host", key: "host", value: host });
    }
  }
  if (!stated) sent.unshift(field("Host", host));
  return sent;
}
