/**
 * Where the body of an HTTP/1 message ends (RFC 9112 6.3). Pure.
 *
 * Two recipients that disagree here read one message as two. So a length is stated once, in one way,
 * in plain digits; `chunked` is the only transfer coding; nothing is repaired.
 *
 * @module
 */
import type { BodyFlow } from "../body_flow.ts";
import { listOf, valuesOf } from "../fields.ts";
import { MalformedHttp } from "../malformed.ts";
import type { BodyShape } from "../request.ts";
import type { RequestHead, ResponseHead } from "./head.ts";

export type Framing =
  | { readonly kind: "none" }
  | { readonly kind: "length"; readonly length: number }
  | { readonly kind: "chunked" }
  /** Until the sender closes; responses only. */
  | { readonly kind: "close" };

const NONE: Framing = { kind: "none" };

/** 2^53 would already count wrongly. */
const LENGTH = /^[0-9]{1,15}$/;

/** @throws MalformedHttp */
export function requestFraming(head: RequestHead): Framing {
  return statedFraming(head) ?? NONE;
}

/** `method`: of the request that it answers. @throws MalformedHttp */
export function responseFraming(head: ResponseHead, method: string): Framing {
  const { status } = head;
  const stated = statedFraming(head);
  if (status < 200 || status === 204 || status === 304 || method === "HEAD") return NONE;
  return stated ?? { kind: "close" };
}

function statedFraming(head: RequestHead | ResponseHead): Framing | null {
  const lengths = valuesOf(head.fields, "content-length");
  const codings = valuesOf(head.fields, "transfer-encoding");
  if (codings.length === 0 && lengths.length === 0) return null;
  if (lengths.length + codings.length > 1) throw new MalformedHttp("its length stated twice");
  const [length] = lengths;
  if (length !== undefined) {
    if (!LENGTH.test(length)) throw new MalformedHttp("a malformed Content-Length");
    return { kind: "length", length: Number(length) };
  }
  if (head.minor === 0) throw new MalformedHttp("a transfer coding in HTTP/1.0");
  if (codings[0]?.toLowerCase() !== "chunked") {
    throw new MalformedHttp("a transfer coding other than chunked");
  }
  return { kind: "chunked" };
}

/** What a body of this framing looks like to the gate. */
export function shapeOf(framing: Framing): BodyShape {
  return framing.kind === "none" || framing.kind === "length" ? framing : { kind: "unknown" };
}

/**
 * The framing of what a transform makes of a body. Where no length is known any more, it is chunked, or
 * ends with the connection where the recipient knows no chunks.
 */
export function sentFraming(framing: Framing, flow: BodyFlow, chunks: boolean): Framing {
  if (framing.kind === "chunked" || (framing.kind === "length" && flow.length === null)) {
    return { kind: chunks ? "chunked" : "close" };
  }
  return framing.kind === "length" && flow.length !== null
    ? { kind: "length", length: flow.length }
    : framing;
}

/** Whether the connection can carry another message after this one (RFC 9112 9.3). */
export function persists(head: RequestHead | ResponseHead): boolean {
  const options = listOf(head.fields, "connection");
  if (options.includes("close")) return false;
  return head.minor === 1 || options.includes("keep-alive");
}
