/**
 * Which lines of a journal somebody asked for.
 *
 * @module
 */
import { parseAddress } from "../base/address.ts";
import { canonicalName, canonicalSuffix } from "../base/name.ts";
import type { JournalRecord } from "./format.ts";
import { addressOf, isRefusal, partyOf } from "./record.ts";

/** Whom a line has to be about. */
export type Party =
  | { readonly kind: "address"; readonly address: string }
  | { readonly kind: "name"; readonly name: string }
  /** The suffix itself and every name below it. */
  | { readonly kind: "suffix"; readonly suffix: string };

export interface Selection {
  /** Refusals alone. */
  readonly denied: boolean;
  readonly party: Party | null;
}

/** Reads an address, a name or a suffix as rules write them; null for anything else. */
export function readParty(text: string): Party | null {
  const address = parseAddress(text.replace(/^\[|\]$/g, ""));
  if (address !== null) return { kind: "address", address: address.text };
  if (text.startsWith(".") || text.startsWith("*.")) {
    const suffix = canonicalSuffix(text);
    return suffix === null ? null : { kind: "suffix", suffix };
  }
  const name = canonicalName(text);
  return name === null ? null : { kind: "name", name };
}

export function selects({ denied, party }: Selection, record: JournalRecord): boolean {
  if (denied && !isRefusal(record)) return false;
  return party === null || isAbout(party, record);
}

function isAbout(party: Party, record: JournalRecord): boolean {
  if (party.kind === "address") return addressOf(record) === party.address;
  const said = partyOf(record);
  const name = said === undefined ? null : canonicalName(said);
  if (name === null) return false;
  return party.kind === "name"
    ? name === party.name
    : name === party.suffix || name.endsWith(`.${party.suffix}`);
}
