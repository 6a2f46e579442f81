/**
 * Secrets for tests.
 *
 * @module
 */
import { type Grant, grants, type HeldSecret, type RequestFacts } from "../../lib/secret/grant.ts";
import { type Draw, makePlaceholders, type Placeholder } from "../../lib/secret/placeholder.ts";
import { DEFAULT_PLACES, type Secret } from "../../lib/policy/model/secret.ts";
import { SecretValue } from "../../lib/secret/value.ts";
import { random } from "../support/random.ts";

export const API = "api.allowed.test";

/** A request that may have a secret of {@link API}. */
export const TRUSTED: RequestFacts = {
  verified: true,
  pinned: true,
  sni: API,
  authority: API,
  method: "GET",
  path: "/",
  overrides: () => ({ methods: [], paths: [] }),
};

const { below } = random(2026);

/** The same placeholders in each run of a file. */
const draw: Draw = (count) => Uint8Array.from({ length: count }, () => below(256));

export function secretOf(changes: Partial<Secret> = {}): Secret {
  return {
    name: "API_KEY",
    source: { kind: "env", variable: "API_KEY" },
    hosts: [API],
    places: DEFAULT_PLACES,
    headers: { kind: "credentials" },
    methods: [],
    pathPrefix: null,
    exclusive: true,
    mask: true,
    format: null,
    ...changes,
  };
}

export function placeholderOf(secret: Secret = secretOf()): Placeholder {
  const [placeholder] = makePlaceholders([secret], draw);
  if (placeholder === undefined) throw new Error("no placeholder");
  return placeholder;
}

export function held(value: string, changes: Partial<Secret> = {}): HeldSecret {
  const secret = secretOf(changes);
  return { secret, placeholder: placeholderOf(secret), value: SecretValue.of(secret.name, value) };
}

/** The right to a value, had as everybody has to have it. */
export function grantOf(one: HeldSecret, facts: RequestFacts = TRUSTED): Grant {
  const verdict = grants(one, facts);
  if (!verdict.granted) throw new Error(`not granted: ${verdict.why}`);
  return verdict.grant;
}
