/**
 * Refusals in words: what was refused, why, and which option would have let it pass.
 *
 * @module
 */
import { formatEndpoint, parseAddress } from "../base/address.ts";
import { escapeText } from "../base/escape.ts";
import { canonicalName } from "../base/name.ts";
import type { DnsEvent } from "../dns/service.ts";
import type { FlowInfo } from "../flow/control_message.ts";
import type { Exchange, Refusal as HttpRefusal } from "../http/exchange.ts";
import type { Ruling } from "../flow/judge.ts";
import { formatRule } from "../policy/grammar.ts";
import type { Policy, ReasonId } from "../policy/policy.ts";
import type { Refusal } from "./denials.ts";

/** A flow whose requests sbx relays. */
export interface RelayedFlow {
  readonly id: number;
  readonly info: FlowInfo;
  readonly scheme: "http" | "https";
}

/** A flow that policy kept from opening. */
export function flowRefusal(policy: Policy, info: FlowInfo, ruling: Ruling): Refusal {
  const name = ruling.name === undefined ? undefined : escapeText(ruling.name);
  const allow = flagForFlow(info, ruling.reason, name);
  return {
    target: flowTarget(info),
    ...(name === undefined ? {} : { name }),
    ...refusalOf(policy, ruling),
    ...(allow === undefined ? {} : { allow }),
  };
}

/** A question that was not answered. */
export function dnsRefusal(policy: Policy, event: DnsEvent & { reason: ReasonId }): Refusal {
  const shown = escapeText(event.name);
  const allow = flagForName(event.reason, canonicalName(event.name));
  return {
    target: shown === "" ? "dns" : `dns ${shown}`,
    ...refusalOf(policy, event),
    ...(allow === undefined ? {} : { allow }),
  };
}

/** A request that sbx answered in its server's place. */
export function requestRefusal(
  policy: Policy,
  { info, scheme }: RelayedFlow,
  { request }: Exchange,
  refused: HttpRefusal,
): Refusal {
  const why = refusalOf(policy, refused);
  if (request === undefined) return { target: `a request on ${flowTarget(info)}`, ...why };
  const { method, host, path } = request;
  // A request for an address is for that of its flow.
  const allow = flagForFlow(info, refused.reason, parseAddress(host) === null ? host : undefined);
  return {
    target: escapeText(`${method} ${scheme}://${host}${path}`),
    ...why,
    ...(allow === undefined ? {} : { allow }),
  };
}

/** `tcp 10.0.0.5:5432`, `icmpv4 10.9.9.9`, `tcp from 127.0.0.1 to port 80`. */
function flowTarget({ dir, proto, src, dst, dport }: FlowInfo): string {
  if (dir === "inbound") return `${proto} from ${src} to port ${dport}`;
  return `${proto} ${hasPorts(proto) ? formatEndpoint(dst, dport) : dst}`;
}

export function hasPorts(proto: FlowInfo["proto"]): boolean {
  return proto === "tcp" || proto === "udp";
}

function refusalOf(
  policy: Policy,
  { reason, rule, detail }: { reason: ReasonId; rule?: number; detail?: string },
): Pick<Refusal, "reason" | "rule" | "because"> {
  const text = rule === undefined ? undefined : policy.rules[rule];
  const words = text === undefined
    ? `${reason}, ${WORDS[reason]}`
    : `rule ${rule}, ${formatRule(text)}`;
  const more = detail === undefined ? "" : ` (${escapeText(detail)})`;
  const because = `${words}${more}`;
  return rule === undefined ? { reason, because } : { reason, rule, because };
}

const WORDS: Readonly<Record<ReasonId, string>> = {
  rule: "a rule denies it",
  default: "no rule allows it",
  unroutable: "nothing can be reached at this address",
  multicast: "multicast leaves only by a rule that names it",
  host: "it is an address of this machine",
  dns: "sbx answers names itself",
  "dns-transport": "names are resolved over plain DNS only",
  "dns-limit": "more questions than one sandbox may ask",
  "query-invalid": "the question is malformed",
  "sni-invalid": "the name it states is not to be trusted",
  "tls-expected": "only TLS may pass on an intercepted port",
  "tls-protocol": "what it carries is not HTTP",
  quic: "QUIC cannot be intercepted, and clients fall back to TLS without it",
  "upstream-untrusted": "the server's certificate is not to be trusted",
  "upstream-tls": "the server and sbx found no common TLS",
  mtls: "the server wants a certificate of the client, which sbx cannot give",
  "request-malformed": "the request is malformed",
  "host-mismatch": "the request is for another host than its connection",
  method: "the method is not for servers",
  "request-limit": "the request's head is too large",
  "request-slow": "the request's head did not arrive in time",
  "stream-limit": "the connection has too many requests",
  "upstream-malformed": "the server's answer is malformed",
  "upstream-closed": "the server left without an answer",
  "name-mismatch": "the name it states was not resolved to this address",
  "blocked-name": "the name is on the block list",
  "local-name": "the name has a meaning on local networks only",
  rebind: "the answer points to a private address",
};

/** Reasons that a rule in front of all others would outweigh. */
const OPENABLE: ReadonlySet<ReasonId> = new Set(["rule", "default", "host", "multicast"]);

/** Refusals that another way to treat TLS would spare. */
const TLS_SWITCHES: Partial<Record<ReasonId, (host: string) => string>> = {
  quic: () => "--no-block-quic",
  "tls-protocol": () => "--tls-opaque",
  "upstream-untrusted": (host) => `--no-verify-upstream=${host}`,
  mtls: (host) => `--tls-bypass ${host}`,
};

function flagForFlow(info: FlowInfo, reason: ReasonId, name?: string): string | undefined {
  const switches = TLS_SWITCHES[reason]?.(name ?? info.dst);
  if (switches !== undefined) return switches;
  if (!OPENABLE.has(reason)) return undefined;
  if (info.dir === "inbound") {
    return option(`--rule allow:inbound@${bracketed(info.src)}:${info.proto}:${info.dport}`);
  }
  if (!hasPorts(info.proto)) return option(`--rule allow@${bracketed(info.dst)}:${info.proto}`);
  // Rules about names open neither the host's addresses nor multicast ones.
  const byName = reason === "rule" || reason === "default" ? name : undefined;
  return option(`--allow ${byName ?? bracketed(info.dst)}:${info.dport}`);
}

function flagForName(reason: ReasonId, name: string | null): string | undefined {
  if (reason === "rebind") return "--no-dns-rebind-protection";
  return OPENABLE.has(reason) && name !== null ? `--allow ${name}` : undefined;
}

function bracketed(address: string): string {
  return address.includes(":") ? `[${address}]` : address;
}

/** Brackets are a shell's pattern, so the value is quoted where it has some. */
function option(text: string): string {
  const [flag, value = ""] = text.split(" ");
  return value.includes("[") ? `${flag} '${value}'` : text;
}
