/**
 * Why things are decided as they are: one table, from which denial lines, the pages that guests get,
 * `sbx policy explain`, the journal's documentation and the hints are made.
 *
 * @module
 */
import type { Remedy } from "./remedy.ts";

/** Why something was decided as it was; the same identifiers in log, journal, EDE and `explain`. */
export type ReasonId =
  | "rule"
  | "default"
  | "unroutable"
  | "multicast"
  | "host"
  | "dns"
  | "dns-transport"
  | "dns-limit"
  | "query-invalid"
  | "sni-invalid"
  | "name-mismatch"
  | "tls-expected"
  | "tls-protocol"
  | "unread"
  | "quic"
  | "upstream-untrusted"
  | "upstream-tls"
  | "mtls"
  | "unread"
  | "request-malformed"
  | "host-mismatch"
  | "method"
  | "request-limit"
  | "request-slow"
  | "stream-limit"
  | "upstream-malformed"
  | "upstream-closed"
  | "secret-violation"
  | "foreign-credential"
  | "secret-unavailable"
  | "secret-unreadable"
  | "aws-signature"
  | "blocked-name"
  | "local-name"
  | "rebind";

export interface Reason {
  /** Completes "because", for people. */
  readonly clause: string;
  /** What it means and what can be done, for those who ask. */
  readonly explanation: string;
  /** What a guest of HTTP is told in its server's place; absent where no request is refused for it. */
  readonly page?: { readonly status: number; readonly text: string };
  /** What may let it pass, the smallest and safest first. None is proposed unless it does. */
  readonly remedies: readonly Remedy[];
}

/** Policy's own word on a request. */
export const DENIED = {
  status: 403,
  text: "the policy of this sandbox denies the request",
} as const;

/** There is no server to ask. */
const UNREACHABLE = { status: 502, text: "the server could not be reached safely" } as const;

const BY_NAME_OR_ADDRESS = ["allow-name", "allow-address"] as const;

