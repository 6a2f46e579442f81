/**
 * Values that somebody is about to hand to the guest by themselves, as a shell does with "$NAME".
 *
 * @module
 */
import { SbxError } from "../base/errors.ts";
import type { Vault } from "../secret/vault.ts";

/** What is shorter stands in other words by chance. */
const LEAST = 8;

/**
 * `texts` are what the guest would get, with what each is: "its argument 2".
 *
 * @throws SbxError USAGE that names the secret, and what it stands in
 */
export function requireNoValue(
  vault: Pick<Vault, "kept" | "known">,
  texts: Iterable<readonly [what: string, text: string]>,
): void {
  const values = vault.kept.flatMap(({ secret: { name, hosts: [host = ""] } }) =>
    vault.known(host.replace(/^\./, ""))
      .filter(({ secret }) => secret.name === name)
      .map(({ value }) => ({ name, value: value.reveal() }))
  );
  if (values.length === 0) return;
  for (const [what, text] of texts) {
    const found = values.find(({ value }) =>
      value.length < LEAST ? text === value : text.includes(value)
    );
    if (found === undefined) continue;
    const { name } = found;
    throw new SbxError(
      "USAGE",
      `Cannot run the command: ${what} has the value of secret ${name}, and the guest would have it`,
      {
        hint:
          `let the guest put its placeholder there: sh -c 'command "$${name}"', quoted like that`,
      },
    );
  }
}
