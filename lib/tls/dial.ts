/**
 * The TLS session with a server, on behalf of a guest.
 *
 * Whoever calls has judged the address; nothing here resolves a name. Nothing of the guest is sent
 * before the server has proved its name, and no session is ever resumed or shared: each belongs to
 * one flow, so that answers cannot cross between guests.
 *
 * @module
 */
import { connect } from "node:net";
import type { Duplex } from "node:stream";
import {
  createSecureContext,
  rootCertificates,
  type SecureContext,
  type TLSSocket,
} from "node:tls";
import * as tls from "node:tls";
import { LruMap } from "../base/lru.ts";
import type { NameSet } from "../policy/name_set.ts";
import type { Offer, TlsVersion } from "./offer.ts";
import { Carrier, Session } from "./session.ts";
import { readFailure, type UpstreamFailure } from "./upstream_failure.ts";

export interface DialSpec {
  /** Address and port that were judged, or that the ruling named. */
  readonly address: string;
  readonly port: number;
  /** The guest's SNI; null when it stated none. Then the certificate must be for `identity`. */
  readonly sni: string | null;
  /** The address that the guest meant, which a certificate may prove where no name is stated. */
  readonly identity: string;
  readonly offer: Offer;
  /** The connection is there; the handshake follows. */
  readonly onConnect?: () => void;
  readonly signal: AbortSignal;
}

/** A session in which the server has proved its name, or need not. */
export interface UpstreamSession {
  /** Plain bytes. One that the server did not end with close_notify is destroyed, not ended. */
  readonly stream: Duplex;
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

/** As long as netstack gives a dial of its own. */
const CONNECT_MS = 15_000;
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
    const { address, port, sni, offer, signal } = spec;
    if (signal.aborted) return Promise.resolve(failed("ECANCELED"));
    // Small frames of HTTP/2 would wait 40 ms for each other's acknowledgement.
    const socket = connect({ host: address, port, noDelay: true, allowHalfOpen: true });
    const carrier = new Carrier(socket);
    const engine = tls.connect({
      socket: carrier as never,
      servername: sni ?? "",
      ALPNProtocols: [...offer.alpn],
      secureContext: this.#context(offer),
      rejectUnauthorized: !this.#isExempt(sni ?? spec.identity),
      ...(sni === null
        ? { checkServerIdentity: (_: string, cert) => tls.checkServerIdentity(spec.identity, cert) }
        : {}),
    });
    let timer = setTimeout(() => socket.destroy(coded("ETIMEDOUT")), CONNECT_MS);
    const abort = () => void socket.destroy(coded("ECANCELED"));
    const settle = (dialled: Dialled) => {
      clearTimeout(timer);
      signal.removeEventListener("abort", abort);
      if (dialled.kind === "failed") socket.destroy();
      resolve(dialled);
    };
    signal.addEventListener("abort", abort);
    socket.once("connect", () => {
      clearTimeout(timer);
      timer = setTimeout(() => socket.destroy(coded("ETIMEDOUT")), HANDSHAKE_MS);
      spec.onConnect?.();
    });
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
      settle({ kind: "session", session: sessionOf(engine, carrier, () => lost) });
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
): UpstreamSession {
  const { alpnProtocol } = engine;
  return {
    stream: new Session(engine, carrier),
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
