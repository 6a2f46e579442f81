/**
 * What a host has of a vault's secrets. Nearly all requests of a connection are for the same host, so that
 * it is gathered once for them, and again when tokens have come to the vault.
 *
 * @module
 */
import { isHostOf } from "../policy/model/secret.ts";
import type { KeptSecret, Vault } from "../secret/vault.ts";

export interface HostSecrets {
  readonly host: string;
  readonly secrets: readonly KeptSecret[];
  /** The texts of their placeholders. */
  readonly placeholders: ReadonlySet<string>;
  /** A credential that is none of these goes no further. */
  readonly exclusive: boolean;
}

export class SecretsByHost {
  readonly #vault: Vault;
  #latest: HostSecrets | null = null;
  /** What it was gathered from. */
  #kept: Vault["kept"] | null = null;

  constructor(vault: Vault) {
    this.#vault = vault;
  }

  of(host: string): HostSecrets {
    const { kept } = this.#vault;
    if (this.#latest?.host === host && this.#kept === kept) return this.#latest;
    const secrets = kept.filter(({ secret }) => isHostOf(secret, host));
    this.#kept = kept;
    return this.#latest = {
      host,
      secrets,
      placeholders: new Set(secrets.map(({ placeholder }) => placeholder.text)),
      exclusive: secrets.some(({ secret }) => secret.exclusive),
    };
  }
}
