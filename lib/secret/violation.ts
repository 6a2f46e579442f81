/**
 * What a sighting of a placeholder means, by where it is on its way to.
 *
 * @module
 */

import { isHostOf, type Secret } from "../policy/model/secret.ts";
import type { Sighting } from "./tripwire.ts";

export interface SortedSightings {
  /** On the way to where it does not belong. */
  readonly violations: readonly Sighting[];
  /** On the way to a host of its own, in a place where no value comes: a history of a chat, say. */
  readonly inert: readonly Sighting[];
}

/**
 * `host`: canonical, of the flow as it was judged; null where none is known, as for a datagram, a name
 * that is asked for, or bytes that state no name. A placeholder belongs to no such flow, and one that
 * is not known belongs nowhere.
 */
export function sortSightings(
  sightings: readonly Sighting[],
  kept: readonly { readonly secret: Pick<Secret, "name" | "hosts"> }[],
  host: string | null,
): SortedSightings {
  const violations: Sighting[] = [];
  const inert: Sighting[] = [];
  for (const sighting of sightings) {
    const secret = kept.find((one) => one.secret.name === sighting.name)?.secret;
    const isHome = host !== null && secret !== undefined && isHostOf(secret, host);
    (isHome ? inert : violations).push(sighting);
  }
  return { violations, inert };
}

/** Which placeholders, and how they were written: `API_KEY in base64`. */
export function describeSightings(sightings: readonly Sighting[]): string {
  return sightings.map(describe).join(", ");
}

function describe({ name, disguise, escapes }: Sighting): string {
  const written = { plain: "", hex: " in hexadecimal", base64: " in base64" }[disguise];
  return `${name}${written}${["", " escaped", " escaped twice"][escapes] ?? ""}`;
}
