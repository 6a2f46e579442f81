/**
 * The canonical form of a request, which is what a signature is made of.
 *
 * How a path and a query are brought into that form depends on the service, and clients differ where it
 * is not written down. Which way one went is found by its own signature; see {@link SPELLINGS}.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { createHash, createHmac } from "node:crypto";
import type { HeadField } from "../substitute_head.ts";
import { decode, encode, encodePath, halves } from "./query.ts";
import { ALGORITHM, formatScope, type Scope, type Signature } from "./signature.ts";

/** Target and fields as they are sent. `host`: the authority as it is sent. */
export interface SignedHead {
  readonly method: string;
  readonly host: string;
  readonly target: string;
  readonly fields: readonly HeadField[];
}

/** One way from what is sent to the canonical form. */
export interface Spelling {
  path(path: string): string;
  /** Of one half of a parameter. */
  part(text: string): string;
}

const asSent = (text: string) => text;
const paths = {
  s3: asSent,
  s3Again: (path: string) => encodePath(decode(path)),
  others: encodePath,
  othersWithoutSteps: (path: string) => encodePath(withoutSteps(path)),
};
const parts = { asSent, again: (text: string) => encode(decode(text.replaceAll("+", "%20"))) };

/** S3 takes paths as they are, other services encode them once more, some after taking their steps. */
export const SPELLINGS: readonly Spelling[] = [parts.again, parts.asSent].flatMap((part) =>
  Object.values(paths).map((path) => ({ path, part }))
);

/** RFC 3986 5.2.4, and empty segments left out. */
function withoutSteps(path: string): string {
  const kept: string[] = [];
  const segments = path.split("/");
  for (const segment of segments) {
    if (segment === "..") kept.pop();
    else if (segment !== "" && segment !== ".") kept.push(segment);
  }
  const tail = kept.length > 0 && path.endsWith("/") ? "/" : "";
  return `/${kept.join("/")}${tail}`;
}

/** `payload`: the hash of the body, or the word that stands for it. */
export function canonicalRequest(
  head: SignedHead,
  signed: readonly string[],
  payload: string,
  spelling: Spelling,
): string {
  const at = head.target.indexOf("?");
  const path = at < 0 ? head.target : head.target.slice(0, at);
  return [
    head.method,
    spelling.path(path),
    at < 0 ? "" : canonicalQuery(head.target.slice(at + 1), spelling),
    ...signed.map((key) => `${key}:${fieldText(head, key)}`),
    "",
    signed.join(";"),
    payload,
  ].join("\n");
}

function canonicalQuery(query: string, { part }: Spelling): string {
  return query.split("&").filter((text) => text !== "")
    .map((text) => halves(text).map(part) as [string, string])
    .filter(([name]) => name !== "X-Amz-Signature")
    .sort(([a, x], [b, y]) => compare(a, b) || compare(x, y))
    .map(([name, value]) => `${name}=${value}`)
    .join("&");
}

/** By code points, as bytes are. */
function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** All lines of a field as one, runs of blanks as one. */
function fieldText({ host, fields }: SignedHead, key: string): string {
  if (key === "host") return host;
  return fields.filter((field) => field.key === key)
    .map(({ value }) => value.replace(/[ \t]+/g, " "))
    .join(",");
}

export function sha256(bytes: Uint8Array | string): string {
  return createHash("sha256").update(bytes as string).digest("hex");
}

export const HASH_OF_NOTHING = sha256("");

/** The right to sign for one day, region and service; made of a secret key. */
export class SigningKey {
  readonly #key: Buffer;
  readonly #scope: string;

  constructor(secret: string, scope: Scope) {
    const steps = [scope.date, scope.region, scope.service, "aws4_request"];
    this.#key = steps.reduce(hmac, Buffer.from(`AWS4${secret}`, "utf8"));
    this.#scope = formatScope(scope);
  }

  /** In hexadecimal digits. `kind`: what is signed; `lines`: what follows time and scope. */
  sign(time: string, lines: readonly string[], kind = ALGORITHM): string {
    const text = [kind, time, this.#scope, ...lines].join("\n");
    return hmac(this.#key, text).toString("hex");
  }

  /** `canonical`: one character a byte. */
  signRequest({ time }: Pick<Signature, "time">, canonical: string): string {
    return this.sign(time, [sha256(Buffer.from(canonical, "latin1"))]);
  }
}

function hmac(key: Buffer, text: string): Buffer {
  return createHmac("sha256", key).update(text).digest();
}
