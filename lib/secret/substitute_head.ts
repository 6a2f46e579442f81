/**
 * Puts granted values into the head of a request, in the places that their secrets name.
 *
 * Works on parsed values, so that a value can end no field and no line, and once: what was put in is
 * not looked at again. In a target the value is percent-encoded, so that it adds no parameter and no
 * segment; inside Basic credentials the base64 is opened and closed around it. Method, names of fields
 * and whatever frames or routes a request are never touched.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { hasScheme, isCredentialField, readBasic, writeBasic } from "./credentials.ts";
import { percentEncode } from "./encodings.ts";
import { holdsPlaceholder, replacePercentEncoded, replacePlaceholders } from "./find.ts";
import type { Grant } from "./grant.ts";
import type { Placeholder } from "./placeholder.ts";
import type { HeaderSelection, Place } from "../policy/model/secret.ts";
import { mayHoldValue } from "../policy/model/secret_scope.ts";

/** As `lib/http` has it: one character a byte. */
export interface HeadField {
  readonly name: string;
  readonly key: string;
  readonly value: string;
  /** HTTP/2: in no compression table (RFC 7541 7.1.3). */
  readonly sensitive?: true;
}

export interface RequestHead<F extends HeadField = HeadField> {
  readonly method: string;
  /** Path and query; HTTP/2: `:path`. */
  readonly target: string;
  readonly fields: readonly F[];
}

/** How often a placeholder of the secret stood there. */
export interface Tally<P = Place> {
  readonly name: string;
  readonly place: P;
  readonly count: number;
}

export type SubstitutedHead<F extends HeadField = HeadField> =
  | {
    readonly kind: "head";
    /** Fields with a value in them are `sensitive`. The very same ones where no value came. */
    readonly head: RequestHead<F>;
    /** There is a value in the target, which then belongs into no table and no journal. */
    readonly sensitiveTarget: boolean;
    readonly used: readonly Tally[];
    /** Placeholders that went on as they are, since their secret is not for that place. */
    readonly inert: readonly Tally<Place | "elsewhere">[];
  }
  /** More values than any client sends: to multiply what sbx sends and keeps. */
  | { readonly kind: "refused"; readonly why: "too-many-values" };

const MOST_USES = 64;

/** What the fields of a head came to. */
export interface SubstitutedFields<F extends HeadField> {
  /** Those with a value in them are `sensitive`. The very same ones where no value came. */
  readonly fields: readonly F[];
  /** How many values came. Beyond the limit there are none of them. */
  readonly uses: number;
  readonly used: readonly Tally[];
  readonly inert: readonly Tally<Place | "elsewhere">[];
}

/** `grants`: those of this very request. */
export function substituteFields<F extends HeadField>(
  fields: readonly F[],
  grants: readonly Grant[],
): SubstitutedFields<F> {
  const work = new Substitution(grants);
  const put = fields.map((field) => work.field(field));
  const { uses } = work;
  return {
    fields: uses > 0 ? put : fields,
    uses,
    used: work.used.all(),
    inert: work.inert.all(),
  };
}

/** `grants`: those of this very request; `put`: what its fields come to with them. */
export function substituteHead<F extends HeadField>(
  head: RequestHead<F>,
  grants: readonly Grant[],
  put: SubstitutedFields<F> = substituteFields(head.fields, grants),
): SubstitutedHead<F> {
  const work = new Substitution(grants);
  const target = work.target(head.target);
  work.elsewhere(head.method);
  if (work.uses + put.uses > MOST_USES) return { kind: "refused", why: "too-many-values" };
  for (const tally of put.used) work.used.add(tally.name, tally.place, tally.count);
  for (const tally of put.inert) work.inert.add(tally.name, tally.place, tally.count);
  return {
    kind: "head",
    head: { method: head.method, target, fields: put.fields },
    sensitiveTarget: target !== head.target,
    used: work.used.all(),
    inert: work.inert.all(),
  };
}

