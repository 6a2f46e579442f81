/**
 * The tripwire at one request: tells of placeholders on their way to a foreign host, which go no further,
 * and counts those on their way home as seen.
 *
 * @module
 */
import type { Refusal } from "../http/exchange.ts";
import type { Field } from "../http/fields.ts";
import { GateRefusal } from "../http/gate.ts";
import type { HttpRequest } from "../http/request.ts";
import type { Route, SecretViolation } from "../secret/report.ts";
import type { Sighting, Tripwire, Watch } from "../secret/tripwire.ts";
import type { Vault } from "../secret/vault.ts";
import { sortSightings } from "../secret/violation.ts";

export interface LookoutSpec {
  readonly vault: Vault;
  /** Whom the request is for, canonical. */
  readonly to: string;
  /** sbx resolved that name to the address it goes to. Else the placeholder of no secret belongs there. */
  readonly isPinned: boolean;
  readonly onViolation: (violation: SecretViolation) => void;
}

/** What was seen in a part of a request. */
export interface Seen {
  /** To stop it for; null where nothing in it is on its way to a foreign host. */
  readonly violation: Refusal | null;
  /** Names of secrets whose placeholders are on their way home, each once. */
  readonly home: readonly string[];
}

export class Lookout {
  readonly #spec: LookoutSpec;

  constructor(spec: LookoutSpec) {
    this.#spec = spec;
  }

  /** `inFields`: what was seen in its fields by {@link sightingsIn}. */
  head({ method, target }: HttpRequest, inFields: readonly Sighting[]): Seen {
    const { tripwire } = this.#spec.vault;
    const inLine = tripwire.scan(`${method}${BETWEEN}${target}`);
    const isNew = ({ name }: Sighting) => !inLine.some((one) => one.name === name);
    const all = inLine.length === 0 ? inFields : [...inLine, ...inFields.filter(isNew)];
    return this.#sort(all, "request");
  }

  trailers(fields: readonly Field[]): Seen {
    return this.#sort(sightingsIn(fields, this.#spec.vault), "request");
  }

  /** A stream of the guest's. */
  watch(route: Route): StreamLookout {
    const { tripwire } = this.#spec.vault;
    return new StreamLookout(tripwire, (sightings) => this.#sort(sightings, route));
  }

  #sort(sightings: readonly Sighting[], route: Route): Seen {
    if (sightings.length === 0) return NOTHING;
    const { vault: { kept }, to, isPinned, onViolation } = this.#spec;
    const { violations, inert } = sortSightings(sightings, kept, isPinned ? to : null);
    const home = inert.map(({ name }) => name);
    if (violations.length === 0) return { violation: null, home };
    onViolation({ sightings: violations, route, to });
    const detail = [...new Set(violations.map(({ name }) => name))].join(", ");
    return { violation: { reason: "secret-violation", detail }, home };
  }
}

const NOTHING: Seen = { violation: null, home: [] };

export class StreamLookout {
  /** As {@link Seen.home}, so far. */
  readonly home = new Set<string>();
  readonly #tripwire: Tripwire;
  readonly #watch: Watch;
  readonly #sort: (sightings: readonly Sighting[]) => Seen;

  constructor(tripwire: Tripwire, sort: (sightings: readonly Sighting[]) => Seen) {
    this.#tripwire = tripwire;
    this.#watch = tripwire.watch();
    this.#sort = sort;
  }

  /** @throws GateRefusal where these bytes must not go on */
  push(bytes: Uint8Array): void {
    this.#take(this.#watch.push(bytes));
  }

  /** The same for bytes beside the stream, which stand for themselves. */
  pushApart(bytes: Uint8Array): void {
    this.#take(this.#tripwire.scan(bytes));
  }

  #take(sightings: readonly Sighting[]): void {
    const { violation, home } = this.#sort(sightings);
    for (const name of home) this.home.add(name);
    if (violation !== null) throw new GateRefusal(violation);
  }
}

/** The placeholders that stand in fields, names of fields included. */
export function sightingsIn(fields: readonly Field[], { tripwire }: Vault): readonly Sighting[] {
  return tripwire.scan(textOf(fields));
}

/** In no placeholder, and no part of an escape: what stands on either side does not become one text. */
const BETWEEN = "\xff";

function textOf(fields: readonly Field[]): string {
  let text = "";
  for (const { name, value } of fields) text += `${BETWEEN}${name}${BETWEEN}${value}`;
  return text;
}
