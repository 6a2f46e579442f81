/**
 * Keys that can sign certificates, each with the one algorithm it signs by here.
 *
 * @module
 */

import { type KeyObject, sign } from "node:crypto";
import { element, objectIdentifier, sequence, Tag } from "./der.ts";

export interface SigningKey {
  readonly key: KeyObject;
  /** The AlgorithmIdentifier that the certificate states. */
  readonly algorithm: Uint8Array;
  /** Off the main thread: with an RSA key of 4096 bits it takes milliseconds. */
  sign(bytes: Uint8Array): Promise<Uint8Array>;
}

/** By curve, as OpenSSL calls it: digest, and the object identifier of ECDSA with it (RFC 5758). */
const ECDSA: Readonly<Record<string, readonly [digest: string, algorithm: string]>> = {
  prime256v1: ["sha256", "1.2.840.10045.4.3.2"],
  secp384r1: ["sha384", "1.2.840.10045.4.3.3"],
  secp521r1: ["sha512", "1.2.840.10045.4.3.4"],
};

/** sha256WithRSAEncryption (RFC 4055). */
const RSA_SHA256 = "1.2.840.113549.1.1.11";

/** Below this, clients refuse the chain: OpenSSL's security level 2, Go, browsers. */
const MIN_RSA_BITS = 2048;

/** The key ready to sign; a sentence about it when clients would not accept its signatures. */
export function signingKey(key: KeyObject): SigningKey | string {
  const { asymmetricKeyType: type, asymmetricKeyDetails: details } = key;
  if (type === "rsa") {
    const bits = details?.modulusLength ?? 0;
    if (bits < MIN_RSA_BITS) return `RSA with ${bits} bits, which clients refuse as too short`;
    const none = element(Tag.Null);
    return signer(key, "sha256", sequence(objectIdentifier(RSA_SHA256), none));
  }
  if (type !== "ec") return `of type ${type}, and only RSA and EC are understood by all clients`;
  const curve = details?.namedCurve ?? "unknown";
  const known = ECDSA[curve];
  if (known === undefined) return `on the curve ${curve}, which TLS clients do not know`;
  return signer(key, known[0], sequence(objectIdentifier(known[1])));
}

function signer(key: KeyObject, digest: string, algorithm: Uint8Array): SigningKey {
  return {
    key,
    algorithm,
    sign: (bytes) =>
      new Promise((resolve, reject) =>
        sign(digest, bytes, key, (error, signature) => error ? reject(error) : resolve(signature))
      ),
  };
}
