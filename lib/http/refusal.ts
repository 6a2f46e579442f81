/**
 * What a guest is told instead of its server's answer: a status, the reason's identifier in
 * `sbx-reason`, and a text that a person (or a model) at the other end can act on.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { escapeText } from "../base/escape.ts";
import type { HttpReason, Refusal } from "./exchange.ts";
import type { Field } from "./fields.ts";
import { field } from "./h1_head.ts";

/** A complete response of the relay's own. */
export interface Page {
  readonly status: number;
  readonly phrase: string;
  readonly fields: readonly Field[];
  readonly body: Buffer;
}

const RELAY: Record<HttpReason, readonly [status: number, text: string]> = {
  "request-malformed": [400, "the request is malformed"],
  "host-mismatch": [421, "the request is for another host than its connection"],
  "method": [405, "the method is not for servers"],
  "request-limit": [431, "the request's head is too large"],
  "request-slow": [408, "the request's head did not arrive in time"],
  "stream-limit": [429, "the connection has too many requests"],
  "upstream-malformed": [502, "the server's answer is malformed"],
  "upstream-closed": [502, "the server closed the connection without an answer"],
};

const PHRASES: Record<number, string> = {
  400: "Bad Request",
  403: "Forbidden",
  405: "Method Not Allowed",
  408: "Request Timeout",
  421: "Misdirected Request",
  429: "Too Many Requests",
  431: "Request Header Fields Too Large",
  502: "Bad Gateway",
};

/** The relay's own refusal. */
export function relayPage(reason: HttpReason, detail?: string): Page {
  const [status, text] = RELAY[reason];
  return page(status, text, { reason, ...(detail === undefined ? {} : { detail }) });
}

/** Policy's refusal. */
export function deniedPage(refusal: Refusal): Page {
  return page(403, "the policy of this sandbox denies the request", refusal);
}

/** There is no server to ask; the refusal says which check failed. */
export function unreachablePage(refusal: Refusal): Page {
  return page(502, "the server could not be reached safely", refusal);
}

function page(status: number, text: string, { reason, detail }: Refusal): Page {
  const more = detail === undefined ? "" : `: ${escapeText(detail)}`;
  const body = Buffer.from(`sbx: ${text}${more} (${reason})\n`);
  const fields = [
    field("Content-Type", "text/plain; charset=utf-8"),
    field("Content-Length", String(body.length)),
    field("Cache-Control", "no-store"),
    field("sbx-reason", reason),
    ...(status === 405 ? [field("Allow", "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS")] : []),
  ];
  return { status, phrase: PHRASES[status] ?? "", fields, body };
}
