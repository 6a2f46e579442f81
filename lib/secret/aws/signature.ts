/**
 * Version 4 signatures of AWS, as they stand in the head of a request: in its Authorization field, or as
 * parameters of its query ("presigned").
 *
 * A head that could be read in two ways is not read: two signatures, a parameter or a part twice.
 *
 * @module
 */

import type { RequestHead } from "../substitute_head.ts";
import { parameters } from "./query.ts";

/** What a signature is good for. */
export interface Scope {
  /** `20260131` */
  readonly date: string;
  readonly region: string;
  readonly service: string;
}

export interface Signature {
  readonly in: "field" | "query";
  /** Of the key, as its signer named it. */
  readonly id: string;
  readonly scope: Scope;
  /** `20260131T235959Z`, on the date of the scope. */
  readonly time: string;
  /** Fields that are signed: keys in their order, none twice, with `host` among them. */
  readonly signed: readonly string[];
  /** In hexadecimal digits. */
  readonly digits: string;
}

export type ReadSignature =
  | { readonly kind: "none" }
  | { readonly kind: "signed"; readonly signature: Signature }
  /** There is one, or the beginning of one. */
  | { readonly kind: "unreadable"; readonly why: string };

export const ALGORITHM = "AWS4-HMAC-SHA256";

/** Parameters of a presigned query, in lower case; some servers do not look at the case. */
const OF_QUERY = "x-amz-";

/** Total: any head has an answer. */
export function readSignature({ target, fields }: RequestHead): ReadSignature {
  const stated = fields.filter(({ key, value }) =>
    key === "authorization" && /^AWS4-/i.test(value)
  );
  const query = parameters(target).filter(({ key }) =>
    key === "x-amz-algorithm" || key === "x-amz-signature" || key === "x-amz-credential"
  );
  if (stated.length === 0 && query.length === 0) return { kind: "none" };
  try {
    if (stated.length + Math.min(1, query.length) > 1) {
      throw new Unreadable("more than one signature");
    }
    const [field] = stated;
    const signature = field === undefined ? ofQuery(target) : ofField(field.value, fields);
    return { kind: "signed", signature };
  } catch (error) {
    if (error instanceof Unreadable) return { kind: "unreadable", why: error.message };
    throw error;
  }
}

/** The head without the signature that was read in it: what is left has no part of it any more. */
export function withoutSignature<H extends RequestHead>(head: H, { in: where }: Signature): H {
  if (where === "field") {
    return { ...head, fields: head.fields.filter(({ key }) => key !== "authorization") };
  }
  const at = head.target.indexOf("?");
  const rest = parameters(head.target)
    .filter(({ key }) => key !== "x-amz-credential" && key !== "x-amz-signature")
    .map(({ text }) => text);
  return { ...head, target: `${head.target.slice(0, at)}?${rest.join("&")}` };
}

export function formatScope({ date, region, service }: Scope): string {
  return `${date}/${region}/${service}/aws4_request`;
}

class Unreadable extends Error {}

/** `AWS4-HMAC-SHA256 Credential=ID/SCOPE, SignedHeaders=a;b, Signature=HEX` */
function ofField(value: string, fields: RequestHead["fields"]): Signature {
  const space = value.indexOf(" ");
  const parts = new Map<string, string>();
  for (const part of value.slice(space + 1).split(",")) {
    const equals = part.indexOf("=");
    const name = part.slice(0, Math.max(0, equals)).trim();
    if (parts.has(name)) throw new Unreadable("a part of the signature twice");
    parts.set(name, part.slice(equals + 1).trim());
  }
  if (parts.size !== 3) throw new Unreadable("a signature with other parts than it has");
  const times = fields.filter(({ key }) => key === "x-amz-date");
  if (times.length !== 1) throw new Unreadable("no X-Amz-Date, or more than one");
  return made("field", {
    algorithm: space < 0 ? value : value.slice(0, space),
    credential: parts.get("Credential"),
    signed: parts.get("SignedHeaders"),
    digits: parts.get("Signature"),
    time: times[0]?.value,
  });
}

function ofQuery(target: string): Signature {
  const stated = new Map<string, string>();
  for (const { key, name, value } of parameters(target)) {
    if (!key.startsWith(OF_QUERY)) continue;
    // Of two spellings a server may heed either.
    if (stated.has(key)) throw new Unreadable("a parameter of the signature twice");
    if (KNOWN.has(key) && name !== KNOWN.get(key)) {
      throw new Unreadable("a parameter of the signature in other letters");
    }
    stated.set(key, value);
  }
  return made("query", {
    algorithm: stated.get("x-amz-algorithm"),
    credential: stated.get("x-amz-credential"),
    signed: stated.get("x-amz-signedheaders"),
    digits: stated.get("x-amz-signature"),
    time: stated.get("x-amz-date"),
  });
}

const KNOWN: ReadonlyMap<string, string> = new Map(
  ["Algorithm", "Credential", "Date", "Expires", "SignedHeaders", "Signature", "Security-Token"]
    .map((name) => [`${OF_QUERY}${name.toLowerCase()}`, `X-Amz-${name}`]),
);

const ID = /^[A-Za-z0-9._~-]{1,128}$/;
const PART = /^[A-Za-z0-9-]{1,64}$/;
const TIME = /^[0-9]{8}T[0-9]{6}Z$/;
const DIGITS = /^[0-9a-f]{64}$/;
const KEY = /^[a-z0-9!#$%&'*+.^_`|~-]+$/;

function made(
  where: Signature["in"],
  stated: Partial<
    Readonly<Record<"algorithm" | "credential" | "signed" | "digits" | "time", string | undefined>>
  >,
): Signature {
  const { algorithm = "", credential = "", signed = "", digits = "", time = "" } = stated;
  if (algorithm.startsWith("AWS4-ECDSA-")) {
    throw new Unreadable("a signature of version 4a, which sbx cannot make");
  }
  if (algorithm !== ALGORITHM) throw new Unreadable("an algorithm that is not known");
  const [id = "", date = "", region = "", service = "", end, ...more] = credential.split("/");
  const readable = ID.test(id) && PART.test(region) && PART.test(service) &&
    end === "aws4_request" && more.length === 0 && TIME.test(time) && DIGITS.test(digits);
  if (!readable) throw new Unreadable("a signature that cannot be read");
  if (date !== time.slice(0, 8)) throw new Unreadable("a signature with two dates");
  const keys = signed.split(";");
  if (!keys.every((key) => KEY.test(key)) || new Set(keys).size < keys.length) {
    throw new Unreadable("signed fields that cannot be read");
  }
  // Without it, the signature would be good for any server.
  if (!keys.includes("host")) throw new Unreadable("a signature that leaves out the host");
  return { in: where, id, scope: { date, region, service }, time, signed: keys, digits };
}