class Substitution {
  readonly used = new Tallies<Place>();
  readonly inert = new Tallies<Place | "elsewhere">();
  uses = 0;
  readonly #grants: readonly Grant[];
  readonly #placeholders: readonly Placeholder[];
  /** What is shorter has none in it, in no escapes either. */
  readonly #shortest: number;

  constructor(grants: readonly Grant[]) {
    this.#grants = grants;
    this.#placeholders = grants.map(({ placeholder }) => placeholder);
    let shortest = Infinity;
    for (const { text } of this.#placeholders) shortest = Math.min(shortest, text.length);
    this.#shortest = shortest;
  }

  target(text: string): string {
    if (text.length < this.#shortest) return text;
    if (!text.includes("%") && !holdsPlaceholder(text, this.#placeholders)) return text;
    if (!text.startsWith("/")) return this.elsewhere(text);
    const [, path = "", query = "", fragment = ""] = /^([^?#]*)(\?[^#]*)?(#[^]*)?$/.exec(text) ??
      [];
    const into = (place: Place) => (index: number) => {
      const value = this.#put(index, place);
      return value === null ? null : percentEncode(Buffer.from(value, "latin1"));
    };
    return replacePercentEncoded(path, this.#placeholders, into("path")) +
      replacePercentEncoded(query, this.#placeholders, into("query")) +
      this.elsewhere(fragment);
  }

  field<F extends HeadField>(field: F): F {
    this.elsewhere(field.name);
    if (field.value.length < this.#shortest) return field;
    const value = this.#basic(field) ?? this.#plain(field);
    return value === field.value ? field : { ...field, value, sensitive: true as const };
  }

  /** Only counts. */
  elsewhere(text: string): string {
    if (text.length < this.#shortest || !holdsPlaceholder(text, this.#placeholders)) return text;
    return replacePlaceholders(text, this.#placeholders, (index) => {
      this.inert.add(this.#grants[index]?.secret.name ?? "", "elsewhere");
      return null;
    });
  }

  #plain({ key, value }: HeadField): string {
    if (!holdsPlaceholder(value, this.#placeholders)) return value;
    return replacePlaceholders(
      value,
      this.#placeholders,
      (index) => this.#put(index, "header", key),
    );
  }

  /** Null when nothing of it is ours: no Basic credentials, or none with a placeholder inside. */
  #basic({ key, value }: HeadField): string | null {
    const credentials = hasScheme(key) ? readBasic(value) : null;
    if (credentials === null) return null;
    let found = false;
    const plain = credentials.bytes.toString("latin1");
    const inside = replacePlaceholders(plain, this.#placeholders, (index) => {
      found = true;
      return this.#put(index, "basic");
    });
    if (!found) return null;
    const bytes = Buffer.from(inside, "latin1");
    return bytes.equals(credentials.bytes) ? value : writeBasic({ ...credentials, bytes });
  }

  /** The value that goes there, one character a byte; null: none does. `key`: of the field that it is for. */
  #put(index: number, place: Place, key?: string): string | null {
    const grant = this.#grants[index];
    if (grant === undefined) return null;
    const { name, places, headers } = grant.secret;
    if (!places.has(place) || key !== undefined && !isSelected(headers, key)) {
      this.inert.add(name, place);
      return null;
    }
    // Beyond the limit nothing is built any more; the whole is refused.
    if (++this.uses > MOST_USES) return "";
    this.used.add(name, place);
    return grant.revealBytes();
  }
}

function isSelected(selection: HeaderSelection, key: string): boolean {
  if (!mayHoldValue(key)) return false;
  switch (selection.kind) {
    case "any":
      return true;
    case "credentials":
      return isCredentialField(key);
    case "listed":
      return selection.keys.has(key);
  }
}

/** Counts by name and place, in the order of their first. */
class Tallies<P extends string> {
  readonly #tallies: { name: string; place: P; count: number }[] = [];

  add(name: string, place: P, count = 1): void {
    const tally = this.#tallies.find((one) => one.name === name && one.place === place);
    if (tally === undefined) this.#tallies.push({ name, place, count });
    else tally.count += count;
  }

  all(): Tally<P>[] {
    return this.#tallies;
  }
}
