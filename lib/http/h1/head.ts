/**
 * Heads of HTTP/1 messages: bytes to values and back (RFC 9112 2 to 5). Pure.
 *
 * Strict where parsers differ: a line ends with CR LF and nothing else does, a name has no space
 * before its colon, lines do not fold. What is written is made from the values, never from the bytes.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import type { HttpLimits } from "../exchange.ts";
import { type Field, isFieldValue, isToken, trim } from "../fields.ts";
import { MalformedHttp } from "../malformed.ts";

export interface RequestHead {
  readonly method: string;
  readonly target: string;
  /** 0 or 1, of HTTP/1.x. */
  readonly minor: number;
  readonly fields: readonly Field[];
}

export interface ResponseHead {
  readonly status: number;
  readonly reason: string;
  readonly minor: number;
  readonly fields: readonly Field[];
}

type HeadLimits = Pick<HttpLimits, "headBytes" | "headFields">;

const REQUEST_LINE =
  /^([!#$%&'*+\-.^_`|~0-9A-Za-z]{1,32}) ([\x21-\x7e\x80-\xff]+) HTTP\/1\.([01])$/;
const STATUS_LINE = /^HTTP\/1\.([01]) ([1-9][0-9][0-9])(?: ([\t\x20-\x7e\x80-\xff]*))?$/;

/** Parses what stands before the empty line, without it. @throws MalformedHttp */
export function parseRequestHead(text: string, limits: HeadLimits): RequestHead {
  const lines = text.split("\r\n");
  const match = REQUEST_LINE.exec(lines[0] ?? "");
  if (match === null) throw new MalformedHttp("a malformed request line");
  const fields = parseFields(lines, 1, limits);
  return { method: match[1] ?? "", target: match[2] ?? "", minor: Number(match[3]), fields };
}

/** As {@link parseRequestHead}. @throws MalformedHttp */
export function parseResponseHead(text: string, limits: HeadLimits): ResponseHead {
  const lines = text.split("\r\n");
  const match = STATUS_LINE.exec(lines[0] ?? "");
  if (match === null) throw new MalformedHttp("a malformed status line");
  const fields = parseFields(lines, 1, limits);
  return { status: Number(match[2]), reason: match[3] ?? "", minor: Number(match[1]), fields };
}

/** Parses field lines from `from` on. @throws MalformedHttp */
export function parseFields(
  lines: readonly string[],
  from: number,
  { headFields }: HeadLimits,
): Field[] {
  if (lines.length - from > headFields) {
    throw new MalformedHttp(`more than ${headFields} fields`, "request-limit");
  }
  const fields: Field[] = [];
  for (let index = from; index < lines.length; index++) {
    const line = lines[index] ?? "";
    const colon = line.indexOf(":");
    const name = line.slice(0, Math.max(0, colon));
    const value = trim(line.slice(colon + 1));
    if (!isToken(name) || !isFieldValue(value)) throw new MalformedHttp("a malformed field line");
    fields.push({ name, key: name.toLowerCase(), value });
  }
  return fields;
}

/** The head as bytes, empty line included. */
export function writeRequestHead(head: Omit<RequestHead, "minor"> & { minor?: number }): Buffer {
  return write(`${head.method} ${head.target} HTTP/1.${head.minor ?? 1}`, head.fields);
}

export function writeResponseHead(head: Omit<ResponseHead, "minor">): Buffer {
  return write(`HTTP/1.1 ${head.status} ${head.reason}`, head.fields);
}

function write(line: string, fields: readonly Field[]): Buffer {
  let text = line;
  for (const { name, value } of fields) text += `\r\n${name}: ${value}`;
  return Buffer.from(`${text}\r\n\r\n`, "latin1");
}

/** Field lines and the empty line after them, for trailers. */
export function writeFields(fields: readonly Field[]): string {
  let text = "";
  for (const { name, value } of fields) text += `${name}: ${value}\r\n`;
  return `${text}\r\n`;
}
