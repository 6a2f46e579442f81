/**
 * Whether a request to a host with a secret carries a credential of the guest's own.
 *
 * An allowed host is also everybody else's host: with a key of another account, what the guest holds
 * could be carried off into that account. So a credential is either a placeholder, alone and whole, or
 * it is foreign. Bodies, paths and fields that nobody knows for credentials are not looked at.
 *
 * @module
 */

import {
  hasScheme,
  isCredentialField,
  isCredentialParameter,
  readBasic,
  readCookies,
} from "./credentials.ts";
import type { HeadField, RequestHead } from "./substitute_head.ts";

export interface ForeignCredential {
  readonly in: "field" | "cookie" | "parameter";
  /** Of the field, cookie or parameter; of the guest's writing. */
  readonly name: string;
}

/** `own`: the placeholders of the secrets that this host may have. The head is as the guest sent it. */
export function foreignCredential(
  { target, fields }: RequestHead,
  own: ReadonlySet<string>,
): ForeignCredential | null {
  return foreignInFields(fields, own) ?? foreignInTarget(target, own);
}

export function foreignInFields(
  fields: readonly HeadField[],
  own: ReadonlySet<string>,
): ForeignCredential | null {
  for (const field of fields) {
    const foreign = field.key === "cookie" ? foreignCookie(field, own) : foreignField(field, own);
    if (foreign !== null) return foreign;
  }
  return null;
}

function foreignField({ name, key, value }: HeadField, own: ReadonlySet<string>) {
  const foreign = key === "sec-websocket-protocol"
    ? hasLongMember(value)
    : isCredentialField(key) && value !== "" && !isOwn(key, value, own);
  return foreign ? { in: "field", name } as const : null;
}

/** `Bearer KEY`, `Token token="KEY"`, `KEY`: nothing but a scheme and a name beside it. */
const LONE = /^(?:[A-Za-z0-9-]{1,32} +)?(?:[A-Za-z0-9_-]{1,32}=)?("?)([A-Za-z0-9._~-]+)\1$/;

function isOwn(key: string, value: string, own: ReadonlySet<string>): boolean {
  if (own.has(LONE.exec(value)?.[2] ?? "")) return true;
  const basic = hasScheme(key) ? readBasic(value) : null;
  if (basic === null) return false;
  const pair = basic.bytes.toString("latin1");
  if (own.has(pair)) return true;
  const colon = pair.indexOf(":");
  const [user, password] = [pair.slice(0, Math.max(0, colon)), pair.slice(colon + 1)];
  return own.has(user) && (own.has(password) || !isToken(password, 20)) ||
    own.has(password) && (own.has(user) || !isToken(user, 32));
}

/**
 * The other half of Basic credentials is a token itself. GitHub takes one as the password whatever the
 * user, Stripe and GitHub as the user whatever the password, so that a placeholder beside it would only
 * be decoration. The longest names of users are shorter, and addresses of mail have an @.
 */
function isToken(text: string, least: number): boolean {
  return text.length >= least && /^[A-Za-z0-9._~+/=-]+$/.test(text) && !ACCOUNT.test(text);
}

/** Twilio's users: an identifier of an account or a key, which is no secret. */
const ACCOUNT = /^[A-Z]{2}[0-9a-f]{32}$/;

/** OpenAI and Kubernetes take keys as names of protocols; true names are short. */
function hasLongMember(value: string): boolean {
  return value.split(",").some((member) => member.trim().length >= 40);
}

/** Of load balancers and bot filters: clients send them back by themselves, and they name no account. */
const INFRASTRUCTURE =
  /^(?:__cf_bm|_cfuvid|__cfruid|__cflb|cf_clearance|AWSALB(?:TG)?(?:CORS)?|AWSELB(?:CORS)?|ARRAffinity(?:SameSite)?|GCLB|_abck|ak_bmsc|bm_s[vz])$/;

function foreignCookie({ value }: HeadField, own: ReadonlySet<string>): ForeignCredential | null {
  const foreign = readCookies(value).find((cookie) => {
    if (cookie.value === "" || INFRASTRUCTURE.test(cookie.name)) return false;
    return !own.has(cookie.value) && !own.has(/^"(.*)"$/.exec(cookie.value)?.[1] ?? "");
  });
  return foreign === undefined ? null : { in: "cookie", name: foreign.name };
}

export function foreignInTarget(
  target: string,
  own: ReadonlySet<string>,
): ForeignCredential | null {
  const query = target.indexOf("?");
  if (query < 0) return null;
  // Some servers take a semicolon for an ampersand.
  for (const pair of target.slice(query + 1).split(/[&;]/)) {
    const equals = pair.indexOf("=");
    if (equals < 0) continue;
    const name = decoded(pair.slice(0, equals));
    const value = decoded(pair.slice(equals + 1));
    if (value !== "" && isCredentialParameter(name, value) && !own.has(value)) {
      return { in: "parameter", name };
    }
  }
  return null;
}

/** Percent and plus undone, once and byte by byte, so that nothing fails. */
function decoded(text: string): string {
  return text.replaceAll("+", " ").replace(
    /%([0-9A-Fa-f]{2})/g,
    (_, hex: string) => String.fromCharCode(parseInt(hex, 16)),
  );
}
