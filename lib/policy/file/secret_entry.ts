/**
 * One entry of `secrets` in a policy file: the declaration as a line, or the same spelled out.
 *
 *     GITHUB_TOKEN@api.github.com
 *     {name: GITHUB_TOKEN, hosts: [api.github.com], places: [header, query]}
 *
 * @module
 */

import { nameHasSuffix } from "../../base/name.ts";
import {
  type AwsPair,
  DEFAULT_PLACES,
  type HeaderSelection,
  isHostOf,
  type Secret,
  type TokenEndpoint,
} from "../model/secret.ts";
import { isPlainPath, mayHoldValue } from "../model/secret_scope.ts";
import { PolicyFault, quote, within } from "../text/fault.ts";
import {
  awsSecret,
  distinct,
  isProfile,
  readFormat,
  readHost,
  readSecretLine,
  readVariable,
} from "../text/secret_declaration.ts";
import { formatSource, readSource } from "../text/secret_source.ts";
import type { SecretEntry, SecretShape } from "./secret_shape.ts";

/** Reads either form of an entry of `secrets`; throws a `PolicyFault`. */
export function readSecretEntry(entry: SecretEntry): Secret {
  if (typeof entry === "string") return readSecretLine(entry);
  const { aws, ...shape } = entry;
  const secret = readSecretShape(shape);
  return aws === undefined ? secret : within("aws", () => readPair(entry, secret));
}

const REGION = /^[A-Za-z0-9-]{1,64}$/;

function readPair({ aws, places, headers, format }: SecretShape, secret: Secret): Secret {
  if (places !== undefined || headers !== undefined || format !== undefined) {
    throw new PolicyFault(
      "a pair of keys is in no place of a request, and its placeholders have the form of keys",
      "leave out places, headers and format",
    );
  }
  const { profile, regions = [], services = [] } = aws === true || aws === undefined ? {} : aws;
  if (profile !== undefined && !isProfile(profile)) {
    throw new PolicyFault(`${quote(profile)} is no name of a profile`);
  }
  for (const part of [...regions, ...services]) {
    if (!REGION.test(part)) {
      throw new PolicyFault(`${quote(part)} is no region or service`, "write it like eu-central-1");
    }
  }
  const read = awsSecret(secret, { regions: distinct(regions), services: distinct(services) });
  if (profile === undefined || read.aws === undefined) return read;
  return { ...read, aws: { ...read.aws, profile } };
}

/** The spelled-out form, as plain data that reads back to the same secret. */
export function spellSecret(secret: Secret): SecretShape {
  const { name, source, hosts, places, headers, methods, pathPrefix, format } = secret;
  return {
    name,
    hosts: hosts.map(spellHost),
    source: formatSource(source),
    ...(secret.aws === undefined
      ? {
        places: [...places],
        headers: headers.kind === "listed" ? [...headers.keys] : headers.kind,
      }
      : { aws: spellPair(secret.aws) }),
    ...(methods.length === 0 ? {} : { methods: [...methods] }),
    ...(pathPrefix === null ? {} : { path: pathPrefix }),
    exclusive: secret.exclusive,
    mask: secret.mask,
    ...(format === null ? {} : { format }),
    ...(secret.tokens === undefined ? {} : { tokens: spellTokens(secret.tokens, secret.hosts) }),
  };
}

function spellTokens({ hosts, paths }: TokenEndpoint, all: readonly string[]) {
  const [path = "", ...more] = paths;
  return {
    path: more.length === 0 ? path : [...paths],
    ...(hosts.join() === all.join() ? {} : { hosts: hosts.map(spellHost) }),
  };
}

/** A name of one label is written with the root dot. */
function spellHost(host: string): string {
  return host.includes(".") ? host : `${host}.`;
}

function spellPair({ profile, regions, services }: AwsPair): Exclude<SecretShape["aws"], true> {
  return {
    profile,
    ...(regions.length === 0 ? {} : { regions: [...regions] }),
    ...(services.length === 0 ? {} : { services: [...services] }),
  };
}

function readSecretShape(shape: SecretShape): Secret {
  const name = within("name", () => readVariable(shape.name));
  const { source, headers, methods, path, format, tokens } = shape;
  const hosts = within("hosts", () => each(shape.hosts, readHost));
  return {
    name,
    source: source === undefined
      ? { kind: "env", variable: name }
      : within("source", () => readSource(source)),
    hosts,
    places: shape.places === undefined ? DEFAULT_PLACES : new Set(shape.places),
    headers: within("headers", () => readHeaders(headers ?? "credentials")),
    methods: methods === undefined ? [] : within("methods", () => each(methods, readMethod)),
    pathPrefix: path === undefined ? null : within("path", () => readPathPrefix(path)),
    exclusive: shape.exclusive ?? true,
    mask: shape.mask ?? true,
    format: format === undefined ? null : within("format", () => readFormat(format)),
    ...(tokens === undefined ? {} : { tokens: within("tokens", () => readTokens(tokens, hosts)) }),
  };
}

/** `all`: the hosts of the secret. */
function readTokens(
  { path, hosts }: NonNullable<SecretShape["tokens"]>,
  all: readonly string[],
): TokenEndpoint {
  const paths = typeof path === "string" ? [path] : path;
  return {
    paths: within("path", () => each(paths, readPathPrefix)),
    hosts: hosts === undefined ? all : within("hosts", () =>
      each(hosts, (text) => {
        const host = readHost(text);
        if (covers(all, host)) return host;
        throw new PolicyFault(
          `${quote(text)} is none of the secret's hosts`,
          "list it there as well",
        );
      })),
  };
}

function covers(all: readonly string[], host: string): boolean {
  if (!host.startsWith(".")) return isHostOf({ hosts: all }, host);
  return all.some((one) => one.startsWith(".") && nameHasSuffix(host.slice(1), one.slice(1)));
}

function each(texts: readonly string[], read: (text: string) => string): string[] {
  return distinct(texts.map((text, index) => within(index, () => read(text))));
}

export function readHeaders(headers: "credentials" | "any" | readonly string[]): HeaderSelection {
  if (typeof headers === "string") return { kind: headers };
  return { kind: "listed", keys: new Set(each(headers, readHeader)) };
}

function readHeader(text: string): string {
  const key = text.toLowerCase();
  if (!TOKEN.test(key)) throw new PolicyFault(`${quote(text)} is no name of a header field`);
  if (!mayHoldValue(key)) {
    throw new PolicyFault(`${text} says where a request goes or ends, and holds no value`);
  }
  return key;
}

export function readMethod(text: string): string {
  if (!TOKEN.test(text)) throw new PolicyFault(`${quote(text)} is no request method`);
  return text.toUpperCase();
}

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,128}$/;

export function readPathPrefix(text: string): string {
  if (isPlainPath(text) && PATH.test(text)) return text;
  throw new PolicyFault(
    `${quote(text)} is no path that requests could begin with`,
    "write it as it is sent, like /v1/ or /repos/me",
  );
}

/** RFC 3986 3.3 */
const PATH = /^\/(?:[A-Za-z0-9._~!$&'()*+,;=:@/-]|%[0-9A-Fa-f]{2})*$/;
