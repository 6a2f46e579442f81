/**
 * How each value of a policy file is written, for those who wrote something else in its place: what they meant
 * where that can be told, else an example.
 *
 * @module
 */

import { escapeText } from "../../base/escape.ts";
import { readTarget } from "../model/target.ts";
import { PolicyFault, quote } from "../text/fault.ts";
import { readRule } from "../text/grammar.ts";
import { readExpectationLine } from "./expectation.ts";
import { spellDestination } from "./rule_entry.ts";
import type { Path } from "./source.ts";

/** By the keys that lead to a value; `[]` is one entry of a list. */
export const EXAMPLES: Readonly<Record<string, string>> = {
  version: "1",
  extends: "public-only",
  default: "deny",
  "default.outbound": "deny",
  "default.inbound": "allow",
  rules: "[allow@api.example.com:tcp:443]",
  "rules[]": "allow@api.example.com:tcp:443",
  "rules[].action": "allow",
  "rules[].direction": "outbound",
  "rules[].destination": "{ domain: api.example.com }",
  "rules[].destination.any": "true",
  "rules[].destination.cidr": "10.0.0.0/8",
  "rules[].destination.domain": "api.example.com",
  "rules[].destination.suffix": ".example.com",
  "rules[].destination.group": "private",
  "rules[].protocol": "tcp",
  "rules[].protocol[]": "tcp",
  "rules[].ports": "[443, 8000-8010]",
  "rules[].ports[]": "8000-8010",
  "rules[].ports[][]": "8000",
  denyWith: "reject",
  dns: "{ block: [ads.example] }",
  "dns.block": "[ads.example]",
  "dns.block[]": "ads.example",
  "dns.blockSuffix": "[.ads.example]",
  "dns.blockSuffix[]": ".ads.example",
  "dns.blockDoh": "true",
  "dns.rebindProtection": "false",
  "dns.hosts": '["db.test:10.0.0.5"]',
  "dns.hosts[]": '"db.test:10.0.0.5"',
  "dns.servers": "[9.9.9.9]",
  "dns.servers[]": "9.9.9.9",
  "dns.timeoutMs": "3000",
  tls: "{ intercept: true }",
  "tls.intercept": "true",
  "tls.ports": "[443]",
  "tls.ports[]": "443",
  "tls.bypass": "[api.example.com]",
  "tls.bypass[]": "api.example.com",
  "tls.blockQuic": "true",
  "tls.authority": "{ cert: ca.pem, key: ca.key }",
  "tls.authority.cert": "ca.pem",
  "tls.authority.key": "ca.key",
  "tls.upstreamCa": "[company.pem]",
  "tls.upstreamCa[]": "company.pem",
  "tls.verifyUpstream": "true",
  "tls.noVerify": "[old.example.com]",
  "tls.noVerify[]": "old.example.com",
  "tls.trustHostCas": "true",
  "tls.opaque": "true",
  "tls.idleMs": "60000",
  maxConnections: "500",
  newFlowsPerSecond: "100",
  secrets: "[GITHUB_TOKEN@api.github.com]",
  "secrets[]": "GITHUB_TOKEN@api.github.com",
  "secrets[].name": "GITHUB_TOKEN",
  "secrets[].hosts": "[api.example.com]",
  "secrets[].hosts[]": "api.example.com",
  "secrets[].source": "env:GITHUB_TOKEN",
  "secrets[].places": "[header, query]",
  "secrets[].places[]": "header",
  "secrets[].headers": "[X-Example-Key]",
  "secrets[].headers[]": "X-Example-Key",
  "secrets[].methods": "[GET, POST]",
  "secrets[].methods[]": "GET",
  "secrets[].path": "/v1/",
  "secrets[].exclusive": "false",
  "secrets[].mask": "false",
  "secrets[].format": "sk-ant-*",
  "secrets[].tokens": "{ path: /oauth/token }",
  "secrets[].tokens.path": "/oauth/token",
  "secrets[].tokens.path[]": "/oauth/token",
  "secrets[].tokens.hosts": "[api.example.com]",
  "secrets[].tokens.hosts[]": "api.example.com",
  "secrets[].aws": "true",
  "secrets[].aws.profile": "work",
  "secrets[].aws.regions": "[eu-central-1]",
  "secrets[].aws.regions[]": "eu-central-1",
  "secrets[].aws.services": "[s3]",
  "secrets[].aws.services[]": "s3",
  onSecretViolation: "block-and-log",
  expect: '["allow tcp api.example.com:443"]',
  "expect[]": "allow tcp api.example.com:443",
  "expect[].expect": "deny",
  "expect[].protocol": "tcp",
  "expect[].to": '"api.example.com:443"',
  "expect[].direction": "outbound",
  "expect[].address": "203.0.113.7",
  "expect[].sni": "api.example.com",
  "expect[].pins": "[{ name: api.example.com, address: 203.0.113.7 }]",
  "expect[].pins[]": "{ name: api.example.com, address: 203.0.113.7 }",
  "expect[].pins[].name": "api.example.com",
  "expect[].pins[].address": "203.0.113.7",
  "expect[].host": "true",
  "expect[].localNetwork": "true",
};

