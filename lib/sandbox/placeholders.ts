/**
 * What a guest holds in the place of its secrets, by the names of the variables that have it.
 *
 * @module
 */
import type { Vault } from "../secret/vault.ts";

export function placeholdersOf(vault: Vault | undefined): Readonly<Record<string, string>> {
  const entries = vault?.kept.map(({ secret: { name }, placeholder: { text } }) => [name, text]);
  return Object.fromEntries(entries ?? []);
}
