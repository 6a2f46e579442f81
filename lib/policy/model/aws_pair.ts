/**
 * The parts of a pair of keys that AWS and what is like it have requests signed with. It is declared as
 * one secret, and the guest has a placeholder of each of its parts. No part is ever put into a request: sbx
 * signs again what the guest signed with placeholders (`lib/secret/aws`).
 *
 * @module
 */

import type { AwsPart, Secret } from "./secret.ts";

export const AWS_PARTS: readonly AwsPart[] = ["id", "key", "token"];

export const DEFAULT_PROFILE = "default";

/** What the variables of the parts end with, on the host (`env:PREFIX`) and in the guest. */
export const AWS_SUFFIX: Readonly<Record<AwsPart, string>> = {
  id: "_ACCESS_KEY_ID",
  key: "_SECRET_ACCESS_KEY",
  token: "_SESSION_TOKEN",
};

/** The secrets that a guest has of a declaration: itself, or each part of a pair under its variable's name. */
export function partsOf(secret: Secret): readonly Secret[] {
  const { aws, name } = secret;
  if (aws === undefined || aws.part !== undefined) return [secret];
  return AWS_PARTS.map((kind) => ({
    ...secret,
    name: name + AWS_SUFFIX[kind],
    places: new Set(),
    aws: { ...aws, part: { kind, of: name } },
  }));
}

/** The variables that hold its placeholders in the guest. */
export function variablesOf(secret: Secret): readonly string[] {
  return partsOf(secret).map(({ name }) => name);
}

/** The variables of the host that its value is read of; none where it has another source. */
export function sourceVariablesOf({ source, aws }: Secret): readonly string[] {
  if (source.kind !== "env") return [];
  const { variable } = source;
  return aws === undefined ? [variable] : AWS_PARTS.map((part) => variable + AWS_SUFFIX[part]);
}
