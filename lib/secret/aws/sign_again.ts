/**
 * Signs again, with the real keys, what a guest signed with their placeholders.
 *
 * The guest's signature is checked first: it shows that the request is as its signer left it, and in
 * which way that brought path and query into their canonical form. What is signed is the head as it is
 * sent, date and signed fields as the guest has them. A pair comes as grants of this very request, like
 * any value; the secret key is in what is sent as signatures only.
 *
 * @module
 */

import type { AwsPart } from "../../policy/model/secret.ts";
import type { Grant } from "../grant.ts";
import type { HeadField, RequestHead } from "../substitute_head.ts";
import {
  canonicalRequest,
  HASH_OF_NOTHING,
  sha256,
  type SignedHead,
  SigningKey,
  type Spelling,
  SPELLINGS,
} from "./canonical.ts";
import { ChunkSigner } from "./chunks.ts";
import { encode, parameters } from "./query.ts";
import { ALGORITHM, formatScope, type ReadSignature, type Signature } from "./signature.ts";

/** The parts of a pair that this request may have. */
export interface Pair {
  readonly id: Grant;
  readonly key: Grant;
  readonly token: Grant | null;
}

const NO_PAIRS: readonly Pair[] = [];

/** Of all grants of a request; a pair without both of its keys is none. */
export function pairsOf(grants: readonly Grant[]): readonly Pair[] {
  if (!grants.some(({ secret }) => secret.aws !== undefined)) return NO_PAIRS;
  const byName = new Map<string, Partial<Record<AwsPart, Grant>>>();
  for (const grant of grants) {
    const part = grant.secret.aws?.part;
    if (part === undefined) continue;
    byName.set(part.of, { ...byName.get(part.of), [part.kind]: grant });
  }
  return [...byName.values()].flatMap(({ id, key, token = null }) =>
    id === undefined || key === undefined ? [] : [{ id, key, token }]
  );
}

/** Of several secrets, those that are put into requests. */
export function withoutPairs<T extends { readonly secret: Grant["secret"] }>(
  all: readonly T[],
): readonly T[] {
  return all.filter(({ secret }) => secret.aws === undefined);
}

export interface SignAgainSpec<F extends HeadField> {
  /** As the guest sent it. */
  readonly sent: RequestHead<F>;
  /** With all that was changed in it, as it would leave. */
  readonly changed: RequestHead<F>;
  /** `host[:port]` as it is sent. */
  readonly host: string;
  /** Of `sent`. */
  readonly read: ReadSignature;
  readonly pairs: readonly Pair[];
  /** Null: not there yet. */
  readonly body: Uint8Array | null;
}

export type SignedAgain<F extends HeadField> =
  /** Not signed, or with keys that are none of these. */
  | { readonly kind: "none" }
  | {
    readonly kind: "signed";
    readonly head: RequestHead<F>;
    /** Of the pair, as it was declared. */
    readonly name: string;
    readonly place: "header" | "query";
    /** Set when the chunks of its body are signed as well. Keeps the body's length. */
    readonly body: ChunkSigner | null;
  }
  /** The signature is one of the body's content, of which nothing is stated. Ask again with it. */
  | { readonly kind: "wanting"; readonly name: string }
  | { readonly kind: "refused"; readonly why: string };

export function signAgain<F extends HeadField>(spec: SignAgainSpec<F>): SignedAgain<F> {
  const { read, pairs, sent } = spec;
  if (read.kind === "none") return read;
  if (read.kind === "unreadable") {
    // Somebody else's may be as it likes.
    const ours = pairs.some(({ id: { placeholder: { text } } }) =>
      sent.target.includes(text) || sent.fields.some(({ value }) => value.includes(text))
    );
    return ours ? { kind: "refused", why: read.why } : { kind: "none" };
  }
  const { signature } = read;
  const pair = pairs.find(({ id }) => id.placeholder.text === signature.id);
  return pair === undefined ? { kind: "none" } : new Signing(spec, signature, pair).result();
}

