/**
 * What a sandbox does about TLS, call by call. Immutable, like {@link NetworkBuilder}.
 *
 * @module
 */
import { flag, misuse, text } from "../base/misuse.ts";
import {
  DEFAULT_TLS,
  readBypass,
  readIdle,
  readTlsPorts,
  readUnverified,
  type TlsSettings,
} from "../policy/model/tls_settings.ts";
import { orMisuse, quote } from "../policy/text/fault.ts";

/** What was called so far; absent fields leave it to the policy file. */
interface Calls {
  readonly intercept?: boolean;
  readonly ports?: readonly number[];
  readonly bypass: readonly string[];
  readonly blockQuic?: boolean;
  readonly cert?: string;
  readonly key?: string;
  readonly upstreamCa: readonly string[];
  readonly verifyUpstream?: boolean;
  readonly noVerify: readonly string[];
  readonly opaque?: boolean;
  readonly idleMs?: number;
}

/** Describes what is done about TLS; each call gives a new builder. */
export class TlsBuilder {
  readonly #calls: Calls;

  /** @internal It is given to the function that `NetworkBuilder.tls` takes. */
  constructor(calls: Calls = { bypass: [], upstreamCa: [], noVerify: [] }) {
    this.#calls = calls;
  }

  /**
   * Whether TLS is intercepted. Configuring TLS turns it on, so this is needed only to keep a
   * configuration without using it.
   */
  intercept(on = true): TlsBuilder {
    return this.#with({ intercept: flag("intercept(…)", on) });
  }

  /** TCP ports whose flows must be TLS and are opened; 443 alone when not called. */
  interceptedPorts(ports: readonly number[]): TlsBuilder {
    const read = () => readTlsPorts(ports);
    return this.#with({ ports: orMisuse(`interceptedPorts(${ports.join(", ")})`, read) });
  }

  /**
   * Names that are not opened: `api.example.com`, or `*.example.com` for that name and all below
   * it. The guest then sees the server's own certificate. A rule must allow the flow, and its
   * address must be one that the name resolved to.
   */
  bypass(...patterns: readonly string[]): TlsBuilder {
    const read = patterns.map((text) => pattern("bypass", text, readBypass));
    return this.#with({ bypass: [...this.#calls.bypass, ...read] });
  }

  /** Refuses QUIC on the intercepted ports, so that clients fall back; on when not called. */
  blockQuic(on: boolean): TlsBuilder {
    return this.#with({ blockQuic: flag("blockQuic(…)", on) });
  }

  /** PEM file of your own authority: its certificate, then those above it, if any. */
  interceptCaCert(path: string): TlsBuilder {
    return this.#with({ cert: text("interceptCaCert(…)", path) });
  }

  /** PEM file of the private key to it: PKCS #8, SEC 1 or PKCS #1, not encrypted. */
  interceptCaKey(path: string): TlsBuilder {
    return this.#with({ key: text("interceptCaKey(…)", path) });
  }

  /** PEM files of authorities that upstream servers may have, beside the public ones. */
  upstreamCaCert(...paths: readonly string[]): TlsBuilder {
    const read = paths.map((path) => text("upstreamCaCert(…)", path));
    return this.#with({ upstreamCa: [...this.#calls.upstreamCa, ...read] });
  }

  /**
   * Whether the certificates of upstream servers are verified; true when not called. False makes
   * every intercepted connection readable for whoever sits between.
   */
  verifyUpstream(on: boolean): TlsBuilder {
    return this.#with({ verifyUpstream: flag("verifyUpstream(…)", on) });
  }

  /** Names, `*.suffixes` and addresses whose certificates are not verified. */
  verifyUpstreamExcept(...patterns: readonly string[]): TlsBuilder {
    const read = patterns.map((text) => pattern("verifyUpstreamExcept", text, readUnverified));
    return this.#with({ noVerify: [...this.#calls.noVerify, ...read] });
  }

  /** Relays what is not HTTP inside TLS as it is; refused when not called. */
  opaque(on = true): TlsBuilder {
    return this.#with({ opaque: flag("opaque(…)", on) });
  }

  /**
   * Closes an intercepted connection on which nothing moves for so many milliseconds. When not called it
   * lives as long as both of its ends, like one that is not intercepted.
   */
  idleTimeout(ms: number): TlsBuilder {
    return this.#with({ idleMs: orMisuse(`idleTimeout(${ms})`, () => readIdle(ms)) });
  }

  /** The calls on top of what a policy file says. */
  build(base: TlsSettings = DEFAULT_TLS): TlsSettings {
    const { cert, key, ...calls } = this.#calls;
    if ((cert === undefined) !== (key === undefined)) {
      const [given, missing] = cert === undefined
        ? ["interceptCaKey", "interceptCaCert"]
        : ["interceptCaCert", "interceptCaKey"];
      throw misuse(`${given}(${quote(cert ?? key ?? "")})`, `${missing} is not given`, {
        hint: "an authority is a certificate and the key to it",
      });
    }
    return {
      ...base,
      ...calls,
      intercept: calls.intercept ?? true,
      bypass: [...base.bypass, ...calls.bypass],
      upstreamCa: [...base.upstreamCa, ...calls.upstreamCa],
      noVerify: [...base.noVerify, ...calls.noVerify],
      ...(cert === undefined || key === undefined ? {} : { authority: { cert, key } }),
    };
  }

  #with(calls: Partial<Calls>): TlsBuilder {
    return new TlsBuilder({ ...this.#calls, ...calls });
  }
}

function pattern(call: string, text: string, read: (text: string) => string): string {
  return orMisuse(`${call}(${quote(text)})`, () => read(text));
}