export const REASONS = {
  rule: {
    clause: "a rule decides it",
    explanation:
      "A rule matched; the denial names it. Rules are walked in order and the first match wins, " +
      "so a rule that shall decide differently has to stand before it.",
    page: DENIED,
    remedies: BY_NAME_OR_ADDRESS,
  },
  default: {
    clause: "no rule allows it",
    explanation:
      "No rule matched, and the policy's default denies. Allow the destination with --allow, " +
      "or with a rule in the policy.",
    page: DENIED,
    remedies: BY_NAME_OR_ADDRESS,
  },
  unroutable: {
    clause: "nothing can be reached at this address",
    explanation:
      "Nobody can be reached at this address (240/4, broadcast and the like). It is never dialled.",
    page: DENIED,
    remedies: [],
  },
  multicast: {
    clause: "multicast leaves only by a rule that names it",
    explanation:
      "Multicast leaves the guest only by a rule that names the multicast group or a block in it.",
    page: DENIED,
    remedies: [],
  },
  host: {
    clause: "it is an address of this machine, which only a rule that names it opens",
    explanation:
      "This is an address of the machine that sbx runs on, or one under which it is reached among " +
      "others (broadcast, anycast). Only a rule that names it, or the group host, or any, opens it; " +
      "private and wider blocks do not.",
    page: DENIED,
    remedies: ["allow-address"],
  },
  dns: {
    clause: "questions are answered by sbx itself, whatever address they are for",
    explanation:
      "A question on port 53. sbx answers it itself, whatever resolver it was meant for.",
    remedies: [],
  },
  "dns-transport": {
    clause: "names are resolved over plain DNS only",
    explanation:
      "Another way to ask for names than port 53 (DNS over TLS or QUIC, mDNS, LLMNR, NetBIOS, and " +
      "with --block-doh the known DNS-over-HTTPS services). " +
      "It is refused so that clients fall back to plain DNS, where names are judged.",
    remedies: [],
  },
  "dns-limit": {
    clause: "more questions than one sandbox may ask",
    explanation: "The sandbox asked more DNS queries than its limits let through.",
    remedies: [],
  },
  "query-invalid": {
    clause: "the question is malformed, or of a kind that is never passed on",
    explanation:
      "A DNS query that is malformed, asks for a name with bytes that no host name has, or is of a " +
      "kind that is never passed on: a zone transfer, an update, another class than IN.",
    remedies: [],
  },
  "sni-invalid": {
    clause: "the name it states is not to be trusted",
    explanation:
      "The name that the flow states is malformed, or could be read in two ways, or not to its end, " +
      "so no rule can be trusted with it. What some server reads as a request counts as one, also in " +
      "a ClientHello, a second ClientHello has to state the name of the first, and nothing may follow " +
      "one to a server that does not speak TLS.",
    remedies: [],
  },
  "name-mismatch": {
    clause: "the name it states was not resolved to this address",
    explanation:
      "The flow states a name that is allowed, but sbx did not resolve that name to the address it " +
      "leads to. Anybody can state any name, so it counts only together with the address.",
    page: DENIED,
    remedies: [],
  },
  "tls-expected": {
    clause: "only TLS may pass on an intercepted port",
    explanation:
      "The port is intercepted (--tls-port), so that a flow to it has to start with a TLS handshake. " +
      "This one did not. Where the port is for something else, name the ports that carry TLS, and " +
      "no others, with --tls-port.",
    remedies: ["ports"],
  },
  "tls-protocol": {
    clause: "what it carries is not HTTP",
    explanation:
      "The TLS session carries something other than HTTP, which sbx does not pass on unseen. " +
      "--tls-bypass leaves flows to a name alone; --tls-opaque relays all that is not HTTP as it is.",
    remedies: ["bypass", "opaque"],
  },
  unread: {
    clause: "it was opened under a policy that did not look into it, and this one does",
    explanation:
      "The policy was replaced while the flow was open. The new one goes by the name that a flow " +
      "states, or opens its TLS, and of this one nobody knows what it stated. It was cut; the client " +
      "can connect again, and is judged by what it says then.",
    remedies: [],
  },
  quic: {
    clause: "QUIC cannot be intercepted, and clients fall back to TLS without it",
    explanation:
      "QUIC on an intercepted port. It is refused so that clients fall back to TLS over TCP, " +
      "which can be intercepted; --no-block-quic lets it pass unseen.",
    remedies: ["quic"],
  },
  "upstream-untrusted": {
    clause: "the server's certificate is not to be trusted",
    explanation:
      "The server's certificate does not prove the name that the guest asked for; the detail says " +
      "why. --upstream-ca trusts its authority, --no-verify-upstream=NAME asks for no proof.",
    page: UNREACHABLE,
    remedies: ["upstream-ca", "no-verify"],
  },
  "upstream-tls": {
    clause: "the server, sbx and the guest found no common TLS",
    explanation:
      "The server ended the TLS handshake, or offers nothing that guest and sbx both speak.",
    page: UNREACHABLE,
    remedies: [],
  },
  mtls: {
    clause: "the server wants a certificate of the client, which sbx cannot give",
    explanation:
      "The server asks for a certificate of the client. sbx has none to show in the guest's " +
      "place; --tls-bypass lets the guest show its own.",
    page: UNREACHABLE,
    remedies: ["bypass"],
  },
  "request-malformed": {
    clause: "the request is malformed",
    explanation:
      "A request that sbx relays and that two servers could read in two ways: two Hosts or lengths, " +
      "stray line ends, folded fields. It is answered with 400 and goes nowhere.",
    page: { status: 400, text: "the request is malformed" },
    remedies: [],
  },
  "host-mismatch": {
    clause: "the request is for another host than its connection",
    explanation:
      "A request inside intercepted TLS for another host than the TLS session was opened for. It is " +
      "answered with 421, so that clients open a connection of its own.",
    page: { status: 421, text: "the request is for another host than its connection" },
    remedies: [],
  },
  method: {
    clause: "the method is not for servers",
    explanation:
      "CONNECT and TRACE ask something of a proxy. In flows that sbx relays they are answered " +
      "with 405.",
    page: { status: 405, text: "the method is not for servers" },
    remedies: [],
  },
  "request-limit": {
    clause: "the request's head is too large",
    explanation: "The head of a request that sbx relays is longer than 64 kB or has more " +
      "than 200 fields.",
    page: { status: 431, text: "the request's head is too large" },
    remedies: [],
  },
  "request-slow": {
    clause: "the request's head did not arrive in time",
    explanation: "The head of a request that sbx relays did not arrive in time.",
    page: { status: 408, text: "the request's head did not arrive in time" },
    remedies: [],
  },
  "stream-limit": {
    clause: "the connection has too many requests",
    explanation: "An HTTP/2 connection opened, reset or pinged more than one connection may.",
    page: { status: 429, text: "the connection has too many requests" },
    remedies: [],
  },
  "upstream-malformed": {
    clause: "the server's answer is malformed",
    explanation:
      "What the server sent is no answer to what was asked: contradicting lengths, bytes after the " +
      "answer, an upgrade that nobody asked for.",
    page: { status: 502, text: "the server's answer is malformed" },
    remedies: [],
  },
  "upstream-closed": {
    clause: "the server closed the connection without all of an answer",
    explanation: "The server closed the connection before it had answered.",
    page: { status: 502, text: "the server closed the connection without an answer" },
    remedies: [],
  },
  "secret-violation": {
    clause: "it carries the placeholder of a secret to where it does not belong",
    explanation:
      "A placeholder was on its way to where it does not belong. Only the hosts that a secret is " +
      "declared for may be sent it, at the addresses that their names were resolved to in the sandbox. Name the host with the others behind --secret NAME@ if it should " +
      "have the value.",
    page: DENIED,
    remedies: [],
  },
  "foreign-credential": {
    clause: "it carries a credential that is not the secret's",
    explanation:
      "This host has a secret, and the request carries a credential of the guest's own, with which " +
      "data could be carried off into another account. Remove the credential, or declare the secret " +
      "with `exclusive: false`.",
    page: DENIED,
    remedies: [],
  },
  "secret-unavailable": {
    clause: "the value of a secret could not be read",
    explanation:
      "The source of a secret of this host failed. A request is never sent with the placeholder in " +
      "the value's place.",
    page: { status: 502, text: "the value of a secret for this server could not be read" },
    remedies: [],
  },
  "secret-unreadable": {
    clause: "secrets cannot be looked for in it",
    explanation:
      "What was to be sent, or the answer, is in a content coding that could not be decoded, or has " +
      "more values in it than any client sends. It went no further.",
    page: { status: 502, text: "secrets could not be looked for in what was exchanged" },
    remedies: [],
  },
  "aws-signature": {
    clause: "its AWS signature cannot be made again",
    explanation:
      "The request is signed with the placeholders of a pair of keys, and sbx could not sign it with " +
      "the keys themselves: it was changed after it was signed, its region or service is none that the " +
      "pair is declared for, or its kind of signature is one that sbx does not make.",
    page: { status: 403, text: "the AWS signature of the request could not be made again" },
    remedies: [],
  },
  "blocked-name": {
    clause: "the name is on a block list",
    explanation: "The name, or one it is an alias of, is on a block list: --block-domain, " +
      "--block-domain-suffix, --block-doh or `dns` in the policy file. No rule opens it.",
    page: DENIED,
    remedies: [],
  },
  "local-name": {
    clause: "the name has a meaning on one machine or network only",
    explanation:
      "The name means something on one machine or network only, and is not asked for outside " +
      "unless a rule allows it by name: --allow printer.local, or --allow intranet. with its dot.",
    remedies: ["allow-name"],
  },
  rebind: {
    clause: "the answer points to a private address",
    explanation:
      "The answer points a public name at a private address (DNS rebinding). Allow the address by a " +
      "rule of its own; --no-dns-rebind-protection lets all such answers through, and no flow.",
    remedies: ["allow-answer"],
  },
} as const satisfies Record<ReasonId, Reason>;

/** One reason, without the narrow types of the table. */
export function reasonOf(id: ReasonId): Reason {
  return REASONS[id];
}
