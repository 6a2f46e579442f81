/**
 * Placeholders of secrets in a guest's question. Pure.
 *
 * @module
 */
import type { Sighting, Tripwire } from "../secret/tripwire.ts";
import type { Reading } from "./query.ts";
import type { WireName } from "./wire/wire_name.ts";

/**
 * In the message as it is, and in its name without the lengths between the labels, which could pass for
 * letters of it. Each secret once.
 */
export function sightingsIn(
  tripwire: Tripwire | undefined,
  message: Uint8Array,
  reading: Reading,
): readonly Sighting[] {
  if (tripwire === undefined || reading.kind === "ignore") return [];
  const { question } = reading.kind === "query" ? reading.query : reading;
  const found = question === undefined ? [] : tripwire.scan(joined(question.name));
  const more = tripwire.scan(message).filter(({ name }) => found.every((one) => one.name !== name));
  return more.length === 0 ? found : [...found, ...more];
}

/** What the labels hold, one behind the other. */
function joined(name: WireName): Uint8Array {
  const bytes = new Uint8Array(name.length);
  let size = 0;
  for (let at = 0; (name[at] ?? 0) !== 0;) {
    const end = at + 1 + (name[at] ?? 0);
    bytes.set(name.subarray(at + 1, end), size);
    size += end - at - 1;
    at = end;
  }
  return bytes.subarray(0, size);
}
