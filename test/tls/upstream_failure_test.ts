import { expect, test } from "bun:test";
import { readFailure } from "../../lib/tls/session/upstream_failure.ts";

test.each([
  ["ECONNREFUSED", { kind: "unreachable", code: "ECONNREFUSED" }],
  ["ETIMEDOUT", { kind: "unreachable", code: "ETIMEDOUT" }],
  ["CERT_HAS_EXPIRED", { kind: "untrusted", why: "expired", alert: 45 }],
  ["ERR_TLS_CERT_ALTNAME_INVALID", { kind: "untrusted", why: "wrong name", alert: 42 }],
  ["DEPTH_ZERO_SELF_SIGNED_CERT", { kind: "untrusted", why: "self-signed", alert: 48 }],
  ["ERR_SSL_TLSV1_ALERT_CERTIFICATE_REQUIRED", { kind: "mtls", alert: 116 }],
  ["ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION", { kind: "handshake", alert: 70 }],
  ["ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL", { kind: "handshake", alert: 120 }],
  ["ERR_SSL_SOMETHING_NEW", { kind: "handshake", why: "something new", alert: 80 }],
  // What is not known to be the network's or the handshake's counts against the certificate.
  ["CERT_CHAIN_TOO_STRANGE", { kind: "untrusted", why: "cert chain too strange", alert: 42 }],
])("readFailure() knows what %s means", (code, failure) => {
  expect<unknown>(readFailure(code)).toMatchObject(failure);
});
