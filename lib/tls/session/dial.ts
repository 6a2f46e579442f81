/**
 * The TLS session with a server, on behalf of a guest.
 *
 * Whoever calls has judged the address and connected to it. Nothing of the guest is sent
 * before the server has proved its name, and no session is ever resumed or shared: each belongs to
 * one flow, so that answers cannot cross between guests.
 *
 * @module
 */
import type { Socket } from "node:net";
import {
  createSecureContext,
  rootCertificates,
  type SecureContext,
  type TLSSocket,
} from "node:tls";
import * as tls from "node:tls";
import { LruMap } from "../../base/lru.ts";
import type { NameSet } from "../../policy/model/name_set.ts";
import type { Offer, TlsVersion } from "./offer.ts";
import { Carrier, Session } from "./session.ts";
import { readFailure, type UpstreamFailure } from "./upstream_failure.ts";

export interface DialSpec {
  /** Connected to the address that was judged, or that the ruling named. Destroyed when this fails. */
  readonly socket: Socket;
  /** The guest's SNI; null when it stated none. Then the certificate must be for `identity`. */
  readonly sni: string | null;
  /** The address that the guest meant, which a certificate may prove where no name is stated. */
  readonly identity: string;
  readonly offer: Offer;
  readonly signal: AbortSignal;
}

/** A session in which the server has proved its name, or need not. */
export interface UpstreamSession {
  /** It had to prove its name, and did. */
  readonly verified: boolean;
  /** Plain bytes. One that the server did not end with close_notify is destroyed, not ended. */
  readonly stream: Session;
  /** The application protocol that the server chose; null for none. */
  readonly alpn: string | null;
  readonly version: TlsVersion;
  /**
   * What broke the session since. TLS 1.3 servers refuse a client only after its handshake is over
   * (RFC 8446 4.4.2.4), so that a session may turn out to have been none.
   */
  readonly lost: () => UpstreamFailure | null;
}

export type Dialled =
  | { readonly kind: "session"; readonly session: UpstreamSession }
  | { readonly kind: "failed"; readonly failure: UpstreamFailure };

export interface TrustSpec {
  /** PEM certificates beside the public roots. */
  readonly roots: readonly string[];
  /** Names and addresses that need no proof; `all` for none at all. */
  readonly unverified: NameSet | "all";
}

const HANDSHAKE_MS = 10_000;

/** A context holds all roots, about a megabyte; guests offer few different sets of ciphers. */
const MAX_CONTEXTS = 16;

export class Dialer {
  readonly #trust: TrustSpec;
  readonly #contexts = new LruMap<string, SecureContext>(MAX_CONTEXTS);

  constructor(trust: TrustSpec) {
    this.#trust = trust;
  }

  /** Never rejects. */
  dial(spec: DialSpec): Promise<Dialled> {
    const { promise, resolve } = Promise.withResolvers<Dialled>();
    const { socket, sni, offer, signal } = spec;
    if (signal.aborted || socket.destroyed) {
      socket.destroy();
      return Promise.resolve(failed(signal.aborted ? "ECANCELED" : "ECONNRESET"));
    }
    const carrier = new Carrier(socket, "read first");
    const exempt = this.#isExempt(sni ?? spec.identity);
    const engine = tls.connect({
      socket: carrier as never,
      servername: sni ?? "",
      ALPNProtocols: [...offer.alpn],
      secureContext: this.#context(offer),
      rejectUnauthorized: !exempt,
      ...(sni === null
        ? { checkServerIdentity: (_: string, cert) => tls.checkServerIdentity(spec.identity, cert) }
        : {}),
    });
    const timer = setTimeout(() => socket.destroy(coded("ETIMEDOUT")), HANDSHAKE_MS);
    const abort = () => void socket.destroy(coded("ECANCELED"));
    const settle = (dialled: Dialled) => {
      clearTimeout(timer);
      signal.removeEventListener("abort", abort);
      if (dialled.kind === "failed") socket.destroy();
      resolve(dialled);
    };
    signal.addEventListener("abort", abort);
    let lost: UpstreamFailure | null = null;
    const fail = (error: NodeJS.ErrnoException) => {
      lost ??= readFailure(error.code ?? "ERR_UNKNOWN");
      settle({ kind: "failed", failure: lost });
    };
    const broke = () => settle(failed("ECONNRESET"));
    socket.on("error", fail);
    engine.on("error", fail);
    socket.once("close", broke);
    carrier.once("cut", broke);
    engine.once("close", broke);
    engine.once("secureConnect", () => {
      carrier.off("cut", broke);
      const verified = !exempt && engine.authorized;
      settle({ kind: "session", session: { ...sessionOf(engine, carrier, () => lost), verified } });
    });
    return promise;
  }

  #isExempt(identity: string): boolean {
    const { unverified } = this.#trust;
    return unverified === "all" || unverified.has(identity);
  }

  /** Roots are parsed once for each set of ciphers and versions; that costs more than a handshake. */
  #context({ ciphers, minVersion, maxVersion }: Offer): SecureContext {
    const key = `${minVersion} ${maxVersion} ${ciphers}`;
    const known = this.#contexts.get(key);
    if (known !== undefined) return known;
    const ca = [...rootCertificates, ...this.#trust.roots];
    const context = createSecureContext({ ca, ciphers, minVersion, maxVersion });
    this.#contexts.set(key, context);
    return context;
  }
}

function sessionOf(
  engine: TLSSocket,
  carrier: Carrier,
  lost: UpstreamSession["lost"],
): Omit<UpstreamSession, "verified"> {
  const { alpnProtocol } = engine;
  return {
    stream: new Session(engine, carrier, "read first"),
    alpn: typeof alpnProtocol === "string" ? alpnProtocol : null,
    version: engine.getProtocol() === "TLSv1.3" ? "TLSv1.3" : "TLSv1.2",
    lost,
  };
}

function failed(code: string): Dialled {
  return { kind: "failed", failure: readFailure(code) };
}

function coded(code: string): Error {
  return Object.assign(new Error(code), { code });
}
