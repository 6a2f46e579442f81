/**
 * What an authority can be asked to be, and where one is kept: all that is known of authorities
 * without loading what makes them.
 *
 * @module
 */
import { join } from "node:path";

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

/** Where the authority is kept below the directory of the user's data. */
export function authorityPath(dataDir: string): string {
  return join(dataDir, "ca", "authority.pem");
}
