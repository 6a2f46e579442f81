/**
 * An authority out of PEM text. What every client would refuse is an error here, with the file to
 * blame, and what only strict ones refuse is a doubt.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { createPrivateKey, type KeyObject, X509Certificate } from "node:crypto";
import { SbxError } from "../../base/errors.ts";
import { escapeText } from "../../base/escape.ts";
import type { Authority } from "./authority.ts";
import { subjectKey } from "./certificate.ts";
import { type CertificateFacts, readCertificate } from "./certificate_reader.ts";
import { type SigningKey, signingKey } from "./signing_key.ts";
import { ExtendedKeyUsage, KeyUsageFlags } from "./x509.ts";

/** The text of a file, and its path for errors. */
export interface PemFile {
  readonly path: string;
  readonly text: string;
}

interface Certificate {
  readonly der: Uint8Array;
  readonly parsed: X509Certificate;
  readonly facts: CertificateFacts;
}

/**
 * The authority of a certificate, followed by those above it up to the root, and its key. Both may
 * be in one file.
 *
 * @throws SbxError TLS_INVALID
 */
export async function parseAuthority(
  cert: PemFile,
  key: PemFile,
  now = Date.now(),
): Promise<Authority> {
  const chain = readCertificates(cert);
  const [own] = chain;
  if (own === undefined) throw noCertificate(cert);
  const privateKey = readKey(key);
  const signer = await signingKey(privateKey);
  if (typeof signer === "string") throw unusable("key", key, `it is ${signer}`);
  for (const [index, each] of chain.entries()) requireAuthority(each, index, cert, now);
  requireMatch(chain, privateKey, cert, key);
  requireChain(chain, cert);
  return await authorityOf(chain, own, signer, doubtsAbout(chain, cert));
}

async function authorityOf(
  chain: readonly Certificate[],
  { der, facts, parsed }: Certificate,
  signer: SigningKey,
  doubts: readonly string[],
): Promise<Authority> {
  return {
    certificatePem: facts.pem,
    certificateDer: der,
    above: chain.slice(1).map(({ facts }) => facts.pem),
    signer,
    subject: facts.subject,
    keyIdentifier: facts.keyIdentifier ?? (await subjectKey(signer.publicKey)).identifier,
    notAfter: new Date(parsed.validTo),
    doubts,
  };
}

const BLOCK = /-----BEGIN CERTIFICATE-----\s([A-Za-z0-9+/=\s]*)-----END CERTIFICATE-----/g;

/** Every certificate of a PEM file in its order. @throws SbxError TLS_INVALID */
export function certificatesIn(file: PemFile): readonly string[] {
  const found = readCertificates(file);
  if (found.length === 0) throw noCertificate(file);
  return found.map(({ facts }) => facts.pem);
}

function readCertificates(file: PemFile): readonly Certificate[] {
  const blocks = [...file.text.matchAll(BLOCK)].map(([, body = ""]) => Buffer.from(body, "base64"));
  return blocks.map((der, index) => {
    try {
      return { der, facts: readCertificate(der), parsed: new X509Certificate(der) };
    } catch {
      throw unusable("certificate", file, `${ordinal(index)} is damaged`);
    }
  });
}

function readKey(file: PemFile): KeyObject {
  if (/-----BEGIN ENCRYPTED PRIVATE KEY-----|^Proc-Type: 4,ENCRYPTED/m.test(file.text)) {
    throw unusable("key", file, "it is encrypted", {
      hint: "decrypt it into a file that only you can read, with 'openssl pkey -in KEY -out PLAIN'",
    });
  }
  const pem = keyBlock(file.text);
  if (pem === null) throw unusable("key", file, `it holds no private key in PEM${der(file)}`);
  try {
    return createPrivateKey(pem);
  } catch {
    throw unusable("key", file, "its private key cannot be read", {
      hint: "it is to be RSA, or EC on P-256, P-384 or P-521",
    });
  }
}

/** The first block of a private key. Two searches: one pattern would look for the end at each beginning. */
function keyBlock(text: string): string | null {
  const begin = text.search(/-----BEGIN (?:(?:EC|RSA) )?PRIVATE KEY-----/);
  if (begin < 0) return null;
  const end = /-----END [A-Z ]*-----/.exec(text.slice(begin));
  return end === null ? null : text.slice(begin, begin + end.index + end[0].length);
}

