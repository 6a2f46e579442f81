/**
 * Parameters of SVCB and HTTPS records (RFC 9460 2.2). Pure.
 *
 * Address hints would let a client connect where no judged answer pointed, and an ECH key would hide
 * the name that rules go by; both are taken out for names under a rule.
 *
 * @module
 */
import { Cursor } from "../base/cursor.ts";
import { nameBytes, readName } from "./wire_name.ts";

const Key = { Mandatory: 0, Ipv4Hint: 4, Ech: 5, Ipv6Hint: 6 } as const;

const STRIPPED: ReadonlySet<number> = new Set([Key.Ipv4Hint, Key.Ech, Key.Ipv6Hint]);

/** The record's data without hints and ECH; null when a client could not use what is left. */
export function stripHints(data: Uint8Array): Uint8Array | null {
  const cursor = new Cursor(data);
  const parts: Uint8Array[] = [cursor.take(2), nameBytes(readName(cursor))];
  while (cursor.left > 0) {
    const start = cursor.at;
    const key = cursor.u16();
    const value = cursor.take(cursor.u16());
    if (key === Key.Mandatory) {
      const mandatory = new Cursor(value);
      while (mandatory.left > 0) if (STRIPPED.has(mandatory.u16())) return null;
    }
    if (!STRIPPED.has(key)) parts.push(data.subarray(start, cursor.at));
  }
  const size = parts.reduce((sum, part) => sum + part.length, 0);
  const whole = new Uint8Array(size);
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