class Signing<F extends HeadField> {
  readonly #spec: SignAgainSpec<F>;
  readonly #signature: Signature;
  readonly #pair: Pair;
  readonly #guestKey: SigningKey;

  constructor(spec: SignAgainSpec<F>, signature: Signature, pair: Pair) {
    this.#spec = spec;
    this.#signature = signature;
    this.#pair = pair;
    this.#guestKey = new SigningKey(pair.key.placeholder.text, signature.scope);
  }

  result(): SignedAgain<F> {
    const { scope } = this.#signature;
    const { regions = [], services = [] } = this.#pair.id.secret.aws ?? {};
    if (regions.length > 0 && !regions.includes(scope.region)) {
      return refused(`${scope.region} is no region that the keys are declared for`);
    }
    if (services.length > 0 && !services.includes(scope.service)) {
      return refused(`${scope.service} is no service that the keys are declared for`);
    }
    const payloads = this.#payloads();
    if (typeof payloads === "string") return refused(payloads);
    const found = this.#check(payloads);
    if (found !== null) return this.#sign(found);
    // What is hashed, and stated nowhere, is the body.
    const hashed = this.#signature.in === "field" || scope.service !== "s3";
    if (hashed && this.#stated().length === 0 && this.#spec.body === null) {
      return { kind: "wanting", name: this.#name() };
    }
    return refused("it was changed after it was signed, or signed with other keys");
  }

  /** What may stand for the body in what was signed, or why nothing may. */
  #payloads(): readonly string[] | string {
    const { body } = this.#spec;
    const stated = this.#stated();
    if (stated.length > 1) return "two hashes of one body";
    const [word] = stated;
    if (word !== undefined) {
      if (HASH.test(word) || WORDS.has(word)) return [word];
      return "a hash of the body that sbx cannot make";
    }
    const hashes = body === null || body.length === 0 ? [HASH_OF_NOTHING] : [sha256(body)];
    return this.#signature.in === "query" ? [UNSIGNED, ...hashes] : hashes;
  }

