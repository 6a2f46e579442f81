/**
 * Why there is no TLS session with a server, sorted from the codes of `node:tls`. Pure.
 *
 * @module
 */
import { Alert, type AlertCode } from "./offer.ts";

export type UpstreamFailure =
  /** No connection, or one that broke before the handshake was over; `code` is the system's. */
  | { readonly kind: "unreachable"; readonly code: string }
  /** The server's certificate does not prove its name. */
  | { readonly kind: "untrusted"; readonly why: string; readonly alert: AlertCode }
  /** The server wants a certificate of the client. */
  | { readonly kind: "mtls"; readonly alert: AlertCode }
  /** The handshake failed otherwise; the alert is the server's own where it sent one. */
  | { readonly kind: "handshake"; readonly why: string; readonly alert: AlertCode };

const UNTRUSTED: Readonly<Record<string, readonly [why: string, alert: AlertCode]>> = {
  CERT_HAS_EXPIRED: ["expired", Alert.CertificateExpired],
  CERT_NOT_YET_VALID: ["not valid yet", Alert.CertificateExpired],
  DEPTH_ZERO_SELF_SIGNED_CERT: ["self-signed", Alert.UnknownAuthority],
  SELF_SIGNED_CERT_IN_CHAIN: ["unknown authority", Alert.UnknownAuthority],
  UNABLE_TO_GET_ISSUER_CERT: ["unknown authority", Alert.UnknownAuthority],
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: ["unknown authority", Alert.UnknownAuthority],
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: ["unknown authority", Alert.UnknownAuthority],
  CERT_UNTRUSTED: ["unknown authority", Alert.UnknownAuthority],
  ERR_TLS_CERT_ALTNAME_INVALID: ["wrong name", Alert.BadCertificate],
  HOSTNAME_MISMATCH: ["wrong name", Alert.BadCertificate],
  CERT_REVOKED: ["revoked", Alert.BadCertificate],
  CERT_SIGNATURE_FAILURE: ["bad signature", Alert.BadCertificate],
  INVALID_CA: ["an authority that may not sign", Alert.BadCertificate],
  INVALID_PURPOSE: ["not for servers", Alert.BadCertificate],
  PATH_LENGTH_EXCEEDED: ["too long a chain", Alert.BadCertificate],
};

const OF_AUTHORITY: ReadonlySet<string> = new Set(["self-signed", "unknown authority"]);

/** Whether the certificate lacks nothing, as far as it was looked at, but an authority that is trusted. */
export function isOfAuthority(why: string): boolean {
  return OF_AUTHORITY.has(why);
}

/** Alerts that a server answers with, by the end of BoringSSL's code for them. */
const ALERTS: readonly (readonly [end: string, why: string, alert: AlertCode])[] = [
  ["HANDSHAKE_FAILURE", "no common cipher, or no client certificate", Alert.HandshakeFailure],
  ["PROTOCOL_VERSION", "no common version", Alert.ProtocolVersion],
  ["UNSUPPORTED_PROTOCOL", "no common version", Alert.ProtocolVersion],
  ["NO_APPLICATION_PROTOCOL", "no common application protocol", Alert.NoApplicationProtocol],
  ["UNRECOGNIZED_NAME", "the server does not know the name", Alert.UnrecognizedName],
];

/** `code` is that of the error with which the session ended. */
export function readFailure(code: string): UpstreamFailure {
  const untrusted = UNTRUSTED[code];
  if (untrusted !== undefined) {
    return { kind: "untrusted", why: untrusted[0], alert: untrusted[1] };
  }
  if (/CERTIFICATE_REQUIRED$/.test(code)) return { kind: "mtls", alert: Alert.CertificateRequired };
  const known = ALERTS.find(([end]) => code.startsWith("ERR_SSL_") && code.endsWith(end));
  if (known !== undefined) return { kind: "handshake", why: known[1], alert: known[2] };
  // The system's own, of which there are many; a fault in a certificate has none of these prefixes.
  if (/^E[A-Z]+$/.test(code)) return { kind: "unreachable", code };
  if (code.startsWith("ERR_")) {
    return { kind: "handshake", why: words(code), alert: Alert.InternalError };
  }
  return { kind: "untrusted", why: words(code), alert: Alert.BadCertificate };
}

function words(code: string): string {
  return code.replace(/^ERR_(SSL_)?/, "").toLowerCase().replaceAll("_", " ");
}
