import { expect, test } from "bun:test";
import { Buffer } from "node:buffer";
import {
  isCredentialField,
  readBasic,
  readCookies,
  writeBasic,
} from "../../lib/secret/credentials.ts";

test.each([
  "authorization",
  "proxy-authorization",
  "cookie",
  "x-api-key",
  "api-key",
  "apikey",
  "x-goog-api-key",
  "xi-api-key",
  "x-auth-token",
  "x-auth-key",
  "private-token",
  "job-token",
  "x-vault-token",
  "x-amz-security-token",
  "dd-api-key",
  "dd-application-key",
  "ocp-apim-subscription-key",
  "x-nuget-apikey",
  "x-shopify-access-token",
  "x-client-secret",
])("%s carries credentials", (key) => {
  expect(isCredentialField(key)).toBe(true);
});

test.each([
  "host",
  "user-agent",
  "x-csrf-token",
  "x-xsrf-token",
  "x-ms-continuation-token",
  "idempotency-key",
  "sec-websocket-key",
  "if-none-match",
  "content-type",
  "www-authenticate",
  "x-request-id",
  "authority",
  "tokenizer",
  "",
  "x-".repeat(50) + "token",
])("%p does not", (key) => {
  expect(isCredentialField(key)).toBe(false);
});

test.each<[string, string | null]>([
  ["Basic dXNlcjpwYXNz", "user:pass"],
  ["basic  dXNlcjpwYXNz", "user:pass"],
  ["Basic dXNlcjpwYQ==", "user:pa"],
  ["Basic dXNlcjpwYQ", "user:pa"],
  ["Basic dXNlc", null],
  ["Basic ", null],
  ["Basic dXNl cjpw", null],
  ["Basic dXNlcjp-_w==", null],
  ["Basic ====", null],
  ["Bearer dXNlcjpwYXNz", null],
  ["", null],
])("%p holds %p", (value, inside) => {
  expect(readBasic(value)?.bytes.toString("latin1") ?? null).toBe(inside);
});

test("Basic credentials are written as they were read", () => {
  for (const bytes of ["user:pass", ":", "\xff\xfe:", "u:p".repeat(500)]) {
    const value = "BASIC " + Buffer.from(bytes, "latin1").toString("base64");
    const read = readBasic(value);
    expect(read === null ? null : writeBasic(read)).toBe(value);
  }
});

test("the pairs of a cookie", () => {
  expect(readCookies("a=1; b = x=y ;; c; =d")).toEqual([
    { name: "a", value: "1" },
    { name: "b", value: "x=y" },
    { name: "", value: "c" },
    { name: "", value: "d" },
  ]);
  expect(readCookies("")).toEqual([]);
});
