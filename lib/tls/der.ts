/**
 * The little of DER (X.690) that certificates are written in. Each function gives one element,
 * whole; certificates are the elements nested.
 *
 * @module
 */

import { Buffer } from "node:buffer";

/** Tags of the elements that certificates hold (X.690 §8; the class and form bits included). */
export const Tag = {
  Boolean: 0x01,
  Integer: 0x02,
  BitString: 0x03,
  OctetString: 0x04,
  Null: 0x05,
  ObjectIdentifier: 0x06,
  Utf8String: 0x0c,
  Sequence: 0x30,
  Set: 0x31,
  UtcTime: 0x17,
  GeneralizedTime: 0x18,
} as const;

/** An element of any tag around its content. */
export function element(tag: number, ...content: readonly Uint8Array[]): Uint8Array {
  const length = content.reduce((sum, part) => sum + part.length, 0);
  return Buffer.concat([header(tag, length), ...content]);
}

function header(tag: number, length: number): Uint8Array {
  if (length < 0x80) return Uint8Array.of(tag, length);
  const digits: number[] = [];
  for (let rest = length; rest > 0; rest = Math.floor(rest / 256)) digits.unshift(rest % 256);
  return Uint8Array.of(tag, 0x80 | digits.length, ...digits);
}

export function sequence(...content: readonly Uint8Array[]): Uint8Array {
  return element(Tag.Sequence, ...content);
}

/** A non-negative integer from its big-endian bytes. */
export function integer(bytes: Uint8Array): Uint8Array {
  let start = 0;
  while (start < bytes.length - 1 && bytes[start] === 0) start++;
  const magnitude = bytes.subarray(start);
  const sign = ((magnitude[0] ?? 0) & 0x80) === 0 ? [] : [Uint8Array.of(0)];
  return element(Tag.Integer, ...sign, magnitude);
}

export const TRUE = element(Tag.Boolean, Uint8Array.of(0xff));

export function octetString(bytes: Uint8Array): Uint8Array {
  return element(Tag.OctetString, bytes);
}

/** `unused`: how many bits at the end do not count. */
export function bitString(bytes: Uint8Array, unused = 0): Uint8Array {
  return element(Tag.BitString, Uint8Array.of(unused), bytes);
}

/** From the dotted form, like `2.5.29.17`. */
export function objectIdentifier(dotted: string): Uint8Array {
  const [first = 0, second = 0, ...arcs] = dotted.split(".").map(Number);
  return element(
    Tag.ObjectIdentifier,
    Uint8Array.from([first * 40 + second, ...arcs].flatMap(base128)),
  );
}

function base128(arc: number): number[] {
  const digits = [arc & 0x7f];
  for (let rest = arc >>> 7; rest > 0; rest >>>= 7) digits.unshift((rest & 0x7f) | 0x80);
  return digits;
}

export function utf8String(text: string): Uint8Array {
  return element(Tag.Utf8String, Buffer.from(text, "utf8"));
}

/** Whole seconds; two-digit years until 2049, as RFC 5280 §4.1.2.5 wants it. */
export function time(date: Date): Uint8Array {
  const digits = date.toISOString().replace(/\.\d+|[-:T]/g, "");
  return date.getUTCFullYear() < 2050
    ? element(Tag.UtcTime, Buffer.from(digits.slice(2), "latin1"))
    : element(Tag.GeneralizedTime, Buffer.from(digits, "latin1"));
}
