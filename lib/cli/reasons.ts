/**
 * What the reasons of verdicts mean, for `sbx policy explain`. The identifiers stand in denial
 * lines, in the journal and in extended DNS errors.
 *
 * @module
 */
import type { ReasonId } from "../policy/policy.ts";

export const REASONS = {
  rule:
    "A rule matched; the denial names it. Rules are walked in order and the first match wins, " +
    "so a rule that shall decide differently has to stand before it.",
  default:
    "No rule matched, and the policy's default denies. Allow the destination with --allow, " +
    "or with a rule in the policy.",
  unroutable:
    "Nobody can be reached at this address (240/4, broadcast and the like). It is never dialled.",
  multicast:
    "Multicast leaves the guest only by a rule that names the multicast group or a block in it.",
  host:
    "This is an address of the machine that sbx runs on. Only a rule that names it, or the group " +
    "host, or any, opens it; private and wider blocks do not.",
  dns: "A question on port 53. sbx answers it itself, whatever resolver it was meant for.",
  "dns-transport":
    "Another way to ask for names than port 53 (DNS over TLS or QUIC, mDNS, LLMNR, NetBIOS, and " +
    "with --block-doh the known DNS-over-HTTPS services). " +
    "It is refused so that clients fall back to plain DNS, where names are judged.",
  "sni-invalid": "The name that the flow states is malformed, so no rule can be trusted with it.",
  "name-mismatch":
    "The flow states a name that is allowed, but sbx did not resolve that name to the address it " +
    "leads to. Anybody can state any name, so it counts only together with the address.",
  "tls-expected":
    "The port is intercepted (--tls-port), so that a flow to it has to start with a TLS handshake. " +
    "This one did not.",
  "tls-protocol":
    "The TLS session carries something other than HTTP, which sbx does not pass on unseen. " +
    "--tls-opaque relays it as it is; --tls-bypass leaves flows to a name alone.",
  quic: "QUIC on an intercepted port. It is refused so that clients fall back to TLS over TCP, " +
    "which can be intercepted; --no-block-quic lets it pass unseen.",
  "upstream-untrusted":
    "The server's certificate does not prove the name that the guest asked for; the detail says " +
    "why. --upstream-ca trusts its authority, --no-verify-upstream=NAME asks for no proof.",
  "upstream-tls":
    "The server ended the TLS handshake, or offers nothing that guest and sbx both speak.",
  mtls: "The server asks for a certificate of the client. sbx has none to show in the guest's " +
    "place; --tls-bypass lets the guest show its own.",
  "request-malformed":
    "A request inside intercepted TLS that two servers could read in two ways: two Hosts or lengths, " +
    "stray line ends, folded fields. It is answered with 400 and goes nowhere.",
  "host-mismatch":
    "A request inside intercepted TLS for another host than the TLS session was opened for. It is " +
    "answered with 421, so that clients open a connection of its own.",
  method: "CONNECT and TRACE ask something of a proxy. Inside intercepted TLS they are answered " +
    "with 405.",
  "request-limit":
    "The head of a request inside intercepted TLS is longer than 64 kB or has more " +
    "than 200 fields.",
  "request-slow": "The head of a request inside intercepted TLS did not arrive in time.",
  "stream-limit": "An HTTP/2 connection opened, reset or pinged more than one connection may.",
  "upstream-malformed":
    "What the server sent is no answer to what was asked: contradicting lengths, bytes after the " +
    "answer, an upgrade that nobody asked for.",
  "upstream-closed": "The server closed the connection before it answered.",
  "blocked-name": "The name, or one it is an alias of, is on a block list: --block-domain, " +
    "--block-domain-suffix, --block-doh or `dns` in the policy file.",
  "local-name":
    "The name means something on one machine or network only, and is not asked for outside " +
    "unless a rule allows it by name.",
  rebind:
    "The answer points a public name at a private address (DNS rebinding). Allow the address by a " +
    "rule of its own, or turn the protection off with --no-dns-rebind-protection.",
  "query-invalid":
    "A DNS query that is malformed, asks for a name with bytes that no host name has, or is of a " +
    "kind that is never passed on: a zone transfer, an update, another class than IN.",
  "dns-limit": "The sandbox asked more DNS queries than its limits let through.",
} as const satisfies Record<ReasonId, string>;
