/**
 * What an authority can be asked to be, and where one is kept: all that is known of authorities
 * without loading what makes them.
 *
 * @module
 */
import { join } from "node:path";

/** What a new authority is to be. */
export interface AuthorityOptions {
  /** Common name; by default one with a random part, so that two are told apart. */
  readonly name?: string;
  /** How long it is valid; 365 when absent. */
  readonly days?: number;
}

export const DEFAULT_DAYS = 365;

export const DAY_MS = 86_400_000;

/** RFC 5280, ub-common-name. */
export const MAX_COMMON_NAME = 64;

/** A name for an authority that was given none, from random hexadecimal digits. */
export function ownName(digits: string): string {
  return `sbx authority ${digits}`;
}

/** Whether the name is one of these, and nobody's choice. */
export function isOwnName(name: string): boolean {
  const prefix = ownName("");
  return name.startsWith(prefix) && /^[0-9a-f]{6}$/.test(name.slice(prefix.length));
}

/** Where the authority is kept below the directory of the user's data. */
export function authorityPath(dataDir: string): string {
  return join(dataDir, "ca", "authority.pem");
}
