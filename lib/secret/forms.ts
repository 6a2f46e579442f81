/**
 * The forms in which a server may send back a value that it got: as it is, and in the escapes and
 * encodings that programs put texts into. Exact forms only; whoever wants a value out and holds it can
 * always spell it in another way.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { base64Inside, OFFSETS, percentEncode, toBase64Url } from "./encodings.ts";

/** A form of the value, and the placeholder in the same form. */
export type Form = readonly [value: Uint8Array, placeholder: Uint8Array];

/** All forms of a value that differ, the plain one first. */
export function formsOf(value: string, placeholder: string): Form[] {
  const forms = new Map<string, Form>();
  const add = (from: string | Uint8Array, to: string) => {
    const bytes = typeof from === "string" ? Buffer.from(from, "utf8") : Buffer.from(from);
    const key = bytes.toString("latin1");
    if (!forms.has(key)) forms.set(key, [bytes, Buffer.from(to, "latin1")]);
  };
  const bytes = Buffer.from(value, "utf8");
  add(bytes, placeholder);
  for (const form of [...percentForms(value), ...jsonForms(value), ...htmlForms(value)]) {
    add(form, placeholder);
  }
  const hex = Buffer.from(placeholder, "latin1").toString("hex");
  add(bytes.toString("hex"), hex);
  add(bytes.toString("hex").toUpperCase(), hex.toUpperCase());
  for (const offset of OFFSETS) {
    const inside = base64Inside(bytes, offset);
    const padded = base64Inside(Buffer.from(alike(placeholder, bytes.length), "latin1"), offset);
    add(inside, padded);
    add(toBase64Url(inside), toBase64Url(padded));
  }
  return [...forms.values()];
}

/** The same with placeholders cut or filled up, so that each form is as long as that of the value. */
export function fittedForms(value: string, placeholder: string): Form[] {
  const short = fitted(placeholder, Buffer.byteLength(value));
  return formsOf(value, short).map(([from, to]): Form => [
    from,
    Buffer.from(fitted(Buffer.from(to).toString("latin1"), from.length), "latin1"),
  ]);
}

/** With what placeholders may have in them and no form escapes. */
function fitted(placeholder: string, length: number): string {
  return placeholder.slice(0, length).padEnd(length, "~");
}

/** As long as the value, modulo 3: what stands behind it in base64 still begins at its bit. */
function alike(placeholder: string, length: number): string {
  return placeholder + "~".repeat((length - placeholder.length % 3 + 3) % 3);
}

/** RFC 3986, `encodeURIComponent`, forms with `+` for a space; hexadecimal digits in either case. */
function percentForms(value: string): string[] {
  const strict = percentEncode(Buffer.from(value, "utf8"));
  const loose = encodeURIComponent(value);
  const all = [strict, loose, strict.replaceAll("%20", "+"), loose.replaceAll("%20", "+")];
  return all.flatMap((one) => [one, one.replace(/%../g, (escape) => escape.toLowerCase())]);
}

/** As `JSON.stringify` and the libraries of other languages write it, without quotation marks. */
function jsonForms(value: string): string[] {
  const plain = JSON.stringify(value).slice(1, -1);
  const ascii = escapeUnits(plain, /[^\x20-\x7e]/g);
  const html = escapeUnits(plain, /[<>&]/g);
  const all = [
    plain,
    ascii,
    html,
    escapeUnits(html, /[='\u2028\u2029]/g),
    escapeUnits(ascii, /[<>&'+]/g),
  ];
  return all.flatMap((one) => [one, one.replaceAll("/", "\\/")]);
}

function escapeUnits(json: string, pattern: RegExp): string {
  return json.replace(pattern, (unit) => "\\u" + unit.charCodeAt(0).toString(16).padStart(4, "0"));
}

/** With and without quotation marks, which are escaped in attributes. */
function htmlForms(value: string): string[] {
  const text = value.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
  const quoted = text.replaceAll('"', "&quot;");
  const numbered = text.replaceAll('"', "&#34;").replaceAll("'", "&#39;");
  return [
    text,
    quoted,
    quoted.replaceAll("'", "&#39;"),
    quoted.replaceAll("'", "&#x27;"),
    quoted.replaceAll("'", "&#039;"),
    numbered,
  ];
}
