/**
 * Domain names on the wire (RFC 1035 §3.1, §4.1.4).
 *
 * A name is kept as its uncompressed wire form, byte for byte: the guest gets its own spelling back
 * (0x20), and a label may hold a dot or a NUL without becoming another name on the way.
 *
 * @module
 */
import type { Cursor } from "../../base/cursor.ts";

/** The message cannot be understood; nothing of it may be used. */
export class MalformedDns extends Error {
  override readonly name = "MalformedDns";
}

/** Length-prefixed labels up to and including the root's zero byte. */
export type WireName = Uint8Array;

/** RFC 1035 §2.3.4. */
const MAX_NAME = 255;
const MAX_LABEL = 63;

/**
 * Compression pointers followed for one name. Pointers must point back, so there is no loop, but a
 * chain of thousands would still cost a large message quadratic time.
 */
const MAX_POINTERS = 64;

export const ROOT: WireName = Uint8Array.of(0);

/** Reads a name and leaves the cursor behind it. */
export function readName(cursor: Cursor): WireName {
  const start = cursor.at;
  skipLabels(cursor);
  const ended = cursor.bytes[cursor.at] === 0;
  const head = cursor.bytes.slice(start, cursor.at);
  if (ended) {
    cursor.at++;
    return terminated([head]);
  }
  const parts: Uint8Array[] = [head];
  let limit = start;
  let resume: number | undefined;
  for (let pointers = 0;; pointers++) {
    const target = cursor.u16() & 0x3fff;
    resume ??= cursor.at;
    if (target >= limit) throw new MalformedDns("compression pointer that does not point back");
    if (pointers === MAX_POINTERS) throw new MalformedDns("too many compression pointers");
    limit = target;
    cursor.at = target;
    skipLabels(cursor);
    parts.push(cursor.bytes.subarray(target, cursor.at));
    if (cursor.bytes[cursor.at] === 0) break;
  }
  cursor.at = resume;
  return terminated(parts);
}

/** Reads a name that must not be compressed. */
export function readPlainName(cursor: Cursor): WireName {
  const start = cursor.at;
  skipLabels(cursor);
  if (cursor.u8() !== 0) throw new MalformedDns("a compressed name where none may be");
  return terminated([cursor.bytes.slice(start, cursor.at - 1)]);
}

/** Moves over plain labels to the byte that ends the run: the root's zero or a pointer's first. */
function skipLabels(cursor: Cursor): void {
  const start = cursor.at;
  for (;;) {
    const size = cursor.u8();
    if (size === 0 || (size & 0xc0) === 0xc0) {
      cursor.at--;
      return;
    }
    if (size > MAX_LABEL) throw new MalformedDns("label of an unknown kind");
    cursor.skip(size);
    if (cursor.at - start >= MAX_NAME) throw new MalformedDns("name over 255 bytes");
  }
}

function terminated(parts: readonly Uint8Array[]): WireName {
  const length = parts.reduce((sum, part) => sum + part.length, 1);
  if (length > MAX_NAME) throw new MalformedDns("name over 255 bytes");
  const name = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    name.set(part, at);
    at += part.length;
  }
  return name;
}

/**
 * Lower-case presentation form without the root dot; the root is the empty text. Bytes that host
 * names do not have are escaped (`\046`), so texts are equal exactly when the names are, and a label
 * that holds a dot does not read as two.
 */
export function nameText(name: WireName): string {
  let text = texts.get(name);
  if (text === undefined) texts.set(name, text = present(name));
  return text;
}

/** Answers are kept, and judged whenever they are given. */
const texts = new WeakMap<WireName, string>();

function present(name: WireName): string {
  let text = "";
  for (let at = 0; (name[at] ?? 0) !== 0;) {
    const end = at + 1 + (name[at] ?? 0);
    if (at > 0) text += ".";
    for (at++; at < end; at++) text += PRESENTED[name[at] ?? 0] ?? "";
  }
  return text;
}

const PRESENTED: readonly string[] = Array.from({ length: 256 }, (_, byte) => {
  const char = String.fromCharCode(byte).toLowerCase();
  return byte < 0x80 && /[a-z0-9_-]/.test(char) ? char : `\\${String(byte).padStart(3, "0")}`;
});

/** The wire form of a canonical name. */
export function wireName(text: string): WireName {
  if (text === "") return ROOT;
  return terminated(
    text.split(".").map((label) => {
      if (label === "" || label.length > MAX_LABEL) throw new MalformedDns("label of a bad length");
      return Uint8Array.of(label.length, ...new TextEncoder().encode(label));
    }),
  );
}

/** The name with ASCII letters in lower case. Lengths stay below 64, so no length byte is a letter. */
export function loweredName(name: WireName): WireName {
  return name.map((byte) => byte >= 0x41 && byte <= 0x5a ? byte + 0x20 : byte);
}

/**
 * Whether every byte is visible ASCII. Other names are in no zone that a resolver's client could
 * type, and folding or cutting them (at NUL, say) is how one name passes for another.
 */
export function isVisible(name: WireName): boolean {
  for (let at = 0; (name[at] ?? 0) !== 0;) {
    const end = at + 1 + (name[at] ?? 0);
    for (at++; at < end; at++) {
      const byte = name[at] ?? 0;
      if (byte <= 0x20 || byte >= 0x7f || byte === 0x2e || byte === 0x5c) return false;
    }
  }
  return true;
}
