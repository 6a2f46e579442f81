/**
 * Looking for values where none may be: in every encoding that something could leave them in. What it goes by is
 * written apart from lib/secret, so that a mistake there is not made here once more.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { lstatSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { memoryOf } from "./process_memory.ts";

export interface Form {
  readonly name: string;
  readonly bytes: Buffer;
}

/** The ways in which a text may lie about. Letters and digits, 12 of them at least. */
export function formsOf(text: string): Form[] {
  const bytes = Buffer.from(text, "latin1");
  const forms: Form[] = [
    { name: "plain", bytes },
    { name: "reversed", bytes: Buffer.from(bytes.toReversed()) },
    { name: "hex", bytes: Buffer.from(bytes.toString("hex")) },
    { name: "HEX", bytes: Buffer.from(bytes.toString("hex").toUpperCase()) },
    { name: "percent", bytes: each(bytes, (hex) => `%${hex}`) },
    { name: "PERCENT", bytes: each(bytes, (hex) => `%${hex.toUpperCase()}`) },
    { name: "JSON", bytes: each(bytes, (hex) => `\\u00${hex}`) },
    { name: "JSON, capitals", bytes: each(bytes, (hex) => `\\u00${hex.toUpperCase()}`) },
    { name: "HTML", bytes: each(bytes, (hex) => `&#x${hex};`) },
    { name: "HTML, decimal", bytes: each(bytes, (hex) => `&#${parseInt(hex, 16)};`) },
    { name: "UTF-16LE", bytes: Buffer.from(text, "utf16le") },
    { name: "UTF-16BE", bytes: Buffer.from(text, "utf16le").swap16() },
  ];
  for (const offset of [0, 1, 2]) {
    // The first and last letters depend on what stands around the text as well.
    const whole = Buffer.concat([Buffer.alloc(offset), bytes]);
    const start = Math.ceil(offset * 8 / 6);
    const end = Math.floor(whole.length * 8 / 6);
    const base64 = whole.toString("base64").slice(start, end);
    forms.push({ name: `base64 at ${offset}`, bytes: Buffer.from(base64) });
    const url = base64.replaceAll("+", "-").replaceAll("/", "_");
    if (url !== base64) forms.push({ name: `base64url at ${offset}`, bytes: Buffer.from(url) });
  }
  return forms;
}

function each(bytes: Buffer, write: (hex: string) => string): Buffer {
  return Buffer.from([...bytes].map((byte) => write(byte.toString(16).padStart(2, "0"))).join(""));
}

/** Which forms are in the bytes. */
export function formsIn(bytes: Buffer, forms: readonly Form[]): string[] {
  return forms.filter((form) => bytes.includes(form.bytes)).map(({ name }) => name);
}

/** What was found of which form, and where. */
export interface Hit {
  readonly where: string;
  readonly form: string;
}

/** Scans texts by what they are called. */
export function scanTexts(texts: Readonly<Record<string, string>>, forms: readonly Form[]): Hit[] {
  return Object.entries(texts).flatMap(([where, text]) =>
    formsIn(Buffer.from(text, "utf8"), forms).map((form) => ({ where, form }))
  );
}

/** Scans every file below a directory, names and targets of links included. */
export function scanFiles(dir: string, forms: readonly Form[]): Hit[] {
  return readdirSync(dir, { recursive: true, encoding: "utf8" }).flatMap((name) => {
    const path = join(dir, name);
    const kind = lstatSync(path);
    const content = kind.isFile()
      ? readFileSync(path)
      : Buffer.from(kind.isSymbolicLink() ? readlinkSync(path) : "");
    return [...formsIn(Buffer.from(name), forms), ...formsIn(content, forms)]
      .map((form) => ({ where: path, form }));
  });
}

/** What everybody on the machine can see of a process, and what root can. */
export function scanProcess(pid: number, forms: readonly Form[]): Hit[] {
  const called = nameOf(pid);
  const open = ["cmdline", "environ", "comm"].flatMap((file) =>
    formsIn(readFileSync(`/proc/${pid}/${file}`), forms)
      .map((form) => ({ where: `${file} of ${called}`, form }))
  );
  const found = new Map<string, Hit>();
  const longest = Math.max(...forms.map(({ bytes }) => bytes.length));
  for (const { region, bytes } of memoryOf(pid, longest)) {
    for (const form of formsIn(bytes, forms)) {
      found.set(`${region} ${form}`, { where: `memory of ${called}, ${region}`, form });
    }
  }
  return [...open, ...found.values()];
}

export function nameOf(pid: number): string {
  return `${readFileSync(`/proc/${pid}/comm`, "utf8").trim()} (${pid})`;
}
