/**
 * The certificates shown to the guest, one per host, made when first asked for.
 *
 * All of them have the same key: it never leaves this process, and nobody who could read one key of
 * it could not read them all. So a guest that asks for thousands of names costs a signature each.
 *
 * @module
 */

import { generateKeyPairSync } from "node:crypto";
import { LruMap } from "../../base/lru.ts";
import { Semaphore } from "../../base/semaphore.ts";
import { type Authority, BACKDATE_MS } from "./authority.ts";
import {
  certificatePem,
  distinguishedName,
  leafExtensions,
  signCertificate,
  type SubjectKey,
  subjectKey,
} from "./certificate.ts";
import { DAY_MS } from "./spec.ts";

/** What a TLS server shows: its key, and its certificate followed by those above it. PEM. */
export interface Identity {
  readonly key: string;
  readonly cert: string;
}

interface Leaf {
  readonly identity: Promise<Identity>;
  /** When to make another one, in milliseconds since 1970. */
  readonly staleAt: number;
}

/** Hosts remembered; a forgotten one is made again. */
const CAPACITY = 1024;

/** Made at the same time: one that is being made holds some 40 kB, and a flood asks for thousands. */
const AT_ONCE = 4;

/** Far below the 398 days that clients accept, and long enough for any connection. */
const VALID_MS = 7 * DAY_MS;

/** How much of its time a leaf is handed out for; connections outlive their handshake. */
const FRESH_SHARE = 6 / 7;

export class Leaves {
  readonly #authority: Authority;
  readonly #now: () => number;
  readonly #leaves = new LruMap<string, Leaf>(CAPACITY);
  readonly #making = new Semaphore(AT_ONCE, "newest");
  readonly #key: string;
  readonly #subjectKey: Promise<SubjectKey>;
  #minted = 0;

  constructor(authority: Authority, now: () => number = Date.now) {
    this.#authority = authority;
    this.#now = now;
    const pair = generateKeyPairSync("ec", { namedCurve: "prime256v1" });
    this.#key = pair.privateKey.export({ type: "pkcs8", format: "pem" }).toString();
    this.#subjectKey = subjectKey(pair.publicKey.export({ type: "spki", format: "der" }));
  }

  /** Certificates signed so far. */
  get minted(): number {
    return this.#minted;
  }

  /**
   * The identity for a canonical name or address; the certificate is for exactly this host. Asked
   * for twice at once, it is made once.
   */
  leafFor(host: string): Promise<Identity> {
    const now = this.#now();
    const known = this.#leaves.get(host);
    if (known !== undefined && now < known.staleAt) return known.identity;
    const notAfter = Math.min(now + VALID_MS, this.#authority.notAfter.getTime());
    const identity = this.#making.run(() => this.#mint(host, now, new Date(notAfter)));
    this.#leaves.set(host, { identity, staleAt: now + (notAfter - now) * FRESH_SHARE });
    identity.catch(() => this.#leaves.delete(host));
    return identity;
  }

  async #mint(host: string, now: number, notAfter: Date): Promise<Identity> {
    this.#minted++;
    const { signer, subject, keyIdentifier, certificatePem: own, above } = this.#authority;
    const key = await this.#subjectKey;
    const certificate = await signCertificate({
      issuer: subject,
      subject: distinguishedName(host),
      notBefore: new Date(now - BACKDATE_MS),
      notAfter,
      publicKey: key,
      extensions: leafExtensions(host, key, keyIdentifier),
    }, signer);
    // A root is known to whoever trusts it; those between are not (RFC 8446 §4.4.2).
    const between = above.length === 0 ? [] : [own, ...above.slice(0, -1)];
    return { key: this.#key, cert: [certificatePem(certificate), ...between].join("") };
  }
}
