/**
 * The options of `sbx run` about secrets: what they are called, and the calls of the builder that they
 * stand for.
 *
 * @module
 */
import { type NetworkBuilder, SbxError, type Secret, type ViolationAction } from "../mod.ts";
import {
  gatherSecrets,
  parseAwsSecret,
  parseSecret,
  parseSecretFormat,
  parseSecretPlaces,
  type SecretDetail,
} from "../policy/text/secret_declaration.ts";

/** What was given, parsed. */
export interface SecretFlags {
  readonly secret: readonly Secret[];
  /** Formats and places, in the order given. */
  readonly secretDetails: readonly SecretDetail[];
  readonly onSecretViolation?: string;
}

/** Flags, what they mean, and how their value is read. */
type Row = readonly [flags: string, description: string, parse?: (text: string) => unknown];

/** The options as commander declares them; what is read of those that may be repeated goes into the lists. */
export function secretRows(
  { secret, secretDetails }: { readonly secret: Secret[]; readonly secretDetails: SecretDetail[] },
): Row[] {
  return [
    [
      "--secret <name[=source]@host,…>",
      "keep a value from the guest and give it to these hosts",
      (text) => add(secret, asUsage(() => parseSecret(text))),
    ],
    [
      "--secret-aws <name[=source]@host,…>",
      "keep a pair of AWS keys from the guest and sign its requests to these hosts; AWS@*.amazonaws.com",
      (text) => add(secret, asUsage(() => parseAwsSecret(text))),
    ],
    [
      "--secret-place <name=place,…>",
      "where in requests, instead of header and basic: query, path, body, websocket",
      (text) => add(secretDetails, asUsage(() => parseSecretPlaces(text))),
    ],
    [
      "--secret-format <name=form>",
      "what the placeholder looks like, as sk-ant-*, for clients that check",
      (text) => add(secretDetails, asUsage(() => parseSecretFormat(text))),
    ],
    [
      "--on-secret-violation <what>",
      "a placeholder on its way elsewhere: block (default), block-and-log, block-and-terminate",
    ],
  ];
}

function add<T>(list: T[], value: T): T[] {
  list.push(value);
  return list;
}

/** What is declared on the command line and wrong is wrong usage. */
function asUsage<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof SbxError)) throw error;
    const { message, hint } = error;
    throw new SbxError("USAGE", message, hint === undefined ? {} : { hint });
  }
}

/** Makes the builder calls. `blame` makes what a call refuses wrong usage of its option. */
export function applySecretFlags(
  fresh: NetworkBuilder,
  { secret, secretDetails, onSecretViolation }: SecretFlags,
  blame: (option: string, value: unknown, call: () => NetworkBuilder) => NetworkBuilder,
): NetworkBuilder {
  const secrets = asUsage(() => gatherSecrets(secret, secretDetails));
  const network = secrets.reduce((before, each) => before.secret(each), fresh);
  if (onSecretViolation === undefined) return network;
  return blame(
    "--on-secret-violation",
    onSecretViolation,
    () => network.onSecretViolation(onSecretViolation as ViolationAction),
  );
}
