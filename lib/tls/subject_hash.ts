/**
 * The name that OpenSSL looks a certificate up by in a directory: the first four bytes, the lowest
 * first, of the SHA-1 digest of its subject, with differences that do not matter taken out
 * (X509_NAME_hash). `c_rehash` makes the same.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { element, sequence, Tag } from "./der.ts";
import { type Element, elementsOf, readElement } from "./der_reader.ts";

/** Eight hexadecimal digits for a subject in DER. @throws DerFault */
export function subjectHash(subject: Uint8Array): string {
  const names = elementsOf(readElement(subject)).map((set) =>
    element(Tag.Set, ...elementsOf(set).map(canonicalAttribute))
  );
  const digest = createHash("sha1").update(Buffer.concat(names)).digest();
  return digest.readUInt32LE(0).toString(16).padStart(8, "0");
}

function canonicalAttribute(attribute: Element): Uint8Array {
  const [type, value] = elementsOf(attribute);
  if (type === undefined || value === undefined) return attribute.whole;
  const text = textOf(value);
  if (text === null) return attribute.whole;
  const folded = text.replace(/^\s+|\s+$/g, "").replace(/\s+/g, " ")
    .replace(/[A-Z]/g, (letter) => letter.toLowerCase());
  return sequence(type.whole, element(Tag.Utf8String, Buffer.from(folded, "utf8")));
}

/** The kinds of string that have a canonical form; any other value stays as it is. */
function textOf({ tag, content }: Element): string | null {
  switch (tag) {
    case Tag.Utf8String:
      return Buffer.from(content).toString("utf8");
    case 0x13: // PrintableString
    case 0x14: // T61String, which OpenSSL reads as Latin-1
    case 0x16: // IA5String
    case 0x1a: // VisibleString
      return Buffer.from(content).toString("latin1");
    case 0x1e: // BMPString: UTF-16, most significant byte first
      return content.length % 2 === 0 ? Buffer.from(content).swap16().toString("utf16le") : null;
    default:
      return null;
  }
}
