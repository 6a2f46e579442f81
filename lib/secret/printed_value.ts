/**
 * What a command printed, as the value of a secret: one line, or an object that says how long the value
 * holds.
 *
 *     ghp_…
 *     {"value": "ya29.…", "expires": "2026-11-29T17:00:00Z"}
 *
 * @module
 */

import { SbxError } from "../base/errors.ts";
import type { SourceReading } from "./program_values.ts";

/** Seconds since 1970 until the year 5138; what is larger counts milliseconds. */
const MOST_SECONDS = 1e11;

/**
 * Reads what was printed; whether the value can be sent is not looked at here.
 *
 * @throws SbxError SECRET_UNAVAILABLE, which repeats nothing of it
 */
export function readPrinted(name: string, printed: string): SourceReading {
  const text = printed.replace(/\r?\n$/, "");
  // Passwords may begin with a brace. One that begins as an object does is cut, or not what it was.
  if (!/^\s*\{\s*"/.test(text)) return { texts: [text] };
  let answer: { readonly value?: unknown; readonly expires?: unknown } | null;
  try {
    answer = JSON.parse(text);
  } catch {
    throw malformed(name, "begins like JSON and is none");
  }
  const { value, expires } = answer ?? {};
  if (value === undefined && expires === undefined) return { texts: [text] };
  if (typeof value !== "string") throw malformed(name, "has no text as its value");
  if (expires === undefined || expires === null) return { texts: [value] };
  return { texts: [value], expires: new Date(momentOf(name, expires)) };
}

function momentOf(name: string, expires: unknown): number {
  if (typeof expires === "number" && expires >= 0 && expires < MOST_SECONDS) return expires * 1000;
  const moment = typeof expires === "string" ? parseMoment(expires) : null;
  if (moment === null) throw malformed(name, "does not say when it expires");
  return moment;
}

/** RFC 3339 5.6, but for leap seconds, which count as the next one. */
const MOMENT = /^(\d{4}-\d{2}-\d{2})[Tt ](\d{2}:\d{2}):(\d{2})(\.\d{1,9})?([Zz]|[+-]\d{2}:\d{2})$/;

/** Milliseconds since 1970; null: no moment. */
export function parseMoment(text: string): number | null {
  const [, date, minute, second, fraction = "", zone] = MOMENT.exec(text) ?? [];
  if (date === undefined || zone === undefined) return null;
  const midnight = Date.parse(`${date}T00:00:00Z`);
  // Engines take the thirtieth of February for a day of March.
  if (Number.isNaN(midnight) || !new Date(midnight).toISOString().startsWith(date)) return null;
  const start = Date.parse(`${date}T${minute}:00${zone.toUpperCase()}`);
  const seconds = Number(`${second}${fraction}`);
  return Number.isNaN(start) || seconds >= 61 ? null : start + seconds * 1000;
}

function malformed(name: string, state: string): SbxError {
  return new SbxError(
    "SECRET_UNAVAILABLE",
    `Cannot read secret ${name}: what its command printed ${state}`,
    {
      hint:
        'print the value alone, or {"value": "…", "expires": "…"} with a time as RFC 3339 has ' +
        "it or in seconds since 1970",
    },
  );
}
