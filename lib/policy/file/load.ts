/**
 * Policy files: text in, values out. Every complaint names file, line and column.
 *
 * @module
 */

import { dirname, isAbsolute, join } from "node:path";
import { SbxError } from "../../base/errors.ts";
import { escapeText } from "../../base/escape.ts";
import type { Policy, Rule } from "../model/policy.ts";
import { none, presetNamed } from "../model/presets.ts";
import { NO_SECRETS, type Secret, type SecretSettings } from "../model/secret.ts";
import {
  type BlockList,
  DEFAULT_DNS,
  type DnsSettings,
  type PolicyFile,
  readServer,
} from "../model/settings.ts";
import { readName, readSuffixName } from "../model/target.ts";
import {
  DEFAULT_TLS,
  readBypass,
  readTlsPorts,
  readUnverified,
  type TlsSettings,
} from "../model/tls_settings.ts";
import { readAddedHost } from "../text/added_host.ts";
import { PolicyFault, quote } from "../text/fault.ts";
import { type Expectation, readExpectation, readExpectationLine } from "./expectation.ts";
import { Positions } from "./positions.ts";
import { MOST_TOLD, Reader } from "./reader.ts";
import { readRuleEntry } from "./rule_entry.ts";
import { type DnsShape, type PolicyFileShape, policyFileShape, type TlsShape } from "./schema.ts";
import { claimVariables } from "../text/secret_declaration.ts";
import { readSecretEntry } from "./secret_entry.ts";
import { complaintsOf } from "./shape.ts";
import { type Path, readSource, type Source, SourceFault } from "./source.ts";

/** Longer lists of names belong into files of their own, which load faster. */
const MAX_LENGTH = 4 << 20;

/**
 * Parses the text of a policy file, YAML or JSON with comments. `path` decides between the two by
 * its extension, stands in errors, and is what lists of names are found relative to.
 *
 * Throws `SbxError` POLICY_INVALID: "Cannot load policy FILE:LINE:COLUMN: …", with the further faults of the
 * file, up to 20 in all, as its `others`.
 */
export function parsePolicyFile(text: string, path: string): PolicyFile {
  const bare = text.replace(/^\ufeff/, "");
  const positions = new Positions(bare);
  try {
    if (bare.length > MAX_LENGTH) throw new SourceFault(0, `it is longer than ${MAX_LENGTH} bytes`);
    const source = readSource(bare, path);
    const reader = new Reader(source, positions);
    const file = readFile(reader, shapeOf(source), path);
    if (reader.faults.length > 0) throw new Faults(inOrder(reader.faults, source.offsetOf([])));
    return file;
  } catch (fault) {
    if (fault instanceof Faults) throw errorOf(path, positions, fault.all);
    if (fault instanceof SourceFault) throw errorOf(path, positions, [fault]);
    throw fault;
  }
}

/** What is wrong with the text, in its order. */
class Faults extends Error {
  readonly all: readonly SourceFault[];

  constructor(all: readonly SourceFault[]) {
    super();
    this.all = all;
  }
}

/** As they stand in the file; what is said of it as a whole comes last. */
function inOrder(faults: readonly SourceFault[], whole: number): SourceFault[] {
  const rank = ({ offset }: SourceFault) => offset === whole ? Infinity : offset;
  return faults.toSorted((one, other) => rank(one) < rank(other) ? -1 : 1);
}

function errorOf(path: string, positions: Positions, faults: readonly SourceFault[]): SbxError {
  const [first, ...others] = faults
    .map(({ offset, message, hint }, index) => {
      const { line, column } = positions.at(offset);
      const place = `${escapeText(path)}:${line}:${column}`;
      return {
        message: index === 0 ? `Cannot load policy ${place}: ${message}` : `${place}: ${message}`,
        ...(hint === undefined ? {} : { hint }),
      };
    });
  const { message, ...hint } = first ?? { message: `Cannot load policy ${escapeText(path)}` };
  return new SbxError("POLICY_INVALID", message, { ...hint, others });
}

function shapeOf(source: Source): PolicyFileShape {
  const checked = policyFileShape.safeParse(source.value);
  if (checked.success) return checked.data;
  throw new Faults(
    complaintsOf(checked.error, source.value, MOST_TOLD).map(({ path, atKey, fault }) => {
      const offset = atKey ? source.offsetOfKey(path) : source.offsetOf(path);
      return new SourceFault(offset, fault.message, fault.hint);
    }),
  );
}

function readFile(reader: Reader, shape: PolicyFileShape, path: string): PolicyFile {
  const rules = reader.each(shape.rules, ["rules"], readRuleEntry);
  return {
    policy: reader.at([], none(), () => readPolicy(shape, rules)),
    dns: readDns(reader, shape.dns, path),
    tls: readTls(reader, shape.tls, path),
    limits: {
      ...(shape.maxConnections === undefined ? {} : { maxConnections: shape.maxConnections }),
      ...(shape.newFlowsPerSecond === undefined
        ? {}
        : { newFlowsPerSecond: shape.newFlowsPerSecond }),
    },
    secrets: readSecrets(reader, shape, path),
    expect: reader.each(
      shape.expect,
      ["expect"],
      (entry): Expectation =>
        typeof entry === "string" ? readExpectationLine(entry) : readExpectation(entry),
    ),
  };
}

