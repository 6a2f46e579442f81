/**
 * The shape of a policy file: which keys there are and what kind of value each takes. Meaning
 * (does the block parse, is the port in range) is checked by the readers behind it.
 *
 * @module
 */

import { z } from "zod";
import { GROUPS } from "../model/groups.ts";
import { PROTOCOL_WORDS } from "../model/ports.ts";
import { VIOLATION_ACTIONS } from "../model/secret.ts";
import { MAX_IDLE_MS } from "../model/tls_settings.ts";
import { DIRECTION_WORDS } from "../text/grammar.ts";
import { secretEntry, secretObject } from "./secret_shape.ts";

const action = z.enum(["allow", "deny"]);

const direction = z.enum(DIRECTION_WORDS).describe(
  "outbound: the guest opens the flow; inbound: a peer reaches a published port. egress and ingress are the same two",
);

const port = z.int().min(1).max(65_535);

const ports = z.union([
  port,
  z.string().describe("443, 8000-8010 or 80,443"),
  z.array(z.union([port, z.string(), z.tuple([port, port]).describe("[low, high], inclusive")]))
    .min(1),
]).describe("Destination ports; inbound, ports of the guest. Left out: every port, and ICMP");

const protocolWord = z.enum(PROTOCOL_WORDS);

const protocol = z.union([protocolWord, z.array(protocolWord).min(1)])
  .describe("Left out: every protocol");

const destination = z.strictObject({
  any: z.literal(true).optional(),
  cidr: z.string().optional().describe("An address or block: 10.0.0.5, 10.0.0.0/8, 2001:db8::/32"),
  domain: z.string().optional().describe("Exactly this name"),
  suffix: z.string().optional().describe("This name and all below it: example.com or .example.com"),
  group: z.enum(GROUPS).optional(),
}).meta({
  description: "Outbound: where the flow goes. Inbound: the peer. Exactly one key",
  minProperties: 1,
  maxProperties: 1,
});

const ruleObject = z.strictObject({
  action,
  destination,
  direction: direction.optional(),
  protocol: protocol.optional(),
  ports: ports.optional(),
});

const rule = z.union([
  z.string().describe("allow|deny[:outbound|inbound|both]@TARGET[:PROTO[:PORTS]]"),
  ruleObject,
]);

const pin = z.strictObject({ name: z.string(), address: z.string() });

const expectationObject = z.strictObject({
  expect: action,
  protocol: protocolWord.optional().describe("tcp unless said otherwise"),
  to: z.string().describe("HOST:PORT of the destination; inbound, ADDRESS:PORT of peer and guest"),
  direction: direction.optional(),
  address: z.string().optional().describe("What the name in `to` resolves to"),
  sni: z.union([z.string(), z.literal(false)]).optional()
    .describe("The name stated on the wire; false: none. Left out: the name in `to`"),
  pins: z.array(pin).optional().describe("Other names that were resolved before"),
  host: z.literal(true).optional().describe("The address is one of the host's own"),
  localNetwork: z.literal(true).optional()
    .describe("The address is in a network that an interface of the host is on"),
});

const expectation = z.union([
  z.string().describe("allow|deny PROTO HOST:PORT"),
  expectationObject,
]);

const defaults = z.strictObject({ outbound: action, inbound: action });

const dns = z.strictObject({
  block: z.array(z.string()).optional()
    .describe("Names that never resolve; @FILE reads a list (one name a line, or a hosts file)"),
  blockSuffix: z.array(z.string()).optional()
    .describe("The same for names and everything below them"),
  blockDoh: z.boolean().optional()
    .describe("Refuse the names of well-known DNS-over-HTTPS resolvers"),
  rebindProtection: z.boolean().optional()
    .describe("Withhold answers that point a public name at a private address; on by default"),
  hosts: z.array(z.string()).optional()
    .describe("Names with an address of your own, NAME:ADDR; host-gateway is this machine"),
  servers: z.array(z.string()).optional()
    .describe("Resolvers, ADDR or ADDR:PORT; left out: the host's"),
  timeoutMs: z.int().min(1).max(600_000).optional(),
});

