/**
 * Declarations of secrets as a line, the same on the command line and in files.
 *
 *     NAME[=SOURCE]@HOST[,HOST…]
 *
 *     GITHUB_TOKEN@api.github.com
 *     NPM_TOKEN=file:/run/secrets/npm@*.npmjs.org
 *     API_KEY=cmd:pass show me@work@api.example.com,api.example.org
 *
 * A pair of AWS keys is declared in the same way, with what its variables begin with for a name:
 *
 *     AWS@*.amazonaws.com
 *     AWS=file:~/.aws/credentials#work@s3.eu-central-1.amazonaws.com
 *
 * Hosts stand behind the last `@`. Text in front of it may be a value that somebody wrote in the wrong
 * place, so no complaint repeats it.
 *
 * @module
 */

import { parseAddress } from "../../base/address.ts";
import { readName, readSuffixName } from "../model/target.ts";
import { orError, PolicyFault, quote, unknownWord } from "./fault.ts";
import { DEFAULT_PROFILE, variablesOf } from "../model/aws_pair.ts";
import { isReservedVariable } from "../model/reserved_variables.ts";
import { type AwsPair, DEFAULT_PLACES, type Place, PLACES, type Secret } from "../model/secret.ts";
import { isVariable, readSource } from "./secret_source.ts";
import { isFormat } from "../model/secret_scope.ts";

/** Reads the value of `--secret`; throws `SbxError` SECRET_INVALID that says how to write it. */
export function parseSecret(text: string): Secret {
  return orSecretError("read --secret", () => readSecretLine(text));
}

/** Reads the value of `--secret-aws`; throws as {@link parseSecret}. */
export function parseAwsSecret(text: string): Secret {
  return orSecretError("read --secret-aws", () => awsSecret(readSecretLine(text)));
}

/** Reads the value of `--secret-format`, `NAME=sk-ant-*`; throws as {@link parseSecret}. */
export function parseSecretFormat(
  text: string,
): { readonly name: string; readonly format: string } {
  return orSecretError("read --secret-format", () => {
    const equals = text.indexOf("=");
    const name = readVariable(text.slice(0, Math.max(0, equals)));
    return { name, format: readFormat(text.slice(equals + 1)) };
  });
}

/** Reads the value of `--secret-place`, `NAME=header,query`; throws as {@link parseSecret}. */
export function parseSecretPlaces(
  text: string,
): { readonly name: string; readonly places: ReadonlySet<Place> } {
  return orSecretError("read --secret-place", () => {
    const equals = text.indexOf("=");
    const name = readVariable(text.slice(0, Math.max(0, equals)));
    return { name, places: new Set(text.slice(equals + 1).split(",").map(readPlace)) };
  });
}

/** What is said about a secret apart from its declaration. */
export type SecretDetail =
  & { readonly name: string }
  & Partial<Pick<Secret, "format" | "places">>;

/**
 * All secrets of a sandbox, with what was said about them apart; throws `SbxError` SECRET_INVALID for a
 * name that stands twice, and for a detail of a secret that there is not.
 */
export function gatherSecrets(
  secrets: readonly Secret[],
  details: readonly SecretDetail[] = [],
): readonly Secret[] {
  return orSecretError("use the secrets", () => {
    const byName = new Map<string, Secret>();
    const variables = new Set<string>();
    for (const secret of secrets) {
      claimVariables(secret, variables);
      byName.set(secret.name, secret);
    }
    for (const detail of details) {
      const secret = byName.get(detail.name);
      if (secret === undefined) {
        throw new PolicyFault(
          `${detail.name} has ${"format" in detail ? "a format" : "places"} and is not declared`,
          `add --secret ${detail.name}@HOST`,
        );
      }
      if (secret.aws !== undefined) {
        throw new PolicyFault(
          `${detail.name} is a pair of keys, whose placeholders have their form and no places`,
        );
      }
      byName.set(detail.name, { ...secret, ...detail });
    }
    return [...byName.values()];
  });
}