  #stated(): readonly string[] {
    const { fields, target } = this.#spec.sent;
    const ofFields = fields.filter(({ key }) => key === "x-amz-content-sha256");
    const ofQuery = this.#signature.in === "field" ? [] : parameters(target)
      .filter(({ key }) => key === "x-amz-content-sha256");
    return [...ofFields, ...ofQuery].map(({ value }) => value);
  }

  #check(payloads: readonly string[]): Found | null {
    const { sent, host } = this.#spec;
    const { signed, digits } = this.#signature;
    const head = { ...sent, host };
    const tried = new Set<string>();
    for (const payload of payloads) {
      for (const spelling of SPELLINGS) {
        const canonical = canonicalRequest(head, signed, payload, spelling);
        if (tried.has(canonical)) continue;
        tried.add(canonical);
        if (this.#guestKey.signRequest(this.#signature, canonical) === digits) {
          return { payload, spelling };
        }
      }
    }
    return null;
  }

  #sign({ payload, spelling }: Found): SignedAgain<F> {
    const { key } = this.#pair;
    const { scope, in: where, time, digits } = this.#signature;
    const ours = new SigningKey(key.reveal(), scope);
    const { head, seed } = where === "field"
      ? this.#intoField(ours, payload, spelling)
      : this.#intoQuery(ours, payload, spelling);
    const body = !payload.startsWith(CHUNKED) ? null : new ChunkSigner({
      time,
      from: { key: this.#guestKey, seed: digits },
      to: { key: ours, seed },
      trailers: payload === `${CHUNKED}-TRAILER`,
    });
    const name = this.#name();
    return { kind: "signed", head, name, place: where === "field" ? "header" : "query", body };
  }

  #intoField(key: SigningKey, payload: string, spelling: Spelling) {
    const { changed, host } = this.#spec;
    const token = this.#token();
    const signed = token === null || this.#signature.signed.includes(TOKEN)
      ? this.#signature.signed.filter((one) => one !== TOKEN || token !== null)
      : [...this.#signature.signed, TOKEN].sort();
    const fields = withToken(changed.fields, token);
    const seed = this.#digits(key, { ...changed, fields, host }, signed, payload, spelling);
    const parts = new Map([
      ["Credential", this.#credential()],
      ["SignedHeaders", signed.join(";")],
      ["Signature", seed],
    ]);
    const head = { ...changed, fields: fields.map((one) => withParts(one, parts)) };
    return { head, seed };
  }

  #intoQuery(key: SigningKey, payload: string, spelling: Spelling) {
    const { changed, host } = this.#spec;
    const token = this.#token();
    const at = changed.target.indexOf("?");
    const path = changed.target.slice(0, at);
    const sent = parameters(changed.target).flatMap(({ key, name, text }) => {
      if (key === "x-amz-signature" || key === TOKEN && token === null) return [];
      if (key === "x-amz-credential") return [`${name}=${encode(this.#credential())}`];
      return [key === TOKEN && token !== null ? `${name}=${encode(token)}` : text];
    });
    const hadToken = parameters(changed.target).some(({ key }) => key === TOKEN);
    if (token !== null && !hadToken) sent.push(`X-Amz-Security-Token=${encode(token)}`);
    const target = `${path}?${sent.join("&")}`;
    const { signed } = this.#signature;
    const seed = this.#digits(key, { ...changed, target, host }, signed, payload, spelling);
    return { head: { ...changed, target: `${target}&X-Amz-Signature=${seed}` }, seed };
  }

  #name(): string {
    const { secret } = this.#pair.id;
    return secret.aws?.part?.of ?? secret.name;
  }

  #credential(): string {
    return `${this.#pair.id.revealBytes()}/${formatScope(this.#signature.scope)}`;
  }

  #token(): string | null {
    return this.#pair.token === null ? null : this.#pair.token.revealBytes();
  }

  #digits(
    key: SigningKey,
    head: SignedHead,
    signed: readonly string[],
    payload: string,
    spelling: Spelling,
  ): string {
    return key.signRequest(this.#signature, canonicalRequest(head, signed, payload, spelling));
  }
}

interface Found {
  readonly payload: string;
  readonly spelling: Spelling;
}

const TOKEN = "x-amz-security-token";
const UNSIGNED = "UNSIGNED-PAYLOAD";
const CHUNKED = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD";

/** What may be stated in place of a hash. Signed events (`-EVENTS`) are not among them. */
const WORDS: ReadonlySet<string> = new Set([
  UNSIGNED,
  "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
  CHUNKED,
  `${CHUNKED}-TRAILER`,
]);

const HASH = /^[0-9a-f]{64}$/;

function withValue<F extends HeadField>(field: F, value: string): F {
  return { ...field, value, sensitive: true as const };
}

/** The parts as they are now, between what its signer wrote between them. */
function withParts<F extends HeadField>(field: F, parts: ReadonlyMap<string, string>): F {
  if (field.key !== "authorization" || !field.value.startsWith(`${ALGORITHM} `)) return field;
  const value = field.value.replace(
    /(Credential|SignedHeaders|Signature)=[^,\s]*/g,
    (_, name: string) => `${name}=${parts.get(name)}`,
  );
  return withValue(field, value);
}

/** The field of the session's token: as the pair has one now, whatever it had when the guest began. */
function withToken<F extends HeadField>(fields: readonly F[], token: string | null): readonly F[] {
  if (token === null) return fields.filter(({ key }) => key !== TOKEN);
  if (fields.some(({ key }) => key === TOKEN)) {
    return fields.map((one) => one.key === TOKEN ? withValue(one, token) : one);
  }
  return fields.flatMap((one) => {
    if (one.key !== "authorization") return [one];
    // HTTP/2 has names in lower case.
    const name = one.name === one.key ? TOKEN : "X-Amz-Security-Token";
    return [one, withValue({ ...one, name, key: TOKEN }, token)];
  });
}

function refused(why: string): { readonly kind: "refused"; readonly why: string } {
  return { kind: "refused", why };
}
