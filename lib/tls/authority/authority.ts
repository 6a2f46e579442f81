/**
 * The certificate authority that answers to the guest for everything that is intercepted, and the
 * making of a new one.
 *
 * It carries no name constraints: it has to speak for whatever the guest may reach, and clients
 * differ in which constraints they understand. What bounds it is who trusts it, which is this guest.
 *
 * @module
 */

import { generateKeyPairSync, randomBytes } from "node:crypto";
import {
  authorityExtensions,
  certificatePem,
  distinguishedName,
  signCertificate,
  subjectKey,
} from "./certificate.ts";
import { type SigningKey, signingKey } from "./signing_key.ts";
import { type AuthorityOptions, DAY_MS, DEFAULT_DAYS, ownName } from "./spec.ts";
import type { Name } from "./x509.ts";

/** An authority ready to sign leaves. */
export interface Authority {
  /** Its certificate, as clients are to trust it or, under a root of the user's, to be shown it. */
  readonly certificatePem: string;
  readonly certificateDer: Uint8Array;
  /** Certificates above it, in order; the last is a root. Empty for one that signed itself. */
  readonly above: readonly string[];
  readonly signer: SigningKey;
  /** Its name, which leaves state as their issuer. */
  readonly subject: Name;
  /** Its subject key identifier, in hexadecimal. */
  readonly keyIdentifier: string;
  readonly notAfter: Date;
  /** Why some clients may refuse it, as sentences. */
  readonly doubts: readonly string[];
}

/** An authority and its key, for keeping. */
export interface FreshAuthority {
  readonly authority: Authority;
  /** PKCS #8. */
  readonly keyPem: string;
}

/** Certificates that began only now are refused where a clock is behind. */
export const BACKDATE_MS = 3_600_000;

/** Makes a self-signed authority: ECDSA on P-256, which every current client takes. */
export async function makeAuthority(
  { name, days = DEFAULT_DAYS }: AuthorityOptions = {},
  now = Date.now(),
): Promise<FreshAuthority> {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "prime256v1" });
  const signer = await signingKey(privateKey);
  if (typeof signer === "string") throw new TypeError(`Cannot sign with a fresh key: ${signer}`);
  const subject = distinguishedName(name ?? ownName(randomBytes(3).toString("hex")));
  const publicKey = await subjectKey(signer.publicKey);
  const notAfter = new Date(now + days * DAY_MS);
  const certificate = await signCertificate({
    issuer: subject,
    subject,
    notBefore: new Date(now - BACKDATE_MS),
    notAfter,
    publicKey,
    extensions: authorityExtensions(publicKey),
  }, signer);
  return {
    keyPem: privateKey.export({ type: "pkcs8", format: "pem" }).toString(),
    authority: {
      certificatePem: certificatePem(certificate),
      certificateDer: new Uint8Array(certificate.rawData),
      above: [],
      signer,
      subject,
      keyIdentifier: publicKey.identifier,
      notAfter,
      doubts: [],
    },
  };
}
