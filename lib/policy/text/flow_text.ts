/**
 * A hypothetical flow as text: `tcp api.example.com:443`, `tcp://10.0.0.5:5432`, `icmpv4 8.8.8.8`; or a
 * URL, which stands for the flow that fetches it.
 *
 * @module
 */

import { formatEndpoint, parseAddress } from "../../base/address.ts";
import { canonicalName } from "../../base/name.ts";
import type { Protocol } from "../model/policy.ts";
import { portRange, PROTOCOLS } from "../model/ports.ts";
import { orError, PolicyFault, quote, unknownWord } from "./fault.ts";

/** Where a flow would go; either a name, to be resolved, or an address. */
export interface FlowTarget {
  /** Of its packets. */
  readonly protocol: Protocol;
  /** Its destination; inbound, its peer. */
  readonly host:
    | { readonly kind: "name"; readonly name: string }
    | { readonly kind: "address"; readonly address: string };
  /** Absent for ICMP. */
  readonly port?: number;
}

/** Reads `PROTO://HOST[:PORT]`, `PROTO HOST[:PORT]` or a URL; throws `SbxError` POLICY_INVALID. */
export function parseFlow(text: string): FlowTarget {
  return orError(`read flow ${quote(text)}`, () => readFlow(text));
}

/** Like {@link parseFlow}, but throws a `PolicyFault`. */
export function readFlow(text: string): FlowTarget {
  const [, scheme = "", authority = ""] = URL_TEXT.exec(text) ?? [];
  if (authority !== "") {
    const port = PORTS_OF_SCHEMES[scheme.toLowerCase()] ?? 443;
    return readFlowTo(
      "tcp",
      splitPort(authority)[1] === undefined ? `${authority}:${port}` : authority,
    );
  }
  const parts = /^\s*([^\s:/]+)(?::\/\/|\s+)(\S+?)\/?\s*$/.exec(text);
  if (parts === null) throw new PolicyFault("it is no flow", "write it like tcp://10.0.0.5:5432");
  return readFlowTo(readOneProtocol(parts[1] ?? ""), parts[2] ?? "");
}

/** The authority may have a user in front; what follows it says nothing of the flow. */
const URL_TEXT = /^\s*(https?|wss?):\/\/(?:[^/?#@\s]*@)?([^/?#@\s]+)(?:[/?#]\S*)?\s*$/i;

const PORTS_OF_SCHEMES: Readonly<Record<string, number>> = {
  http: 80,
  ws: 80,
  https: 443,
  wss: 443,
};

/** Reads the HOST[:PORT] of a flow whose protocol is known. */
export function readFlowTo(protocol: Protocol, endpoint: string): FlowTarget {
  const [hostText, portText] = splitPort(endpoint);
  const host = readHost(hostText);
  if (protocol === "icmpv4" || protocol === "icmpv6") {
    if (portText !== undefined) throw new PolicyFault(`${protocol} has no ports`);
    return { protocol, host };
  }
  if (portText === undefined) {
    throw new PolicyFault("the port is missing", `write ${protocol}://${endpoint}:443`);
  }
  if (!/^[0-9]{1,9}$/.test(portText)) throw new PolicyFault(`${quote(portText)} is no port`);
  return { protocol, host, port: portRange(Number(portText), Number(portText)).from };
}

export function formatFlow(flow: FlowTarget): string {
  return `${flow.protocol} ${formatFlowTo(flow)}`;
}

/** As {@link readFlowTo} reads it. */
export function formatFlowTo({ host, port }: FlowTarget): string {
  return formatEndpoint(host.kind === "name" ? host.name : host.address, port);
}

export function readOneProtocol(word: string): Protocol {
  const protocol = PROTOCOLS.find((known) => known === word.toLowerCase());
  if (protocol === undefined) throw unknownWord("protocol", word, PROTOCOLS);
  return protocol;
}

function readHost(text: string): FlowTarget["host"] {
  const address = parseAddress(text);
  if (address !== null) return { kind: "address", address: address.text };
  const name = canonicalName(text);
  if (name === null) throw new PolicyFault(`${quote(text)} is neither an address nor a name`);
  return { kind: "name", name };
}

function splitPort(text: string): [host: string, port?: string] {
  if (parseAddress(text) !== null) return [text];
  const match = /^(?:\[([^\]]*)\]|([^:[\]]*))(?::(.*))?$/.exec(text);
  if (match === null) {
    throw new PolicyFault(
      `${quote(text)} is no host and port`,
      "put brackets around an IPv6 address: [2001:db8::1]:443",
    );
  }
  const host = match[1] ?? match[2] ?? "";
  return match[3] === undefined ? [host] : [host, match[3]];
}
