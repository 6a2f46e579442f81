/**
 * Certificates as they are signed here (RFC 5280): what an authority says of itself, and what a leaf
 * says to the clients that look at it.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { randomBytes } from "node:crypto";
import { parseAddress } from "../../base/address.ts";
import type { SigningKey } from "./signing_key.ts";
import { MAX_COMMON_NAME } from "./spec.ts";
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  type Extension,
  KeyUsageFlags,
  KeyUsagesExtension,
  Name,
  PublicKey,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  type X509Certificate,
  X509CertificateGenerator,
} from "./x509.ts";

export interface CertificateFields {
  /** Out of the authority's certificate: names are compared byte by byte. */
  readonly issuer: Name;
  readonly subject: Name;
  readonly notBefore: Date;
  readonly notAfter: Date;
  readonly publicKey: SubjectKey;
  readonly extensions: readonly Extension[];
}

/** A public key as certificates hold it, and the identifier that they know it by, in hexadecimal. */
export interface SubjectKey {
  readonly publicKey: PublicKey;
  readonly identifier: string;
}

/** The signed certificate. */
export function signCertificate(
  { publicKey, extensions, ...fields }: CertificateFields,
  issuer: SigningKey,
): Promise<X509Certificate> {
  return X509CertificateGenerator.create({
    ...fields,
    serialNumber: serialNumber(),
    publicKey: publicKey.publicKey,
    signingKey: issuer.key,
    signingAlgorithm: issuer.algorithm,
    extensions: [...extensions],
  });
}

/** 126 random bits below a set one: positive, never zero, always as long (RFC 5280 §4.1.2.2). */
function serialNumber(): string {
  const bytes = randomBytes(16);
  bytes[0] = (bytes[0] ?? 0) & 0x3f | 0x40;
  return bytes.toString("hex");
}

/** Of a SubjectPublicKeyInfo in DER; the identifier is the usual digest (RFC 5280 §4.2.1.2). */
export async function subjectKey(info: Uint8Array): Promise<SubjectKey> {
  const publicKey = new PublicKey(Uint8Array.from(info));
  const identifier = await publicKey.getKeyIdentifier();
  return { publicKey, identifier: Buffer.from(identifier).toString("hex") };
}

/** O=sbx with this common name; without one when it is longer than the format allows. */
export function distinguishedName(commonName: string): Name {
  const parts = [{ O: [{ utf8String: "sbx" }] }];
  if (commonName.length > MAX_COMMON_NAME) return new Name(parts);
  return new Name([...parts, { CN: [{ utf8String: commonName }] }]);
}

/** What an authority says of itself: it signs leaves, and no other authorities. */
export function authorityExtensions(key: SubjectKey): Extension[] {
  return [
    new BasicConstraintsExtension(true, 0, true),
    new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
    new SubjectKeyIdentifierExtension(key.identifier),
  ];
}

/** What a leaf says: a TLS server of exactly this host, by the authority with that key. */
export function leafExtensions(host: string, key: SubjectKey, authorityKey: string): Extension[] {
  const type = parseAddress(host) === null ? "dns" : "ip";
  return [
    new BasicConstraintsExtension(false, undefined, true),
    new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
    new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth]),
    new SubjectAlternativeNameExtension([{ type, value: host }]),
    new SubjectKeyIdentifierExtension(key.identifier),
    new AuthorityKeyIdentifierExtension(authorityKey),
  ];
}

/** DER in the armour of RFC 7468. */
export function certificatePem(certificate: X509Certificate): string {
  return `${certificate.toString("pem")}\n`;
}
