/**
 * Values that users type after an option: sizes, durations, keys, mounts, assignments.
 * Each function takes the text and returns the value, or throws a usage error that shows the form.
 *
 * @module
 */
import { SbxError } from "../base/errors.ts";
import { nearest } from "../base/nearest.ts";
import { escapeText, quote } from "../base/escape.ts";
import { MIB, parseSize } from "../base/size.ts";
import type { Mount } from "../mod.ts";

/** `512M`, `2G`, `1.5GiB` or a plain number of MiB. */
export function parseMemory(text: string): number {
  const bytes = parseSize(text, MIB);
  if (bytes === null) throw usage("--memory", text, "not a size", "write it like 512M or 2G");
  return Math.floor(bytes / MIB);
}

const MS_PER_UNIT: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** `30s`, `5m`, `1h30m`, `250ms`, or a plain number of seconds; in milliseconds. */
export function parseDuration(option: string, text: string): number {
  const hint = "write it like 30s, 5m or 1h30m";
  if (/^\d+(\.\d+)?$/.test(text)) return positive(option, text, Number(text) * 1000, hint);
  if (!/^(\d+(\.\d+)?(ms|s|m|h))+$/.test(text)) throw usage(option, text, "not a duration", hint);
  let total = 0;
  for (const [, amount, unit = ""] of text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h)/gy)) {
    total += Number(amount) * (MS_PER_UNIT[unit] ?? NaN);
  }
  return positive(option, text, total, hint);
}

/** As {@link parseDuration} reads it: `1h30m`, `2s`, `1s500ms`. */
export function formatDuration(ms: number): string {
  const units = [["h", 3_600_000], ["m", 60_000], ["s", 1000], ["ms", 1]] as const;
  let rest = Math.round(ms);
  const parts = units.map(([unit, size]) => {
    const count = Math.floor(rest / size);
    rest -= count * size;
    return count > 0 ? `${count}${unit}` : "";
  });
  return parts.join("") || "0s";
}

function positive(option: string, text: string, value: number, hint: string): number {
  if (value > 0) return value;
  throw usage(option, text, "must be more than nothing", hint);
}

/** One of some words. */
export function oneOf<T extends string>(option: string, text: string, words: readonly T[]): T {
  const word = words.find((each) => each === text);
  if (word !== undefined) return word;
  const near = nearest(text, words, 2);
  const hint = near === null ? `write ${words.join(", ")}` : `did you mean ${near}?`;
  throw usage(option, text, "no such choice", hint);
}

/** A whole number of at least one. */
export function parseCount(option: string, text: string): number {
  const count = /^\d{1,9}$/.test(text) ? Number(text) : 0;
  if (count < 1) throw usage(option, text, "not a whole number above 0");
  return count;
}

/** Enter, Ctrl-C and Escape begin or end something else already; `.` and `?` come after the key. */
const TAKEN_KEYS = new Set(["^M", "^J", "^C", "^[", ".", "?"]);

/** One printable character of ASCII, or `^X` for Ctrl-X, as its byte; `none` is null. */
export function parseKey(option: string, text: string): number | null {
  if (text === "none") return null;
  const hint = "write one character like ~, ^] for Ctrl-], or none";
  if (!/^(?:[!-~]|\^[A-Z[\\\]^_])$/i.test(text)) throw usage(option, text, "not a key", hint);
  const key = text.toUpperCase();
  if (TAKEN_KEYS.has(key)) throw usage(option, text, "that key means something else", hint);
  return text.length === 1 ? text.charCodeAt(0) : key.charCodeAt(1) & 0x1f;
}

/** As {@link parseKey} reads it. */
export function formatKey(key: number): string {
  return key < 0x20 ? `^${String.fromCharCode(key | 0x40)}` : String.fromCharCode(key);
}

/** What container tools take about labels and caches, which nothing here depends on. */
const WITHOUT_EFFECT = ["z", "Z", "consistent", "delegated"];

/**
 * `HOST:GUEST[:MODE[,MODE…]]`, of which `ro`, `rw`, `cached` and `copy` say something. The guest's part starts at the last
 * `:/`, so colons in HOST survive.
 */
export function parseMount(text: string): Mount {
  const hint = "write it like ./src:/src or ~/data:/data:ro";
  const match = /^(.+):(\/[^:]*)(?::([A-Za-z,]+))?$/s.exec(text);
  const [, host, guest, listed] = match ?? [];
  if (host === undefined || guest === undefined) {
    throw usage("--volume", text, "not HOST:GUEST[:MODE] with an absolute GUEST", hint);
  }
  const modes = listed?.split(",") ?? [];
  const unknown = modes.find((mode) =>
    !["ro", "rw", "cached", "copy", ...WITHOUT_EFFECT].includes(mode)
  );
  if (unknown !== undefined) {
    throw usage("--volume", text, `${JSON.stringify(unknown)} is no way to mount`, hint);
  }
  if (modes.includes("ro") && modes.includes("rw")) {
    throw usage("--volume", text, "it is both ro and rw", hint);
  }
  const readOnly = modes.includes("ro");
  if (modes.includes("copy")) {
    if (readOnly) throw usage("--volume", text, "it is both ro and a copy", hint);
    return { host, guest, readOnly, as: "copy" };
  }
  return { host, guest, readOnly, ...(modes.includes("cached") ? { as: "cached" } : {}) };
}

export type Assignment = readonly [key: string, value: string];

/** `KEY=VALUE`, or `KEY` to pass on this process's own value; null when it has none. */
export function parseAssignment(
  option: string,
  text: string,
  own: Readonly<Record<string, string | undefined>>,
): Assignment | null {
  const equals = text.indexOf("=");
  const key = equals < 0 ? text : text.slice(0, equals);
  if (key === "" || /[\s\0]/.test(key)) {
    // Not even the name is shown: what stands there may be a value whose name is missing.
    throw new SbxError(
      "USAGE",
      `Cannot use ${escapeText(option)}: the name is empty or has a space in it`,
      { hint: "write it like KEY=VALUE or KEY" },
    );
  }
  const value = equals < 0 ? own[key] : text.slice(equals + 1);
  return value === undefined ? null : [key, value];
}

/** A usage error about one option's value. */
export function usage(option: string, text: string, state: string, hint?: string): SbxError {
  return new SbxError(
    "USAGE",
    `Cannot use ${option} ${quote(text)}: ${state}`,
    hint === undefined ? {} : { hint },
  );
}