const tls = z.strictObject({
  intercept: z.boolean().describe("Open TLS on the intercepted ports, to see and judge requests"),
  ports: z.array(port).min(1).optional().describe("Intercepted TCP ports; left out: 443"),
  bypass: z.array(z.string()).optional()
    .describe("Names, or .suffixes, that are not opened; each needs an allow rule as well"),
  blockQuic: z.boolean().optional()
    .describe("Refuse QUIC on these ports, so that clients fall back to TCP; on by default"),
  authority: z.strictObject({ cert: z.string(), key: z.string() }).optional()
    .describe("PEM files of your own authority. Left out: that of `sbx ca init`, or a fresh one"),
  upstreamCa: z.array(z.string()).optional()
    .describe("PEM files of authorities that upstream servers may have, beside the public ones"),
  verifyUpstream: z.boolean().optional()
    .describe("Verify the certificates of upstream servers; on by default"),
  noVerify: z.array(z.string()).optional()
    .describe("Names, .suffixes or addresses whose certificates are not verified"),
  trustHostCas: z.boolean().optional()
    .describe("Trust the authorities that this machine trusts, beside the public ones"),
  opaque: z.boolean().optional()
    .describe("Relay what is not HTTP inside TLS as it is, instead of refusing it"),
  idleMs: z.int().min(1).max(MAX_IDLE_MS).optional()
    .describe(
      "Close an intercepted connection on which nothing moves for so long; left out: never",
    ),
});

export const policyFileShape = z.strictObject({
  $schema: z.string().optional(),
  version: z.literal(1).optional(),
  extends: z.enum(["allow-all", "none", "public-only"]).optional()
    .describe("A preset: its rules come after these, its defaults hold unless given here"),
  default: z.union([action, defaults]).optional()
    .describe("Decides when no rule matches. Required unless `extends` is given"),
  rules: z.array(rule).optional().describe("The first rule that matches decides"),
  denyWith: z.enum(["drop", "reject"]).optional()
    .describe("How a denial looks to the guest: silence, or an error at once"),
  dns: dns.optional(),
  tls: tls.optional(),
  maxConnections: z.int().min(1).max(1_000_000).optional()
    .describe("Flows alive at the same time"),
  newFlowsPerSecond: z.int().min(1).max(1_000_000).optional(),
  secrets: z.array(secretEntry).optional()
    .describe("Values that the guest has placeholders of, and the hosts that get them"),
  onSecretViolation: z.enum(VIOLATION_ACTIONS).optional().describe(
    "What happens when a placeholder is on its way to a foreign host; block unless said otherwise",
  ),
  expect: z.array(expectation).optional().describe("Checked by `sbx policy test`"),
});

export type PolicyFileShape = z.output<typeof policyFileShape>;
export type RuleShape = z.output<typeof ruleObject>;
export type DestinationShape = z.output<typeof destination>;
export type PortsShape = z.output<typeof ports>;
export type DnsShape = z.output<typeof dns>;
export type TlsShape = z.output<typeof tls>;
export type ExpectationShape = z.output<typeof expectationObject>;

/** The keys of the mapping at a path into a policy file, for "did you mean". */
export function knownKeysAt(path: readonly PropertyKey[]): readonly string[] {
  const holder = path.filter((step) => typeof step === "string").at(-1);
  const shapes: Record<string, { readonly shape: object }> = {
    rules: ruleObject,
    destination,
    default: defaults,
    dns,
    tls,
    authority: tls.shape.authority.unwrap(),
    expect: expectationObject,
    pins: pin,
    secrets: secretObject,
  };
  const shape = holder === undefined ? policyFileShape : shapes[String(holder)];
  return shape === undefined ? [] : Object.keys(shape.shape).filter((key) => key !== "$schema");
}

/** The JSON Schema of policy files. The number in `$id` grows when a valid file may turn invalid. */
export function policyJsonSchema(): Record<string, unknown> {
  const schema = z.toJSONSchema(policyFileShape, { target: "draft-2020-12", io: "input" });
  return {
    ...schema,
    $id: "urn:sbx:policy:1",
    title: "sbx policy file",
    anyOf: [{ required: ["default"] }, { required: ["extends"] }],
  };
}
