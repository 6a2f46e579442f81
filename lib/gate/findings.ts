/**
 * What was found out about the fields of a request, for the next one of the connection that says the same:
 * most clients do so, and looking through fields is most of what a request with secrets costs. Nothing is
 * taken on trust. Fields are known for the same by what they say, secrets and grants by what they are, and
 * whether there are grants is asked for each request.
 *
 * @module
 */
import { recallingLast, repeating } from "../base/recall.ts";
import type { Field } from "../http/fields.ts";
import { foreignInFields } from "../secret/exclusive.ts";
import type { Grant } from "../secret/grant.ts";
import { substituteFields } from "../secret/substitute_head.ts";
import type { Vault } from "../secret/vault.ts";
import type { HostSecrets } from "./host_secrets.ts";
import { sightingsIn } from "./lookout.ts";
import { askReadable } from "./readable.ts";

/** Of one connection. */
export class Findings {
  readonly foreign = recallingLast((fields: readonly Field[], { placeholders }: HostSecrets) =>
    foreignInFields(fields, placeholders)
  );
  readonly readable = recallingLast((fields: readonly Field[]) => askReadable(fields, false));
  readonly #sightings = recallingLast((
    fields: readonly Field[],
    vault: Vault,
    _kept: Vault["kept"], // tokens that came meanwhile are looked for from then on
  ) => sightingsIn(fields, vault));
  readonly #same = repeating<Grant>((one, other) => one.isSame(other));
  readonly #substituted = recallingLast(substituteFields<Field>);

  sightings(fields: readonly Field[], vault: Vault) {
    return this.#sightings(fields, vault, vault.kept);
  }

  substituted(fields: readonly Field[], grants: readonly Grant[]) {
    return this.#substituted(fields, this.#same(grants));
  }
}
