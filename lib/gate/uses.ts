/**
 * What a part of a request did with the secrets of its host, made of what substitution counted and of what
 * the tripwire saw beside that: in disguise, or of a secret that this request is not granted.
 *
 * @module
 */
import type { Place } from "../policy/model/secret.ts";
import type { SecretUse } from "../secret/report.ts";
import type { BodyTally } from "../secret/substitute_body.ts";
import type { Tally } from "../secret/substitute_head.ts";

export interface Counted {
  readonly used: readonly Tally[];
  readonly inert: readonly Tally<SecretUse["place"]>[];
}

/** `home`: names of secrets that were seen; `place`: where those are that nobody counted. */
export function usesOf(
  host: string,
  { used, inert }: Counted,
  home: Iterable<string>,
  place: SecretUse["place"],
): readonly SecretUse[] {
  const uses: SecretUse[] = [];
  for (const { name, place, count } of used) {
    uses.push({ name, place, count, host, what: "sent" });
  }
  for (const { name, place, count } of inert) {
    uses.push({ name, place, count, host, what: "inert" });
  }
  for (const name of home) {
    if (uses.some((use) => use.name === name)) continue;
    uses.push({ name, place, count: 1, host, what: "inert" });
  }
  return uses;
}

export const NONE: Counted = { used: [], inert: [] };

/** Counts of a part that is one place. */
export function placed(
  { used, inert }: { readonly used: readonly BodyTally[]; readonly inert: readonly BodyTally[] },
  place: Place,
): Counted {
  const all = (tallies: readonly BodyTally[]) => tallies.map((tally) => ({ ...tally, place }));
  return { used: all(used), inert: all(inert) };
}
