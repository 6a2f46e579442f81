/**
 * Where in a request servers look for credentials.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { recalling } from "../base/recall.ts";

/** Fields with a name that says nothing. */
const KNOWN: ReadonlySet<string> = new Set([
  "authorization",
  "proxy-authorization",
  "cookie",
  "apikey",
  "ocp-apim-subscription-key",
  "x-functions-key",
  "x-figma-token",
  "x-jfrog-art-api",
  "x-rapidapi-key",
  "x-registry-auth",
]);

/** `X-Api-Key`, `X-Goog-Api-Key`, `Private-Token`, `X-Auth-Key`, `DD-Application-Key`, … */
const KIND =
  /(?:^|[-_])(?:(?:api|access|auth|application|secret|subscription|master|admin|license)[-_]?key|token|auth|secret|password|passwd|credentials?)$/;

/** Words of that kind that stand for a request or a session of the client's making, not for an account. */
const NOT_OF_KIND = /(?:csrf|xsrf|continuation|page|next|sync|resume|upload)[-_]?token$/;

/** Whether servers expect a credential in the field; by its name in lower case. */
export const isCredentialField = recalling((key) => {
  if (KNOWN.has(key)) return true;
  return key.length <= 64 && KIND.test(key) && !NOT_OF_KIND.test(key);
});

/** Parameters of a query with a name that says nothing. */
const PARAMETERS: ReadonlySet<string> = new Set([
  "awsaccesskeyid",
  "x-amz-credential",
  "x-amz-signature",
  "x-goog-credential",
  "x-goog-signature",
  "jwt",
  "sig",
  "signature",
  "key",
  "session",
  "sessionid",
  "sid",
]);

/** Credentials under these names are long; a page, a mark or an index is not. */
const LOOSE: ReadonlySet<string> = new Set(["auth", "key", "session", "sid", "token", "signature"]);

const KEY_LIKE = /^[A-Za-z0-9._~+/=-]{16,}$/;

/** Whether a parameter of a query is a credential; name and value decoded. */
export function isCredentialParameter(name: string, value: string): boolean {
  if (name.length > 64) return false;
  const words = name.replace(/([a-z])([A-Z])/g, "$1-$2").toLowerCase();
  if (LOOSE.has(words)) return KEY_LIKE.test(value);
  return PARAMETERS.has(words) || isCredentialField(words);
}

/** Fields whose value begins with the name of a scheme (RFC 9110 11.4). */
export function hasScheme(key: string): boolean {
  return key === "authorization" || key === "proxy-authorization";
}

/** Basic credentials (RFC 7617), decoded. */
export interface BasicCredentials {
  /** What stands before the base64, as it was written: `Basic `. */
  readonly scheme: string;
  /** `user:password`, of which only a server knows the character set. */
  readonly bytes: Buffer;
}

const BASIC = /^(basic +)([A-Za-z0-9+/]+)={0,2}$/i;

/** Null when the value of the field is something else, or base64 that two servers may read in two ways. */
export function readBasic(value: string): BasicCredentials | null {
  const [, scheme = "", base64 = ""] = BASIC.exec(value) ?? [];
  if (base64 === "" || base64.length % 4 === 1) return null;
  return { scheme, bytes: Buffer.from(base64, "base64") };
}

export function writeBasic({ scheme, bytes }: BasicCredentials): string {
  return scheme + bytes.toString("base64");
}

/** The pairs of a Cookie field (RFC 6265 4.2.1). */
export function readCookies(value: string): { readonly name: string; readonly value: string }[] {
  return value.split(";").map((pair) => {
    const equals = pair.indexOf("=");
    return {
      name: pair.slice(0, Math.max(0, equals)).trim(),
      value: pair.slice(equals + 1).trim(),
    };
  }).filter((pair) => pair.name !== "" || pair.value !== "");
}