function requireAuthority(each: Certificate, index: number, file: PemFile, now: number): void {
  const { parsed, facts: { isAuthority, keyUsage, pathLength, purposes } } = each;
  const wrong = (state: string, hint?: string) =>
    unusable("certificate", file, `${ordinal(index)} ${state}`, hint === undefined ? {} : { hint });
  const [from, to] = [new Date(parsed.validFrom), new Date(parsed.validTo)];
  if (to.getTime() <= now) throw wrong(`expired on ${day(to)}`);
  if (from.getTime() > now) throw wrong(`is not valid before ${day(from)}`);
  if (!isAuthority) {
    throw wrong(
      "is that of a server or client, not of an authority",
      "an authority's says CA:TRUE in its basic constraints",
    );
  }
  if (keyUsage !== undefined && (keyUsage & KeyUsageFlags.keyCertSign) === 0) {
    throw wrong("may not sign certificates: its key usage leaves that out");
  }
  if (purposes !== undefined && !purposes.some(coversServers)) {
    throw wrong("may not sign for servers: its extended key usage leaves that out");
  }
  // The authorities below are those before it in the file.
  if (pathLength !== undefined && pathLength < index) {
    throw wrong(`allows ${pathLength} authorities below it, and there are ${index}`);
  }
}

/** What RFC 5280 §4.2.1 wants in every authority, and Python from 3.13 on insists upon. */
function doubtsAbout(chain: readonly Certificate[], { path }: PemFile): string[] {
  return chain.flatMap(({ facts }, index) => {
    const missing = [
      ...(facts.keyUsage === undefined ? ["key usage"] : []),
      ...(facts.keyIdentifier === undefined ? ["subject key identifier"] : []),
    ].join(" and no ");
    if (missing === "") return [];
    const subject = index === 0
      ? escapeText(path)
      : `certificate ${index + 1} in ${escapeText(path)}`;
    return [`${subject} states no ${missing}: strict clients in the guest will refuse it`];
  });
}

/** anyExtendedKeyUsage (RFC 5280 §4.2.1.12). */
const ANY_PURPOSE = "2.5.29.37.0";

function coversServers(purpose: string): boolean {
  return purpose === ExtendedKeyUsage.serverAuth || purpose === ANY_PURPOSE;
}

function requireMatch(
  chain: readonly Certificate[],
  key: KeyObject,
  cert: PemFile,
  keyFile: PemFile,
): void {
  const owner = chain.findIndex(({ parsed }) => isKeyTo(parsed, key));
  if (owner === 0) return;
  if (owner < 0) throw unusable("key", keyFile, `it is not the key to ${escapeText(cert.path)}`);
  throw unusable("certificate", cert, `the key belongs to ${ordinal(owner)}`, {
    hint: "put the certificate of the key first, and those above it behind",
  });
}

/** False also of a certificate whose own key is of a type that this runtime does not know. */
function isKeyTo(certificate: X509Certificate, key: KeyObject): boolean {
  try {
    return certificate.checkPrivateKey(key);
  } catch {
    return false;
  }
}

/** Each is issued by the next, and the last by itself: what clients need to get to a root. */
function requireChain(chain: readonly Certificate[], file: PemFile): void {
  for (const [index, { parsed }] of chain.entries()) {
    const above = Math.min(index + 1, chain.length - 1);
    const issued = isIssuedBy(parsed, chain[above]?.parsed ?? parsed);
    if (issued === true) continue;
    if (issued === null) {
      throw unusable("certificate", file, `${ordinal(above)} has a key of an unknown type`, {
        hint: "use a chain of RSA keys, or of EC keys on P-256, P-384 or P-521",
      });
    }
    if (index === chain.length - 1) {
      throw unusable("certificate", file, `${ordinal(index)} was issued by another authority`, {
        hint: "append that authority's certificate, and so on to the root",
      });
    }
    throw unusable("certificate", file, `${ordinal(index)} was not issued by the next one`, {
      hint: "order them from the authority of the key up to the root",
    });
  }
}

/** Null when the issuer's key is of a type that this runtime does not know. */
function isIssuedBy(certificate: X509Certificate, issuer: X509Certificate): boolean | null {
  if (!certificate.checkIssued(issuer)) return false;
  try {
    return certificate.verify(issuer.publicKey);
  } catch {
    return null;
  }
}

function noCertificate(file: PemFile): SbxError {
  return unusable("certificate", file, `it holds no certificate in PEM${der(file)}`);
}

/** A word for those who gave the binary form. */
function der({ text }: PemFile): string {
  return text.startsWith("0") && text.includes("\ufffd") ? "; it looks like DER" : "";
}

function ordinal(index: number): string {
  return index === 0 ? "it" : `certificate ${index + 1} in it`;
}

function day(date: Date): string {
  return date.toISOString().slice(0, 10);
}

function unusable(
  what: "certificate" | "key",
  { path }: PemFile,
  state: string,
  options: { readonly hint?: string } = {},
): SbxError {
  return new SbxError("TLS_INVALID", `Cannot use ${what} ${escapeText(path)}: ${state}`, options);
}
