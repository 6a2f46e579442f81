/**
 * Policy files: text in, values out. Every complaint names file, line and column.
 *
 * @module
 */

import { dirname, isAbsolute, join } from "node:path";
import { SbxError } from "../base/errors.ts";
import { type Expectation, readExpectation, readExpectationLine } from "./expectation.ts";
import { PolicyFault, quote } from "./fault.ts";
import type { Policy, Rule } from "./policy.ts";
import { presetNamed } from "./presets.ts";
import { readRuleEntry } from "./rule_entry.ts";
import { type DnsShape, type PolicyFileShape, policyFileShape, type TlsShape } from "./schema.ts";
import {
  type BlockList,
  DEFAULT_DNS,
  type DnsSettings,
  type PolicyFile,
  readServer,
} from "./settings.ts";
import { complaintOf } from "./shape.ts";
import { type Path, positionAt, readSource, type Source, SourceFault } from "./source.ts";
import { readName, readSuffixName } from "./target.ts";
import {
  DEFAULT_TLS,
  readBypass,
  readTlsPorts,
  readUnverified,
  type TlsSettings,
} from "./tls_settings.ts";

/** Longer lists of names belong into files of their own, which load faster. */
const MAX_LENGTH = 4 << 20;

/**
 * Parses the text of a policy file, YAML or JSON with comments. `path` decides between the two by
 * its extension, stands in errors, and is what lists of names are found relative to.
 *
 * Throws `SbxError` POLICY_INVALID: "Cannot load policy FILE:LINE:COLUMN: …".
 */
export function parsePolicyFile(text: string, path: string): PolicyFile {
  const bare = text.replace(/^\ufeff/, "");
  try {
    if (bare.length > MAX_LENGTH) throw new SourceFault(0, `it is longer than ${MAX_LENGTH} bytes`);
    const source = readSource(bare, path);
    return readFile(new Reader(source), shapeOf(source), path);
  } catch (fault) {
    if (!(fault instanceof SourceFault)) throw fault;
    const { line, column } = positionAt(bare, fault.offset);
    throw new SbxError(
      "POLICY_INVALID",
      `Cannot load policy ${path}:${line}:${column}: ${fault.message}`,
      fault.hint === undefined ? {} : { hint: fault.hint },
    );
  }
}

/** Runs readers of single values and ties their faults to the place of the value. */
class Reader {
  readonly #source: Source;

  constructor(source: Source) {
    this.#source = source;
  }

  at<T>(path: Path, read: () => T): T {
    try {
      return read();
    } catch (fault) {
      if (!(fault instanceof PolicyFault) || fault instanceof SourceFault) throw fault;
      const place = this.#source.offsetOf([...path, ...fault.path]);
      throw new SourceFault(place, fault.message, fault.hint);
    }
  }

  each<T, R>(values: readonly T[] | undefined, path: Path, read: (value: T) => R): R[] {
    return (values ?? []).map((value, index) => this.at([...path, index], () => read(value)));
  }
}

function shapeOf(source: Source): PolicyFileShape {
  const checked = policyFileShape.safeParse(source.value);
  if (checked.success) return checked.data;
  const { path, atKey, fault } = complaintOf(checked.error, source.value);
  const offset = atKey ? source.offsetOfKey(path) : source.offsetOf(path);
  throw new SourceFault(offset, fault.message, fault.hint);
}

function readFile(reader: Reader, shape: PolicyFileShape, path: string): PolicyFile {
  const rules = reader.each(shape.rules, ["rules"], readRuleEntry);
  return {
    policy: reader.at([], () => readPolicy(shape, rules)),
    dns: readDns(reader, shape.dns, path),
    tls: readTls(reader, shape.tls, path),
    limits: {
      ...(shape.maxConnections === undefined ? {} : { maxConnections: shape.maxConnections }),
      ...(shape.newFlowsPerSecond === undefined
        ? {}
        : { newFlowsPerSecond: shape.newFlowsPerSecond }),
    },
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
  const lists: BlockList[] = [];
  const names: string[] = [];
  const suffixes: string[] = [];
  reader.each(shape.block, ["dns", "block"], (text) => {
    if (text.startsWith("@")) lists.push({ path: listPath(text, path), as: "name" });
    // A leading dot says "and everything below" wherever it stands, as it does in list files.
    else if (/^(?:\*?\.)/.test(text)) suffixes.push(readSuffixName(text));
    else names.push(readName(text));
  });
  reader.each(shape.blockSuffix, ["dns", "blockSuffix"], (text) => {
    if (text.startsWith("@")) lists.push({ path: listPath(text, path), as: "suffix" });
    else suffixes.push(readSuffixName(text));
  });
  return {
    block: names,
    blockSuffix: suffixes,
    blockLists: lists,
    blockDoh: shape.blockDoh ?? DEFAULT_DNS.blockDoh,
    rebindProtection: shape.rebindProtection ?? DEFAULT_DNS.rebindProtection,
    servers: reader.each(shape.servers, ["dns", "servers"], readServer),
    ...(shape.timeoutMs === undefined ? {} : { timeoutMs: shape.timeoutMs }),
  };
}

function readTls(reader: Reader, shape: TlsShape | undefined, policyPath: string): TlsSettings {
  if (shape === undefined) return DEFAULT_TLS;
  const { authority, ports } = shape;
  const path = (text: string) => besides(policyPath, text);
  return {
    intercept: shape.intercept,
    ports: ports === undefined
      ? DEFAULT_TLS.ports
      : reader.at(["tls", "ports"], () => readTlsPorts(ports)),
    bypass: reader.each(shape.bypass, ["tls", "bypass"], readBypass),
    blockQuic: shape.blockQuic ?? DEFAULT_TLS.blockQuic,
    ...(authority === undefined
      ? {}
      : { authority: { cert: path(authority.cert), key: path(authority.key) } }),
    upstreamCa: reader.each(shape.upstreamCa, ["tls", "upstreamCa"], path),
    verifyUpstream: shape.verifyUpstream ?? DEFAULT_TLS.verifyUpstream,
    noVerify: reader.each(shape.noVerify, ["tls", "noVerify"], readUnverified),
    trustHostCas: shape.trustHostCas ?? DEFAULT_TLS.trustHostCas,
    opaque: shape.opaque ?? DEFAULT_TLS.opaque,
  };
}

function listPath(text: string, policyPath: string): string {
  if (text === "@") throw new PolicyFault(`${quote(text)} names no file`, "write @lists/ads.txt");
  return besides(policyPath, text.slice(1));
}

/** Files that a policy names are found relative to it. */
function besides(policyPath: string, path: string): string {
  return isAbsolute(path) ? path : join(dirname(policyPath), path);
}
