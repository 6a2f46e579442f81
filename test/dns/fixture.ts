/**
 * What the DNS tests share: a service over a real server on loopback, and queries by another codec.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import dnsPacket, { type Answer, type DecodedPacket, type Packet } from "dns-packet";
import { dohNames } from "../../lib/dns/doh_endpoints.ts";
import type { NameSnapshot } from "../../lib/dns/filter.ts";
import { KnownNames } from "../../lib/dns/known_names.ts";
import { Pins } from "../../lib/dns/pins.ts";
import { createDns, type DnsEvent, type DnsOptions } from "../../lib/dns/service.ts";
import { createUpstream, type UpstreamOptions } from "../../lib/dns/upstream.ts";
import { compilePolicy } from "../../lib/policy/decide/compile.ts";
import { NameSet } from "../../lib/policy/model/name_set.ts";
import type { Action, Policy } from "../../lib/policy/model/policy.ts";
import { parseRule } from "../../lib/policy/text/grammar.ts";
import { DnsServer } from "../support/dns_server.ts";

/** Rules as they are written, with a default for both directions. */
export function policyOf(defaultAction: Action, ...rules: readonly string[]): Policy {
  return {
    network: true,
    rules: rules.map(parseRule),
    defaults: { outbound: defaultAction, inbound: defaultAction },
    denyWith: "drop",
  };
}

export function setOf(...entries: readonly string[]): NameSet {
  const set = new NameSet();
  for (const entry of entries) {
    if (entry.startsWith(".")) set.addSuffix(entry.slice(1));
    else set.addName(entry);
  }
  return set;
}

export interface Lab extends AsyncDisposable {
  readonly server: DnsServer;
  readonly pins: Pins;
  readonly events: DnsEvent[];
  /** Asks one question; null when there was no answer. */
  ask(name: string, type?: string, more?: Partial<Packet>): Promise<DecodedPacket | null>;
  /** Puts another policy in force. */
  replacePolicy(policy: Policy): void;
  /** Sends a message as it is. */
  send(query: Uint8Array, via?: "udp" | "tcp"): Promise<Uint8Array | null>;
}

export type LabOptions =
  & Partial<Omit<DnsOptions, "snapshot" | "upstream">>
  & Partial<Omit<NameSnapshot, "compiled" | "hosts" | "links" | "doh">>
  & {
    readonly blockDoh?: boolean;
    /** Addresses and networks of the host, read for every question. */
    readonly hosts?: () => ReadonlySet<string>;
    readonly links?: () => NameSnapshot["links"];
    readonly upstream?: Partial<UpstreamOptions>;
  };

/** Everything off save rebind protection. */
export function nameSnapshot(policy: Policy, more: Partial<NameSnapshot> = {}): NameSnapshot {
  return {
    compiled: compilePolicy(policy),
    blocked: new NameSet(),
    doh: null,
    rebindProtection: true,
    hosts: new Set(["192.168.127.1"]),
    known: new KnownNames(),
    tls: null,
    ...more,
  };
}

/** A service under a policy, asking a server with this zone. */
export async function openLab(
  policy: Policy,
  zone: readonly Answer[] = [],
  options: LabOptions = {},
): Promise<Lab> {
  const server = await DnsServer.start(zone);
  let compiled = compilePolicy(policy);
  const pins = options.pins ?? new Pins();
  const events: DnsEvent[] = [];
  const resolvers = [{ address: server.address, port: server.port }];
  const { hosts, links, blockDoh, ...more } = options;
  const doh = blockDoh === true ? dohNames() : null;
  const settings = { ...nameSnapshot(policy), doh, ...more };
  const dns = createDns({
    onEvent: (event) => events.push(event),
    ...options,
    snapshot: () => ({
      ...settings,
      compiled,
      hosts: hosts?.() ?? settings.hosts,
      links: links?.() ?? [],
    }),
    pins,
    upstream: createUpstream({ resolvers, ...options.upstream }),
  });
  const send = (query: Uint8Array, via: "udp" | "tcp" = "udp") => dns.answer(query, via);
  return {
    server,
    pins,
    events,
    send,
    replacePolicy: (policy) => {
      compiled = compilePolicy(policy);
    },
    ask: async (name, type = "A", more = {}) => {
      const reply = await send(queryFor(name, type, more));
      return reply === null ? null : dnsPacket.decode(Buffer.from(reply));
    },
    [Symbol.asyncDispose]: () => {
      server.close();
      return Promise.resolve();
    },
  };
}

/** A query with EDNS, as stub resolvers of today send it. */
export function queryFor(name: string, type = "A", more: Partial<Packet> = {}): Buffer {
  return dnsPacket.encode({
    type: "query",
    id: 4711,
    flags: dnsPacket.RECURSION_DESIRED,
    questions: [{ name, type: type as "A" }],
    additionals: [edns()],
    ...more,
  });
}

export function edns(udpPayloadSize = 1232, more: Record<string, unknown> = {}): Answer {
  return {
    type: "OPT",
    name: ".",
    udpPayloadSize,
    extendedRcode: 0,
    ednsVersion: 0,
    flags: 0,
    flag_do: false,
    options: [],
    ...more,
  };
}

export function a(name: string, data: string, ttl = 60): Answer {
  return { type: "A", name, data, ttl };
}

export function aaaa(name: string, data: string, ttl = 60): Answer {
  return { type: "AAAA", name, data, ttl };
}

export function cname(name: string, data: string, ttl = 60): Answer {
  return { type: "CNAME", name, data, ttl };
}

/** Addresses and alias targets in the order of the answer. */
export function dataOf(reply: DecodedPacket | null): unknown[] {
  return (reply?.answers ?? []).map((answer) => "data" in answer ? answer.data : undefined);
}

/** `NOERROR`, `NXDOMAIN` …; null without an answer. */
export function rcode(reply: DecodedPacket | null): string | null {
  return reply === null ? null : (reply as DecodedPacket & { rcode: string }).rcode;
}

/** The extended error of an answer, as `code text`; undefined without one. */
export function extendedError(reply: DecodedPacket | null): string | undefined {
  const opt = (reply?.additionals ?? []).find(({ type }) => type === "OPT");
  const options = opt?.type === "OPT" ? opt.options ?? [] : [];
  const option = options.find(({ code }) => Number(code) === 15);
  const data = (option as { data?: Buffer } | undefined)?.data;
  return data === undefined ? undefined : `${data.readUInt16BE(0)} ${data.subarray(2)}`;
}