function readPolicy(shape: PolicyFileShape, rules: readonly Rule[]): Policy {
  const base = shape.extends === undefined ? null : presetNamed(shape.extends);
  const defaults = typeof shape.default === "string"
    ? { outbound: shape.default, inbound: shape.default }
    : shape.default ?? base?.defaults;
  if (defaults === undefined) {
    throw new PolicyFault("it does not say what happens by default", "add default: deny");
  }
  if (base?.network === false && (rules.length > 0 || shape.default !== undefined)) {
    throw new PolicyFault(
      `a guest without a network has no flows to judge, but there are rules`,
      "extend another preset, or remove the rules and the default",
    );
  }
  return {
    network: base?.network ?? true,
    rules: [...rules, ...(base?.rules ?? [])],
    defaults,
    denyWith: shape.denyWith ?? base?.denyWith ?? "drop",
  };
}

function readDns(reader: Reader, shape: DnsShape | undefined, path: string): DnsSettings {
  if (shape === undefined) return DEFAULT_DNS;
  const { block, blockSuffix, hosts, servers, ...plain } = shape;
  const lists: BlockList[] = [];
  const names: string[] = [];
  const suffixes: string[] = [];
  const list = (text: string, as: BlockList["as"], at: Path) => {
    const { line, column } = reader.position(at);
    lists.push({ path: listPath(text, path), as, place: `${path}:${line}:${column}` });
  };
  reader.each(block, ["dns", "block"], (text, index) => {
    if (text.startsWith("@")) list(text, "name", ["dns", "block", index]);
    // A leading dot says "and everything below" wherever it stands, as it does in list files.
    else if (/^(?:\*?\.)/.test(text)) suffixes.push(readSuffixName(text));
    else names.push(readName(text));
  });
  reader.each(blockSuffix, ["dns", "blockSuffix"], (text, index) => {
    if (text.startsWith("@")) list(text, "suffix", ["dns", "blockSuffix", index]);
    else suffixes.push(readSuffixName(text));
  });
  return {
    ...DEFAULT_DNS,
    ...present(plain),
    block: names,
    blockSuffix: suffixes,
    blockLists: lists,
    ...(hosts === undefined ? {} : { hosts: reader.each(hosts, ["dns", "hosts"], readAddedHost) }),
    servers: reader.each(servers, ["dns", "servers"], readServer),
  };
}

function readTls(reader: Reader, shape: TlsShape | undefined, policyPath: string): TlsSettings {
  if (shape === undefined) return DEFAULT_TLS;
  const { authority, ports, bypass, upstreamCa, noVerify, ...plain } = shape;
  const path = (text: string) => besides(policyPath, text);
  return {
    ...DEFAULT_TLS,
    ...present(plain),
    ...(ports === undefined
      ? {}
      : { ports: reader.at(["tls", "ports"], [], () => readTlsPorts(ports)) }),
    ...(authority === undefined
      ? {}
      : { authority: { cert: path(authority.cert), key: path(authority.key) } }),
    bypass: reader.each(bypass, ["tls", "bypass"], readBypass),
    upstreamCa: reader.each(upstreamCa, ["tls", "upstreamCa"], path),
    noVerify: reader.each(noVerify, ["tls", "noVerify"], readUnverified),
  };
}

function readSecrets(
  reader: Reader,
  { secrets, onSecretViolation = NO_SECRETS.onViolation }: PolicyFileShape,
  path: string,
): SecretSettings {
  const names = new Set<string>();
  const read = reader.each(secrets, ["secrets"], (entry): Secret => {
    const secret = readSecretEntry(entry);
    claimVariables(secret, names);
    const { source } = secret;
    return source.kind === "file"
      ? { ...secret, source: { ...source, path: secretPath(path, source.path) } }
      : secret;
  });
  return { secrets: read, onViolation: onSecretViolation };
}

/** `~/` is the home directory, as it is for whoever reads the file. */
function secretPath(policyPath: string, path: string): string {
  return path.startsWith("~/") ? path : besides(policyPath, path);
}

/** The settings that were given and mean what they say; the others have their defaults. */
function present<T extends object>(settings: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  const given = Object.entries(settings).filter(([, value]) => value !== undefined);
  return Object.fromEntries(given) as { [K in keyof T]: Exclude<T[K], undefined> };
}

function listPath(text: string, policyPath: string): string {
  if (text === "@") throw new PolicyFault(`${quote(text)} names no file`, "write @lists/ads.txt");
  return besides(policyPath, text.slice(1));
}

/** Files that a policy names are found relative to it. */
function besides(policyPath: string, path: string): string {
  return isAbsolute(path) ? path : join(dirname(policyPath), path);
}