/** Throws a `PolicyFault` for a secret one of whose variables is another's already. */
export function claimVariables(secret: Secret, taken: Set<string>): void {
  for (const variable of [secret.name, ...variablesOf(secret)]) {
    if (!taken.has(variable)) continue;
    throw new PolicyFault(`${variable} is declared twice`, "list all its hosts in one");
  }
  for (const variable of [secret.name, ...variablesOf(secret)]) taken.add(variable);
}

/** Throws a `PolicyFault`, as the readers below do. */
export function readSecretLine(text: string): Secret {
  const at = text.lastIndexOf("@");
  const [declared, hosts] = at < 0 ? [text, ""] : [text.slice(0, at), text.slice(at + 1)];
  const equals = declared.indexOf("=");
  const name = readVariable(equals < 0 ? declared : declared.slice(0, equals));
  const source = equals < 0
    ? { kind: "env", variable: name } as const
    : readSource(declared.slice(equals + 1));
  if (hosts === "") {
    throw new PolicyFault("no host is named that gets it", "write it like NAME@api.example.com");
  }
  return {
    name,
    source,
    hosts: distinct(hosts.split(",").map(readHost)),
    places: DEFAULT_PLACES,
    headers: { kind: "credentials" },
    methods: [],
    pathPrefix: null,
    exclusive: true,
    mask: true,
    format: null,
  };
}

/** The same declaration for a pair of keys. Of a file with many, `PATH#PROFILE` says which. */
export function awsSecret(secret: Secret, aws: Partial<AwsPair> = {}): Secret {
  const { source } = secret;
  const hash = source.kind === "file" ? source.path.lastIndexOf("#") : -1;
  const path = source.kind === "file" && hash > 0 ? source.path.slice(0, hash) : null;
  const profile = source.kind === "file" && path !== null ? source.path.slice(hash + 1) : "";
  if (path !== null && !isProfile(profile)) {
    throw new PolicyFault(
      "what stands behind the number sign is no name of a profile",
      "write it like file:~/.aws/credentials#work",
    );
  }
  return {
    ...secret,
    places: new Set(),
    ...(path === null ? {} : { source: { kind: "file", path } }),
    aws: { profile: profile || DEFAULT_PROFILE, regions: [], services: [], ...aws },
  };
}

const PROFILE = /^[^\]\r\n]{1,128}$/;

/** Whether a section of a file can be called so. */
export function isProfile(text: string): boolean {
  return PROFILE.test(text) && text === text.trim();
}

export function distinct(texts: readonly string[]): string[] {
  return [...new Set(texts)];
}

export function readVariable(text: string): string {
  if (!isVariable(text)) {
    throw new PolicyFault(
      "it does not begin with the name of an environment variable",
      "write it like GITHUB_TOKEN@api.github.com",
    );
  }
  if (!isReservedVariable(text)) return text;
  throw new PolicyFault(
    `programs in the guest need the variable ${text} for something else`,
    `give the secret a name of its own, like API_TOKEN=env:${text}@HOST`,
  );
}

export function readHost(text: string): string {
  const host = text.trim();
  if (parseAddress(host) !== null) {
    throw new PolicyFault(
      `${quote(host)} is an address, and a value goes only to a server that has proved its name`,
      "write the name of the host",
    );
  }
  if (/^\*?\./.test(host)) return `.${readSuffixName(host)}`;
  const name = readName(host);
  if (name.includes(".") || host.endsWith(".")) return name;
  throw new PolicyFault(`${quote(host)} is no host with a dot`, `write ${name}. if it is one`);
}

export function readPlace(text: string): Place {
  const place = PLACES.find((one) => one === text.trim());
  if (place === undefined) throw unknownWord("place", text.trim(), PLACES);
  return place;
}

export function readFormat(text: string): string {
  if (isFormat(text)) return text;
  throw new PolicyFault(
    "a format is the fixed part of a key with one star for the rest",
    "write it like sk-ant-*, with letters, digits and ._~- only",
  );
}

function orSecretError<T>(attempt: string, read: () => T): T {
  return orError(attempt, read, "SECRET_INVALID");
}
