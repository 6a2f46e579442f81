/**
 * Tokens in what an OAuth token endpoint answers (RFC 6749 5.1, RFC 8628 3.2): found by the names that
 * they go by, at any depth, and replaced where they stand, with all else left as it was.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { percentEncode } from "./encodings.ts";
import type { TokenKind } from "./vault.ts";

/** What stands in a token's stead. */
export type Replace = (kind: TokenKind, token: string) => string;

/** `access_token`, `accessToken`, … */
const KINDS: Readonly<Record<string, TokenKind>> = {
  accesstoken: "access_token",
  idtoken: "id_token",
  refreshtoken: "refresh_token",
  devicecode: "device_code",
  token: "token",
};

/** Null for what is no token. */
function kindOf(name: string): TokenKind | null {
  const key = name.replaceAll(/[_-]/g, "").toLowerCase();
  return Object.hasOwn(KINDS, key) ? KINDS[key] ?? null : null;
}

/** A text of JSON; null when it is none. */
export function replaceInJson(text: string, replace: Replace): string | null {
  try {
    JSON.parse(text);
  } catch {
    return null;
  }
  let out = "";
  let copied = 0;
  let kind: TokenKind | null = null;
  for (const { from, to } of strings(text)) {
    const literal: unknown = JSON.parse(text.slice(from, to));
    const value = typeof literal === "string" ? literal : "";
    if (isName(text, to)) kind = kindOf(value);
    else {
      if (kind !== null && value !== "" && isNext(text, from)) {
        out += text.slice(copied, from) + JSON.stringify(replace(kind, value));
        copied = to;
      }
      kind = null;
    }
  }
  return out + text.slice(copied);
}

/** A form (RFC 6749 has none, GitHub does), or a query. */
export function replaceInForm(text: string, replace: Replace): string {
  return text.split("&").map((pair) => {
    const equals = pair.indexOf("=");
    const kind = kindOf(decoded(pair.slice(0, Math.max(0, equals))));
    const value = decoded(pair.slice(equals + 1));
    if (equals < 0 || kind === null || value === "") return pair;
    return pair.slice(0, equals + 1) + percentEncode(Buffer.from(replace(kind, value), "utf8"));
  }).join("&");
}

/** Where the strings of a text of JSON stand, in their order. */
function* strings(json: string): Generator<{ readonly from: number; readonly to: number }> {
  for (let from = json.indexOf('"'); from >= 0;) {
    let to = from + 1;
    while (json[to] !== '"') to += json[to] === "\\" ? 2 : 1;
    yield { from, to: to + 1 };
    from = json.indexOf('"', to + 1);
  }
}

/** Whether a colon follows. */
function isName(json: string, at: number): boolean {
  while (isBlank(json[at])) at++;
  return json[at] === ":";
}

/** Whether a colon stands before it: it is the value of the name, and not inside of that. */
function isNext(json: string, at: number): boolean {
  do at--; while (isBlank(json[at]));
  return json[at] === ":";
}

function isBlank(character: string | undefined): boolean {
  return character === " " || character === "\n" || character === "\r" || character === "\t";
}

/** Plus and percent undone; what is no text stays as it is. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll("+", " "));
  } catch {
    return text;
  }
}
