/**
 * The secrets of one running sandbox: what its guest holds of each, and their values of now.
 *
 * @module
 */

import type { Secret, ViolationAction } from "../policy/model/secret.ts";
import type { HeldSecret } from "./grant.ts";
import type { Placeholder } from "./placeholder.ts";
import type { Tripwire } from "./tripwire.ts";

/** Keeps tokens that servers hand out, for as long as the sandbox runs; of each kind the latest few. */
export interface TokenMint {
  /**
   * What the guest gets in the token's stead; the same for the same token. `secret`: whose endpoint it is.
   *
   * @throws SbxError SECRET_INVALID for a text that is no value
   */
  mint(secret: Secret, kind: TokenKind, token: string): string;
}

/** What a token of an OAuth answer is for: the hosts' interfaces, or the endpoint itself, for another one. */
export type TokenKind = "access_token" | "id_token" | "token" | "refresh_token" | "device_code";

/** A secret and what the guest has of it. Placeholders stay as long as the sandbox runs. */
export interface KeptSecret {
  readonly secret: Secret;
  readonly placeholder: Placeholder;
}

export interface Vault {
  /** The declared ones first, in their order; tokens that came meanwhile behind them. */
  readonly kept: readonly KeptSecret[];
  readonly onViolation: ViolationAction;
  /** Finds the placeholders of all of them. */
  readonly tripwire: Tripwire;
  /**
   * The secrets of a host, with the values that their sources have now: asked for each request, so that
   * a value that was changed counts from the next one on. At once where no source has to be asked. The
   * array stays the same one while the values do.
   *
   * @throws SbxError SECRET_UNAVAILABLE, SECRET_INVALID, by rejecting, when a source fails
   */
  heldFor(host: string): readonly HeldSecret[] | Promise<readonly HeldSecret[]>;
  /**
   * What answers of the host can hold: of each of its secrets the values that were read last, newest
   * first, a few of them. Asks no source. The array stays the same one while the values do.
   */
  known(host: string): readonly HeldSecret[];
  /**
   * From the next request on only the values of these go out, by the names of their declarations; all at the
   * start. Of the others no source is asked, their placeholders belong to their hosts as before, and their
   * values are looked for in answers.
   */
  permit(names: ReadonlySet<string>): void;
  /** Absent: no secret has a token endpoint. */
  readonly tokens?: TokenMint;
}
