/**
 * What a guest is told instead of its server's answer: a status, the reason's identifier in
 * `sbx-reason`, and a text that a person (or a model) at the other end can act on.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { escapeText } from "../base/escape.ts";
import { DENIED, reasonOf } from "../policy/model/reasons.ts";
import type { HttpReason, Refusal } from "./exchange.ts";
import { type Field, field } from "./fields.ts";

/** A complete response of the relay's own. */
export interface Page {
  readonly status: number;
  readonly phrase: string;
  readonly fields: readonly Field[];
  readonly body: Buffer;
}

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
  return pageFor({ reason, ...(detail === undefined ? {} : { detail }) });
}

/** Policy's refusal. */
export function deniedPage(refusal: Refusal): Page {
  return pageFor(refusal);
}

/** There is no server to ask; the refusal says which check failed. */
export function unreachablePage(refusal: Refusal): Page {
  return pageFor(refusal);
}

function pageFor({ reason, detail }: Refusal): Page {
  const { status, text } = reasonOf(reason).page ?? DENIED;
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
