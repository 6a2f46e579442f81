/**
 * What sbx offers a server on behalf of a guest, and the guest on behalf of that server: never more
 * than the other end of the conversation said it would take, so that interception weakens nothing.
 *
 * The server is offered the guest's own protocols, versions and ciphers, as far as sbx speaks them.
 * What it chooses of the protocols is all that the guest is offered then, and the version that it
 * chose is the lowest that the guest may have.
 *
 * @module
 */
import type { ClientHello } from "../client_hello.ts";

export type TlsVersion = "TLSv1.2" | "TLSv1.3";

/** One guest's hello, in the words of `node:tls`. */
export interface Offer {
  /** In the guest's order; empty: the guest negotiates none. */
  readonly alpn: readonly string[];
  readonly minVersion: TlsVersion;
  readonly maxVersion: TlsVersion;
  /** OpenSSL's names of suites up to TLS 1.2, joined by colons; those of 1.3 are all strong. */
  readonly ciphers: string;
}

/** Why no handshake can follow, as the alert that says so (RFC 8446 6.2). */
export const Alert = {
  HandshakeFailure: 40,
  BadCertificate: 42,
  CertificateExpired: 45,
  UnknownAuthority: 48,
  ProtocolVersion: 70,
  InternalError: 80,
  UnrecognizedName: 112,
  CertificateRequired: 116,
  NoApplicationProtocol: 120,
} as const;

export type AlertCode = typeof Alert[keyof typeof Alert];

/** Protocols that sbx relays request by request. */
export const HTTP_PROTOCOLS: ReadonlySet<string> = new Set(["h2", "http/1.1", "http/1.0"]);

const V12 = 0x0303;
const V13 = 0x0304;

/**
 * Suites of TLS 1.2 with their names, in the order of preference when a server leaves it to us. All
 * that BoringSSL speaks and clients still offer: the weakest are offered only for guests that do.
 */
const SUITES: readonly (readonly [id: number, name: string])[] = [
  [0xc02b, "ECDHE-ECDSA-AES128-GCM-SHA256"],
  [0xc02f, "ECDHE-RSA-AES128-GCM-SHA256"],
  [0xc02c, "ECDHE-ECDSA-AES256-GCM-SHA384"],
  [0xc030, "ECDHE-RSA-AES256-GCM-SHA384"],
  [0xcca9, "ECDHE-ECDSA-CHACHA20-POLY1305"],
  [0xcca8, "ECDHE-RSA-CHACHA20-POLY1305"],
  [0xc009, "ECDHE-ECDSA-AES128-SHA"],
  [0xc013, "ECDHE-RSA-AES128-SHA"],
  [0xc00a, "ECDHE-ECDSA-AES256-SHA"],
  [0xc014, "ECDHE-RSA-AES256-SHA"],
  [0x009c, "AES128-GCM-SHA256"],
  [0x009d, "AES256-GCM-SHA384"],
  [0x002f, "AES128-SHA"],
  [0x0035, "AES256-SHA"],
];

/**
 * What the guest would take, or the alert for one that takes nothing sbx speaks. With `opaque`, any
 * application protocol may pass; without, HTTP alone.
 */
export function readOffer(
  hello: Pick<ClientHello, "alpn" | "versions" | "ciphers">,
  opaque: boolean,
): Offer | { readonly alert: AlertCode } {
  const { versions } = hello;
  const modern = versions.includes(V13);
  if (!modern && !versions.includes(V12)) return { alert: Alert.ProtocolVersion };
  const ciphers = SUITES.filter(([id]) => hello.ciphers.includes(id)).map(([, name]) => name);
  const classic = versions.includes(V12) && ciphers.length > 0;
  if (!modern && !classic) return { alert: Alert.HandshakeFailure };
  const alpn = opaque ? hello.alpn : hello.alpn.filter((name) => HTTP_PROTOCOLS.has(name));
  if (alpn.length === 0 && hello.alpn.length > 0) return { alert: Alert.NoApplicationProtocol };
  return {
    alpn: speaksOnlyOld(alpn) ? [...alpn, "http/1.1"] : alpn,
    minVersion: classic ? "TLSv1.2" : "TLSv1.3",
    maxVersion: modern ? "TLSv1.3" : "TLSv1.2",
    ciphers: ciphers.join(":"),
  };
}

/**
 * What the guest is told that its server chose. To a guest of HTTP/1.0 the server of 1.1 speaks 1.0: the
 * version is each message's own (RFC 9110 6.2), and hardly a server knows the older name.
 */
export function chosenForGuest(alpn: string | null, hello: Pick<ClientHello, "alpn">) {
  return alpn === "http/1.1" && speaksOnlyOld(hello.alpn) ? "http/1.0" : alpn;
}

function speaksOnlyOld(alpn: readonly string[]): boolean {
  return alpn.includes("http/1.0") && !alpn.includes("http/1.1");
}

/** Suites for a guest that gets no further than TLS 1.2: forward secret and authenticated only. */
export const GUEST_CIPHERS = SUITES.slice(0, 6).map(([, name]) => name).join(":");

/** An alert record that ends a handshake before its first answer. */
export function fatalAlert(alert: AlertCode): Uint8Array {
  const [ALERT, LENGTH, FATAL] = [21, 2, 2];
  return Uint8Array.of(ALERT, 3, 3, 0, LENGTH, FATAL, alert);
}