/** The right shape for what stands at the path, in the words of the file; undefined where there is none. */
export function writtenHint(path: Path, value: unknown): string | undefined {
  if (path.length === 0) {
    return Array.isArray(value)
      ? "put the list behind rules:, and default: deny beside it"
      : "begin with default: deny, and rules: with a rule behind each dash below it";
  }
  const meant = meantBy(path, value);
  if (meant !== undefined) return `write ${meant}`;
  const example = EXAMPLES[placeOf(path)];
  return example === undefined ? undefined : `write it like ${labelled(path, example)}`;
}

/** A line that became a mapping, because a key is what stands in front of a colon and a blank. */
export function meantByKey(path: Path, key: string, value: unknown): string | undefined {
  const place = placeOf(path);
  if (typeof value !== "string") return undefined;
  const lines = [`${key}@${value}`, `${key} ${value}`, `${key}:${value}`];
  const read = place === "rules[]" ? readRule : place === "expect[]" ? readExpectationLine : null;
  const line = read === null ? undefined : lines.find((text) => isRead(() => read(text)));
  return line === undefined ? undefined : `write - ${escapeText(line)}`;
}

/** Nothing of what stands among secrets is repeated. */
function meantBy(path: Path, value: unknown): string | undefined {
  if (path[0] === "secrets") return undefined;
  const place = placeOf(path);
  if (place === "tls" && typeof value === "boolean") return `tls: { intercept: ${value} }`;
  if (typeof value !== "string") return undefined;
  if (place === "rules[].destination" && isRead(() => readTarget(value))) {
    const [[kind, target] = []] = Object.entries(spellDestination(readTarget(value)));
    return `destination: { ${kind}: ${escapeText(String(target))} }`;
  }
  const isList = EXAMPLES[place]?.startsWith("[") && Object.hasOwn(EXAMPLES, `${place}[]`);
  if (!isList) return undefined;
  const item = /^[\w.@/-][\w.@:/-]{0,79}$/.test(value) ? value : quote(value);
  return `${labelled(path, `[${item}]`)}, or - ${item} in a line below`;
}

function placeOf(path: Path): string {
  return path.map((step) => typeof step === "number" ? "[]" : `.${String(step)}`).join("").slice(1);
}

function labelled(path: Path, text: string): string {
  const last = path.at(-1);
  return typeof last === "number" ? `- ${text}` : `${String(last)}: ${text}`;
}

function isRead(read: () => unknown): boolean {
  try {
    read();
    return true;
  } catch (fault) {
    if (!(fault instanceof PolicyFault)) throw fault;
    return false;
  }
}
