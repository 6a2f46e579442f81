/**
 * Heads of HTTP/2 messages: what a peer's fields mean, and what the other side is sent (RFC 9113 8).
 * Pure.
 *
 * @module
 */
import { withoutAlternatives } from "../alternatives.ts";
import type { Destination } from "../authority.ts";
import { BodyFlow } from "../body_flow.ts";
import type { RequestLine } from "../exchange.ts";
import { endToEndTrailers, type Field, isFieldValue, trim, withLength } from "../fields.ts";
import { type AnswerGate, passAnswer } from "../gate.ts";
import { MalformedHttp } from "../malformed.ts";
import { type BodyShape, type HttpRequest, NO_BODY, readTarget } from "../request.ts";

export interface H2Request {
  readonly line: RequestLine;
  /** For the gate. */
  readonly request: HttpRequest;
  /** The authority as it is sent on. */
  readonly host: string;
  /** What Content-Length states; null when nothing. */
  readonly length: number | null;
}

export interface H2Response {
  readonly status: number;
  /** Null where none is stated, or where it is not that of the content (HEAD, 304). */
  readonly length: number | null;
  readonly flow: BodyFlow;
  readonly outgoing: readonly Field[];
  /** The outgoing head states no length yet, and waits until the content is whole. */
  readonly late: boolean;
}

/** Lower case only (RFC 9113 8.2.1). */
const NAME = /^[!#$%&'*+\-.^_`|~0-9a-z]+$/;
const METHOD = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,32}$/;
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

/**
 * `end`: nothing follows the head. `tunnels`: the server takes CONNECT with `:protocol` (RFC 8441). `same`: of
 * fields that say what others said, those.
 *
 * @throws MalformedHttp
 */
export function readH2Request(
  fields: readonly Field[],
  end: boolean,
  destination: Destination,
  tunnels: boolean,
  same: (fields: readonly Field[]) => readonly Field[] = (fields) => fields,
): H2Request {
  const pseudo = new Map<string, string>();
  const rest = same(
    split(fields, pseudo, [":method", ":scheme", ":authority", ":path", ":protocol"]),
  );
  const method = pseudo.get(":method") ?? "";
  if (!METHOD.test(method)) throw new MalformedHttp("a malformed method");
  const protocol = pseudo.get(":protocol");
  const tunnel = method === "CONNECT" && protocol === "websocket" && tunnels;
  if (protocol !== undefined && method !== "CONNECT") {
    throw new MalformedHttp("a :protocol that is not spoken");
  }
  const stated = pseudo.get(":authority");
  const hosts = rest.filter(({ key }) => key === "host").map(({ value }) => value);
  const target = pseudo.get(":path") ?? "";
  const { scheme, authority, host, line } = readTarget({
    method,
    scheme: pseudo.get(":scheme") ?? "",
    target,
    hosts: stated === undefined ? hosts : [stated, ...hosts],
    mostHosts: 2,
    tunnel,
  }, destination);
  const length = lengthOf(rest);
  const body = bodyShape(end, tunnel, length);
  const request = { method, scheme, authority, target, fields: rest, body };
  return { line, request, host, length };
}

/** What the server is sent: the request as the gate let it pass. */
export function sentRequest(read: H2Request, passed: HttpRequest, flow: BodyFlow): Field[] {
  const { method, scheme, target, body } = passed;
  const path = pair(":path", target);
  return [
    pair(":method", method),
    ...(body.kind === "upgrade" ? [pair(":protocol", "websocket")] : []),
    pair(":scheme", scheme),
    pair(":authority", read.host),
    target === read.request.target ? path : { ...path, sensitive: true },
    ...withLength(regular(passed.fields).filter(({ key }) => key !== "host"), flow.length),
  ];
}

/** `method`: of the request. `end`: nothing follows the head. @throws GateRefusal, MalformedHttp */
export function readH2Response(
  fields: readonly Field[],
  end: boolean,
  method: string,
  gate: AnswerGate | undefined,
): H2Response {
  const pseudo = new Map<string, string>();
  const rest = split(fields, pseudo, [":status"]);
  const text = pseudo.get(":status") ?? "";
  const status = Number(text);
  // RFC 9113 8.6: nothing can be switched to.
  if (!STATUS.test(text) || status === 101) throw new MalformedHttp("a malformed status");
  const stated = lengthOf(rest);
  const empty = method === "HEAD" || status === 304 || status < 200;
  const body = bodyShape(end || empty, method === "CONNECT" && status < 300, stated);
  const kept = withoutAlternatives(rest);
  const passed = passAnswer({ status, phrase: "", fields: kept, body }, gate);
  const flow = new BodyFlow(body, stated, passed.body);
  const outgoing = [
    pair(":status", text),
    ...withLength(regular(passed.fields), flow.length),
  ];
  const late = passed.whole && body.kind === "length" && !flow.isPlain;
  return { status, length: empty ? null : stated, flow, outgoing, late };
}

function bodyShape(end: boolean, upgrade: boolean, length: number | null): BodyShape {
  if (end) return NO_BODY;
  if (upgrade) return { kind: "upgrade" };
  return length === null ? { kind: "unknown" } : { kind: "length", length };
}

/** Without what a gate may have added that has no meaning here. */
function regular(fields: readonly Field[]): readonly Field[] {
  return fields.some(isOfHttp1) ? fields.filter((one) => !isOfHttp1(one)) : fields;
}

function isOfHttp1({ key, value }: Field): boolean {
  return OF_HTTP1.has(key) || (key === "te" && value.toLowerCase() !== "trailers");
}

/** The trailers that may be passed on. @throws MalformedHttp */
export function readH2Trailers(fields: readonly Field[]): Field[] {
  return endToEndTrailers(split(fields, new Map(), []));
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
    const kept = value === field.value ? field : { ...field, value };
    if (isOfHttp1(kept)) {
      throw new MalformedHttp("a field that means something in HTTP/1 only");
    }
    rest.push(kept);
  }
  return rest;
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
