/**
 * Pairs of keys for tests, and what a request signed with their placeholders becomes.
 *
 * @module
 */
import { partsOf } from "../../../lib/policy/model/aws_pair.ts";
import type { AwsPair, AwsPart } from "../../../lib/policy/model/secret.ts";
import type { HeldSecret } from "../../../lib/secret/grant.ts";
import { makePlaceholders } from "../../../lib/secret/placeholder.ts";
import { formOf } from "../../../lib/secret/aws/forms.ts";
import { pairsOf, signAgain, type SignedAgain } from "../../../lib/secret/aws/sign_again.ts";
import { readSignature } from "../../../lib/secret/aws/signature.ts";
import type { HeadField, RequestHead } from "../../../lib/secret/substitute_head.ts";
import { SecretValue } from "../../../lib/secret/value.ts";
import type { Keys } from "../../support/aws/aws.ts";
import { random } from "../../support/random.ts";
import { API, grantOf, secretOf } from "../held.ts";

const { below } = random(4);

export interface HeldPair {
  readonly real: Keys;
  /** What the guest has. */
  readonly placeholders: Keys;
  readonly held: readonly HeldSecret[];
}

export function heldPair(real: Keys, aws: Partial<AwsPair> = {}): HeldPair {
  const pair = { profile: "default", regions: [], services: [], ...aws };
  const values = { id: real.id, key: real.key, token: real.token };
  const held = partsOf(secretOf({ name: "AWS", aws: pair })).flatMap((secret) => {
    const part = secret.aws?.part?.kind ?? "id";
    const value = values[part];
    if (value === undefined) return [];
    const { format, length } = formOf(part, value);
    const [placeholder] = makePlaceholders(
      [{ name: secret.name, format }],
      (count) => Uint8Array.from({ length: count }, () => below(256)),
      new Map([[secret.name, length]]),
    );
    if (placeholder === undefined) throw new Error("no placeholder");
    return [{ secret, placeholder, value: SecretValue.of(secret.name, value) }];
  });
  const text = (kind: AwsPart) =>
    held.find(({ secret }) => secret.aws?.part?.kind === kind)?.placeholder.text;
  const token = text("token");
  const placeholders = {
    id: text("id") ?? "",
    key: text("key") ?? "",
    ...(token === undefined ? {} : { token }),
  };
  return { real, placeholders, held };
}

export function signedAgain(
  pair: HeldPair,
  sent: RequestHead,
  rest: { readonly host?: string; readonly body?: Uint8Array; readonly changed?: RequestHead } = {},
): SignedAgain<HeadField> {
  return signAgain({
    sent,
    changed: rest.changed ?? sent,
    host: rest.host ?? API,
    read: readSignature(sent),
    pairs: pairsOf(pair.held.map((one) => grantOf(one))),
    body: rest.body ?? null,
  });
}
