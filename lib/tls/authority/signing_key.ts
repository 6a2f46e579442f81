/**
 * Keys that can sign certificates, each with the one algorithm it signs by here.
 *
 * @module
 */
import { createPublicKey, type KeyObject } from "node:crypto";

export interface SigningKey {
  readonly key: CryptoKey;
  /** The public half, as certificates state it (SubjectPublicKeyInfo in DER). */
  readonly publicKey: Uint8Array;
  readonly algorithm: Algorithm | EcdsaParams;
}

interface Curve {
  readonly namedCurve: string;
  readonly hash: string;
}

/** By curve, as OpenSSL calls it: WebCrypto's name, and the digest of its strength (RFC 5758). */
const CURVES: Readonly<Record<string, Curve>> = {
  prime256v1: { namedCurve: "P-256", hash: "SHA-256" },
  secp384r1: { namedCurve: "P-384", hash: "SHA-384" },
  secp521r1: { namedCurve: "P-521", hash: "SHA-512" },
};

/** Below this, clients refuse the chain: OpenSSL's security level 2, Go, browsers. */
const MIN_RSA_BITS = 2048;

/** The key ready to sign; a sentence about it when clients would not accept its signatures. */
export async function signingKey(key: KeyObject): Promise<SigningKey | string> {
  const { asymmetricKeyType: type, asymmetricKeyDetails: details } = key;
  if (type === "rsa") {
    const bits = details?.modulusLength ?? 0;
    if (bits < MIN_RSA_BITS) return `RSA with ${bits} bits, which clients refuse as too short`;
    const rsa = { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" };
    return await imported(key, rsa, rsa);
  }
  if (type !== "ec") return `of type ${type}, and only RSA and EC are understood by all clients`;
  const name = details?.namedCurve ?? "unknown";
  const curve = CURVES[name];
  if (curve === undefined) return `on the curve ${name}, which TLS clients do not know`;
  const { namedCurve, hash } = curve;
  return await imported(key, { name: "ECDSA", namedCurve }, { name: "ECDSA", hash });
}

async function imported(
  key: KeyObject,
  as: RsaHashedImportParams | EcKeyImportParams,
  algorithm: SigningKey["algorithm"],
): Promise<SigningKey> {
  const pkcs8 = key.export({ type: "pkcs8", format: "der" });
  return {
    key: await crypto.subtle.importKey("pkcs8", Uint8Array.from(pkcs8), as, false, ["sign"]),
    publicKey: createPublicKey(key).export({ type: "spki", format: "der" }),
    algorithm,
  };
}
