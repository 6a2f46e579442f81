/**
 * The name that OpenSSL looks a certificate up by in a directory: the first four bytes, the lowest
 * first, of the SHA-1 digest of its subject, with differences that do not matter taken out
 * (X509_NAME_hash). `c_rehash` makes the same.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { AsnConvert } from "@peculiar/asn1-schema";
import {
  AttributeTypeAndValue,
  AttributeValue,
  Name,
  RelativeDistinguishedName,
} from "@peculiar/asn1-x509";

/** Eight hexadecimal digits for a subject in DER. @throws Error when it is none */
export function subjectHash(subject: ArrayBuffer): string {
  const names = [...AsnConvert.parse(subject, Name)].map((name) =>
    Buffer.from(AsnConvert.serialize(
      new RelativeDistinguishedName([...name].map(canonicalAttribute)),
    ))
  );
  const digest = createHash("sha1").update(Buffer.concat(names)).digest();
  return digest.readUInt32LE(0).toString(16).padStart(8, "0");
}

function canonicalAttribute({ type, value }: AttributeTypeAndValue): AttributeTypeAndValue {
  const text = textOf(value);
  if (text === undefined) return new AttributeTypeAndValue({ type, value });
  const folded = text.trim().replace(/\s+/g, " ")
    .replace(/[A-Z]/g, (letter) => letter.toLowerCase());
  return new AttributeTypeAndValue({ type, value: new AttributeValue({ utf8String: folded }) });
}

/** The kinds of string that have a canonical form; any other value stays as it is. */
function textOf(value: AttributeValue): string | undefined {
  return value.utf8String ?? value.printableString ?? value.teletexString ?? value.ia5String ??
    value.bmpString;
}
