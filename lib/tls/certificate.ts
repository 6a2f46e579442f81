/**
 * X.509 certificates (RFC 5280) as they are written: the fields, and the extensions that clients
 * look at.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { createHash, createPublicKey, type KeyObject, randomBytes } from "node:crypto";
import { parseAddress } from "../base/address.ts";
import {
  bitString,
  element,
  integer,
  objectIdentifier,
  octetString,
  sequence,
  Tag,
  time,
  TRUE,
  utf8String,
} from "./der.ts";
import { elementsOf, readElement } from "./der_reader.ts";
import type { SigningKey } from "./signing_key.ts";

export interface CertificateFields {
  /** Names as {@link distinguishedName} gives them, or out of another certificate. */
  readonly issuer: Uint8Array;
  readonly subject: Uint8Array;
  readonly notBefore: Date;
  readonly notAfter: Date;
  readonly publicKey: SubjectKey;
  readonly extensions: readonly Uint8Array[];
}

/** A public key as certificates hold it, and the identifier that they know it by. */
export interface SubjectKey {
  readonly info: Uint8Array;
  readonly identifier: Uint8Array;
}

const VERSION_3 = element(0xa0, integer(Uint8Array.of(2)));

/** The signed certificate in DER. Its serial number is random (RFC 5280 §4.1.2.2). */
export async function signCertificate(
  fields: CertificateFields,
  issuer: SigningKey,
): Promise<Uint8Array> {
  const body = sequence(
    VERSION_3,
    integer(serialNumber()),
    issuer.algorithm,
    fields.issuer,
    sequence(time(fields.notBefore), time(fields.notAfter)),
    fields.subject,
    fields.publicKey.info,
    element(0xa3, sequence(...fields.extensions)),
  );
  return sequence(body, issuer.algorithm, bitString(await issuer.sign(body)));
}

/** 126 random bits below a set one: positive, never zero, always as long. */
function serialNumber(): Uint8Array {
  const bytes = randomBytes(16);
  bytes[0] = (bytes[0] ?? 0) & 0x3f | 0x40;
  return bytes;
}

/** The key of a certificate to be; its identifier is the usual digest (RFC 5280 §4.2.1.2). */
export function subjectKey(key: KeyObject): SubjectKey {
  const info = createPublicKey(key).export({ type: "spki", format: "der" });
  const [, bits] = elementsOf(readElement(info));
  const identifier = createHash("sha1").update(bits?.content.subarray(1) ?? info).digest();
  return { info, identifier };
}

const ORGANISATION = "2.5.4.10";
const COMMON_NAME = "2.5.4.3";

/** RFC 5280, ub-common-name. */
export const MAX_COMMON_NAME = 64;

/** O=sbx with this common name; without one when it is longer than the format allows. */
export function distinguishedName(commonName: string): Uint8Array {
  const parts = [attribute(ORGANISATION, "sbx")];
  if (commonName.length <= MAX_COMMON_NAME) parts.push(attribute(COMMON_NAME, commonName));
  return sequence(...parts);
}

function attribute(type: string, value: string): Uint8Array {
  return element(Tag.Set, sequence(objectIdentifier(type), utf8String(value)));
}

function extension(id: string, critical: boolean, value: Uint8Array): Uint8Array {
  const mark = critical ? [TRUE] : [];
  return sequence(objectIdentifier(id), ...mark, octetString(value));
}

/** Object identifiers of the extensions, for writing and for reading. */
export const ExtensionId = {
  subjectKeyIdentifier: "2.5.29.14",
  keyUsage: "2.5.29.15",
  subjectAltName: "2.5.29.17",
  basicConstraints: "2.5.29.19",
  authorityKeyIdentifier: "2.5.29.35",
  extendedKeyUsage: "2.5.29.37",
} as const;

export const SERVER_AUTH = "1.3.6.1.5.5.7.3.1";

/** Bits of keyUsage, the first one highest. */
export const KeyUsage = { digitalSignature: 0x80, keyCertSign: 0x04, crlSign: 0x02 } as const;

/** What an authority says of itself: it signs leaves, and no other authorities. */
export function authorityExtensions(key: SubjectKey): Uint8Array[] {
  const noneBelow = integer(Uint8Array.of(0));
  return [
    extension(ExtensionId.basicConstraints, true, sequence(TRUE, noneBelow)),
    extension(
      ExtensionId.keyUsage,
      true,
      bitString(Uint8Array.of(KeyUsage.keyCertSign | KeyUsage.crlSign), 1),
    ),
    extension(ExtensionId.subjectKeyIdentifier, false, octetString(key.identifier)),
  ];
}

/** What a leaf says: a TLS server of exactly this host, by the authority with that key. */
export function leafExtensions(
  host: string,
  key: SubjectKey,
  authorityKey: Uint8Array,
): Uint8Array[] {
  return [
    extension(ExtensionId.basicConstraints, true, sequence()),
    extension(ExtensionId.keyUsage, true, bitString(Uint8Array.of(KeyUsage.digitalSignature), 7)),
    extension(ExtensionId.extendedKeyUsage, false, sequence(objectIdentifier(SERVER_AUTH))),
    extension(ExtensionId.subjectAltName, false, sequence(generalName(host))),
    extension(ExtensionId.subjectKeyIdentifier, false, octetString(key.identifier)),
    extension(ExtensionId.authorityKeyIdentifier, false, sequence(element(0x80, authorityKey))),
  ];
}

/** dNSName, or iPAddress in network order (RFC 5280 §4.2.1.6). */
function generalName(host: string): Uint8Array {
  const address = parseAddress(host);
  if (address === null) return element(0x82, Buffer.from(host, "latin1"));
  return element(0x87, address.bytes);
}

/** DER in the armour of RFC 7468. */
export function certificatePem(der: Uint8Array): string {
  const lines = Buffer.from(der).toString("base64").match(/.{1,64}/g) ?? [];
  return `-----BEGIN CERTIFICATE-----\n${lines.join("\n")}\n-----END CERTIFICATE-----\n`;
}
