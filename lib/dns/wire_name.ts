/**
 * Domain names on the wire (RFC 1035 3.1, 4.1.4). Pure.
 *
 * @module
 */
import type { Cursor } from "../base/cursor.ts";

/** The message cannot be understood; nothing of it may be used. */
export class MalformedDns extends Error {
  override readonly name = "MalformedDns";
}

/** RFC 1035 2.3.4, with the length bytes. */
const MAX_WIRE_NAME = 255;

/** A name as its labels, bytes as they came: case is kept (0x20), and labels may hold any byte. */
export type WireName = readonly Uint8Array[];

/**
 * Reads a name, following compression pointers. Each must point before the last, so a loop is
 * impossible.
 */
export function readName(cursor: Cursor): WireName {
  const labels: Uint8Array[] = [];
  let length = 1;
  let limit = cursor.at;
  let resume: number | undefined;
  for (;;) {
    const size = cursor.u8();
    if ((size & 0xc0) === 0xc0) {
      const target = (size & 0x3f) << 8 | cursor.u8();
      resume ??= cursor.at;
      if (target >= limit) throw new MalformedDns("compression pointer that does not point back");
      limit = target;
      cursor.at = target;
      continue;
    }
    if (size > 63) throw new MalformedDns("label of an unknown kind");
    if (size === 0) break;
    length += size + 1;
    if (length > MAX_WIRE_NAME) throw new MalformedDns("name over 255 bytes");
    labels.push(cursor.take(size));
  }
  if (resume !== undefined) cursor.at = resume;
  return labels;
}

/** The uncompressed wire form. */
export function nameBytes(labels: WireName): Uint8Array {
  const bytes = new Uint8Array(labels.reduce((sum, label) => sum + label.length + 1, 1));
  let at = 0;
  for (const label of labels) {
    bytes[at++] = label.length;
    bytes.set(label, at);
    at += label.length;
  }
  return bytes;
}

/**
 * Lower-case presentation form without the root dot. Bytes that host names do not have are escaped
 * (`\.`, `\000`), so a label that holds a dot is not two labels.
 */
export function nameText(labels: WireName): string {
  return labels.map(labelText).join(".");
}

function labelText(label: Uint8Array): string {
  let text = "";
  for (const byte of label) {
    const plain = byte >= 0x30 && byte <= 0x39 || byte >= 0x61 && byte <= 0x7a ||
      byte === 0x2d || byte === 0x5f;
    if (plain) text += String.fromCharCode(byte);
    else if (byte >= 0x41 && byte <= 0x5a) text += String.fromCharCode(byte + 32);
    else text += `\\${byte.toString().padStart(3, "0")}`;
  }
  return text;
}

/** Labels of a presentation name without escapes. */
export function labelsOf(text: string): WireName {
  if (text === "" || text === ".") return [];
  return text.replace(/\.$/, "").split(".").map((label) => new TextEncoder().encode(label));
}
