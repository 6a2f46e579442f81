/**
 * What kind of text a body is, by its Content-Type: in which escapes a value has to stand in it.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { percentEncode } from "./encodings.ts";

export type BodyKind =
  | { readonly kind: "plain" | "json" | "form" | "xml" }
  | { readonly kind: "multipart"; readonly boundary: string };

export type TextKind = Exclude<BodyKind["kind"], "multipart">;

const JSON_TYPE =
  /^(?:application|text)\/(?:[a-z0-9.-]+\+json|json|json-seq|x-ndjson|ndjson|jsonl|x-json)$/;
const XML_TYPE = /^(?:application|text|image)\/(?:[a-z0-9.-]+\+xml|xml)$/;
const TEXT_TYPE =
  /^(?:text\/[a-z0-9.+-]+|application\/(?:graphql|yaml|x-yaml|toml|sql|javascript))$/;

/** Placeholders are ASCII, and values are sent in UTF-8. */
const CHARSETS: ReadonlySet<string> = new Set(["utf-8", "utf8", "us-ascii", "iso-8859-1"]);

/** Of a Content-Type field; null for what is no text, or none that is known. */
export function bodyKindOf(contentType: string): BodyKind | null {
  const [stated = "", ...parameters] = contentType.split(";").map((one) => one.trim());
  const type = stated.toLowerCase();
  const charset = parameter(parameters, "charset");
  if (charset !== null && !CHARSETS.has(charset.toLowerCase())) return null;
  if (type === "application/x-www-form-urlencoded") return { kind: "form" };
  if (/^multipart\/[a-z-]+$/.test(type)) {
    const boundary = parameter(parameters, "boundary");
    // RFC 2046 5.1.1
    return boundary !== null && /^[\x21-\x7e ]{1,70}$/.test(boundary)
      ? { kind: "multipart", boundary }
      : null;
  }
  // Each message has its length in front, which a value would make wrong.
  if (/^application\/(?:grpc|connect)\b/.test(type)) return null;
  if (JSON_TYPE.test(type)) return { kind: "json" };
  if (XML_TYPE.test(type)) return { kind: "xml" };
  return TEXT_TYPE.test(type) ? { kind: "plain" } : null;
}

/** Null when it is not stated, and an impossible value when it is stated twice. */
function parameter(parameters: readonly string[], name: string): string | null {
  const stated = parameters.filter((one) => one.toLowerCase().startsWith(`${name}=`));
  if (stated.length !== 1) return stated.length === 0 ? null : "\0";
  const value = (stated[0] ?? "").slice(name.length + 1);
  return value.startsWith('"') && value.endsWith('"') ? value.slice(1, -1) : value;
}

/** The value as a program that has it writes it into such a text. */
export function escapeFor(kind: TextKind, value: string): Buffer {
  switch (kind) {
    case "plain":
      return Buffer.from(value, "utf8");
    case "json":
      return Buffer.from(JSON.stringify(value).slice(1, -1), "utf8");
    case "form":
      return Buffer.from(percentEncode(Buffer.from(value, "utf8")), "latin1");
    case "xml":
      return Buffer.from(value.replace(/[&<>"']/g, (one) => `&#${one.charCodeAt(0)};`), "utf8");
  }
}

/** How the same program writes a placeholder: forms encode the tilde, which URLs do not. */
export function writtenIn(kind: TextKind, placeholder: string): readonly string[] {
  if (kind !== "form" || !placeholder.includes("~")) return [placeholder];
  return [placeholder, placeholder.replaceAll("~", "%7E"), placeholder.replaceAll("~", "%7e")];
}
