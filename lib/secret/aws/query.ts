/**
 * Percent-encoding and queries, as signatures count them.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { percentEncode } from "../encodings.ts";

export interface Parameter {
  /** As it was sent. */
  readonly text: string;
  /** Name and value decoded, one character a byte; a plus is a space. */
  readonly name: string;
  readonly value: string;
  /** The name in lower case. */
  readonly key: string;
}

/** Of the query of a target, in their order. */
export function parameters(target: string): Parameter[] {
  const at = target.indexOf("?");
  if (at < 0) return [];
  return target.slice(at + 1).split("&").filter((text) => text !== "").map((text) => {
    const [name, value] = halves(text).map((half) => decode(half.replaceAll("+", "%20")));
    return { text, name: name ?? "", value: value ?? "", key: (name ?? "").toLowerCase() };
  });
}

/** What stands before the first equals sign and behind it. */
export function halves(text: string): [string, string] {
  const equals = text.indexOf("=");
  return equals < 0 ? [text, ""] : [text.slice(0, equals), text.slice(equals + 1)];
}

/** Once; what is no escape stays. */
export function decode(text: string): string {
  return text.replace(
    /%([0-9A-Fa-f]{2})/g,
    (_, hex: string) => String.fromCharCode(parseInt(hex, 16)),
  );
}

/** Every byte but the unreserved ones (RFC 3986 2.3). */
export function encode(text: string): string {
  return percentEncode(Buffer.from(text, "latin1"));
}

/** The same for a path, whose slashes stay. */
export function encodePath(path: string): string {
  return path.split("/").map(encode).join("/");
}
