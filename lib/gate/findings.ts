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
import { type SubstitutedFields, substituteFields } from "../secret/substitute_head.ts";
import type { Sighting } from "../secret/tripwire.ts";
import type { Vault } from "../secret/vault.ts";
import type { HostSecrets } from "./host_secrets.ts";
import { sightingsIn } from "./lookout.ts";
import { askReadable } from "./readable.ts";

type Fields = readonly Field[];

/** Of one connection. */
export class Findings {
  readonly foreign = recallingLast((fields: Fields, { placeholders }: HostSecrets) =>
    foreignInFields(fields, placeholders)
  );
  readonly readable = recallingLast(askReadable);
  readonly #vault: Vault;
  readonly #sightings: (fields: Fields, kept: Vault["kept"]) => readonly Sighting[];
  readonly #same = repeating<Grant>((one, other) => one.isSame(other));
  readonly #substituted = recallingLast(substituteFields<Field>);

  constructor(vault: Vault) {
    this.#vault = vault;
    this.#sightings = recallingLast((fields, _) => sightingsIn(fields, vault));
  }

  /** Tokens that came meanwhile are looked for from then on. */
  sightings(fields: Fields): readonly Sighting[] {
    return this.#sightings(fields, this.#vault.kept);
  }

  substituted(fields: Fields, grants: readonly Grant[]): SubstitutedFields<Field> {
    return this.#substituted(fields, this.#same(grants));
  }
}
