/**
 * Hints are promises: whatever is hinted for a refusal, given to the command line, lets the same thing
 * pass. Every reason has its rows, those that nothing opens as well.
 */
import { afterAll, expect, test } from "bun:test";
import { Buffer } from "node:buffer";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { type ReasonId, REASONS } from "../../lib/policy/model/reasons.ts";
import {
  type Attempt,
  expectHint,
  flow,
  found,
  inbound,
  info,
  question,
  request,
  session,
  words,
} from "./attempt.ts";

const GOOD = info("tcp", "93.184.216.34", 443);
const SSH = { kind: "bytes", bytes: Buffer.from("SSH-2.0-OpenSSH_9.9\r\n") } as const;
const hello = (sni?: string, ...alpn: readonly string[]) =>
  ({ kind: "tls", alpn, ...(sni === undefined ? {} : { sni }) }) as const;
const http = (host: string) => ({ kind: "http", host }) as const;
const untrusted = (why: string, provenBy?: string) =>
  ({ kind: "untrusted", why, ...(provenBy === undefined ? {} : { provenBy }) }) as const;

/** Nothing passes but what is allowed; a rule of no consequence gives the guest a network. */
const closed = (
  ...options: readonly string[]
) => ["--policy", "none", "--rule", "allow:inbound@127.0.0.9", ...options];
const TLS = ["--tls-intercept"];
const PORTS = join(mkdtempSync(join(tmpdir(), "sbx-hints-")), "ports.yaml");
writeFileSync(PORTS, "default: allow\ntls: {intercept: true, ports: [22, 443, 8443]}\n");
afterAll(() => rmSync(dirname(PORTS), { recursive: true }));
const ADS = "--block-domain ads.test";

const ROWS: readonly (readonly [
  reason: ReasonId,
  what: string,
  options: readonly string[],
  attempt: Attempt,
  hint: string | null,
])[] = [
  ["rule", "a private address", [], flow(info("tcp", "10.9.9.9", 80)), "--allow 10.9.9.9:80"],
  ["rule", "UDP", [], flow(info("udp", "10.9.9.9", 123)), "--allow 10.9.9.9:123"],
  ["rule", "IPv6", [], flow(info("tcp", "fd12::9", 80)), "--allow '[fd12::9]:80'"],
  ["rule", "a ping", [], flow(info("icmpv4", "10.9.9.9")), "--rule allow@10.9.9.9:icmpv4"],
  [
    "rule",
    "a ping over IPv6",
    [],
    flow(info("icmpv6", "fd12::9")),
    "--rule 'allow@[fd12::9]:icmpv6'",
  ],
  [
    "rule",
    "a name in a private network",
    [],
    flow(info("tcp", "10.0.0.5", 5432)),
    "--allow db.test:5432",
  ],
  [
    "rule",
    "a metadata service",
    [],
    flow(info("tcp", "169.254.169.254", 80)),
    "--allow 169.254.169.254:80",
  ],
  [
    "rule",
    "the gateway",
    [],
    flow(info("tcp", "192.168.127.1", 5432)),
    "--allow 192.168.127.1:5432",
  ],
  ["rule", "this machine", [], flow(info("tcp", "151.101.9.2", 80)), "--allow 151.101.9.2:80"],
  [
    "rule",
    "an address that only the kernel knows for its own",
    [],
    flow({ ...info("tcp", "151.101.9.9", 80), own: true }),
    "--allow 151.101.9.9:80",
  ],
  [
    "rule",
    "a name that is denied",
    ["--deny", "good.test"],
    flow(GOOD, hello("good.test")),
    "--allow good.test:443",
  ],
  [
    "rule",
    "a denied name that is forged",
    ["--deny", "good.test"],
    flow(info("tcp", "45.33.32.156", 443), hello("good.test")),
    null,
  ],
  [
    "rule",
    "a published port",
    closed("--rule", "deny:inbound@any"),
    flow(inbound("127.0.0.1", 80)),
    "--rule allow:inbound@127.0.0.1:tcp:80",
  ],
  [
    "rule",
    "a question",
    ["--deny", "good.test"],
    question("good.test", ["good.test", "93.184.216.34"]),
    "--allow good.test",
  ],
  [
    "rule",
    "an alias",
    ["--deny", "cdn.test"],
    question("www.test", ["www.test", "cdn.test"], ["cdn.test", "93.184.216.34"]),
    "--allow cdn.test",
  ],
  [
    "rule",
    "a request",
    ["--deny", "good.test"],
    request("http", info("tcp", "93.184.216.34", 80), "good.test"),
    "--allow good.test:80",
  ],
  [
    "default",
    "an address",
    closed(),
    flow(info("tcp", "93.184.216.34", 22)),
    "--allow good.test:22",
  ],
  [
    "default",
    "an address without a name",
    closed(),
    flow(info("tcp", "9.9.9.9", 22)),
    "--allow 9.9.9.9:22",
  ],
  [
    "default",
    "a name",
    closed(),
    flow(info("tcp", "2606:2800:220::34", 443), hello("six.test")),
    "--allow six.test:443",
  ],
  [
    "default",
    "a forged Host",
    closed("--allow", "good.test:80"),
    flow(info("tcp", "93.184.216.34", 80), http("evil.test")),
    null,
  ],
  [
    "default",
    "a forged Host in a later request",
    closed("--allow", "good.test:80"),
    request("http", info("tcp", "93.184.216.34", 80), "evil.test"),
    null,
  ],
  [
    "default",
    "a question",
    closed(),
    question("good.test", ["good.test", "93.184.216.34"]),
    "--allow good.test",
  ],
  [
    "rule",
    "a request in a session without a name",
    [...TLS, "--deny", "evil.test"],
    request("https", GOOD, "evil.test"),
    null,
  ],
  ["unroutable", "nobody's address", [], flow(info("tcp", "240.0.0.1", 80)), null],
  [
    "multicast",
    "a group",
    ["--policy", "allow-all"],
    flow(info("udp", "239.1.2.3", 5000)),
    null,
  ],
  [
    "host",
    "the gateway",
    closed(),
    flow(info("tcp", "192.168.127.1", 80)),
    "--allow 192.168.127.1:80",
  ],
  [
    "host",
    "the gateway over IPv6",
    closed(),
    flow(info("tcp", "fe80::1", 80)),
    "--allow '[fe80::1]:80'",
  ],
  ["dns", "a question to anybody", [], flow(info("udp", "9.9.9.9", 53)), null],
  ["dns-transport", "DNS over TLS", [], flow(info("tcp", "9.9.9.9", 853)), null],
  ["dns-transport", "DNS over HTTPS", ["--block-doh"], flow(info("tcp", "8.8.8.8", 443)), null],
  ["dns-limit", "a flood", [], found("dns-limit"), null],
  ["query-invalid", "no question", [], found("query-invalid"), null],
  [
    "sni-invalid",
    "half a request",
    ["--deny", "bad.test"],
    flow(info("tcp", "93.184.216.34", 80), { kind: "bytes", bytes: Buffer.from("GET /x\r\n\r\n") }),
    null,
  ],
  [
    "name-mismatch",
    "a name that is allowed elsewhere",
    closed("--allow", "evil.test:443", "--allow", "good.test:443"),
    flow(GOOD, hello("evil.test")),
    null,
  ],
  ["tls-expected", "SSH where nothing else is intercepted", TLS, flow(GOOD, SSH), null],
  [
    "tls-expected",
    "SSH on one of the ports",
    [...TLS, "--policy", PORTS],
    flow(info("tcp", "93.184.216.34", 22), SSH),
    "--tls-port 443 --tls-port 8443",
  ],
  [
    "tls-protocol",
    "another protocol",
    TLS,
    session(GOOD, hello("good.test", "imap"), { reason: "tls-protocol" }),
    "--tls-bypass good.test",
  ],
  [
    "tls-protocol",
    "another protocol without a name",
    TLS,
    session(GOOD, hello(undefined, "imap"), { reason: "tls-protocol" }),
    "--tls-opaque",
  ],
  [
    "tls-protocol",
    "another protocol under a name that leads elsewhere",
    TLS,
    session(GOOD, hello("evil.test", "imap"), { reason: "tls-protocol" }),
    "--tls-opaque",
  ],
  ["quic", "QUIC", TLS, flow(info("udp", "93.184.216.34", 443)), "--no-block-quic"],
  [
    "upstream-untrusted",
    "an authority of its own",
    TLS,
    session(
      GOOD,
      hello("good.test"),
      { reason: "upstream-untrusted", detail: "unknown authority" },
      untrusted("unknown authority", "FILE"),
    ),
    "--upstream-ca FILE",
  ],
  [
    "upstream-untrusted",
    "an expired certificate",
    TLS,
    session(
      GOOD,
      hello("good.test"),
      { reason: "upstream-untrusted", detail: "expired" },
      untrusted("expired"),
    ),
    "--no-verify-upstream=good.test",
  ],
  [
    "upstream-untrusted",
    "a flow without a name",
    TLS,
    session(
      GOOD,
      hello(),
      { reason: "upstream-untrusted", detail: "wrong name" },
      untrusted("wrong name"),
    ),
    "--no-verify-upstream=93.184.216.34",
  ],
  ["upstream-tls", "no common cipher", TLS, found("upstream-tls"), null],
  [
    "mtls",
    "a client certificate",
    TLS,
    session(GOOD, hello("good.test"), { reason: "mtls" }, { kind: "mtls" }),
    "--tls-bypass good.test",
  ],
  [
    "mtls",
    "one without a name",
    TLS,
    session(GOOD, hello(), { reason: "mtls" }, { kind: "mtls" }),
    null,
  ],
  [
    "mtls",
    "one of a name that leads elsewhere",
    TLS,
    session(GOOD, hello("evil.test"), { reason: "mtls" }, { kind: "mtls" }),
    null,
  ],
  ["request-malformed", "two hosts", TLS, found("request-malformed"), null],
  [
    "host-mismatch",
    "an address of somebody else",
    TLS,
    request("https", GOOD, "45.33.32.156"),
    null,
  ],
  ["method", "CONNECT", TLS, found("method"), null],
  ["request-limit", "a large head", TLS, found("request-limit"), null],
  ["request-slow", "a slow head", TLS, found("request-slow"), null],
  ["stream-limit", "a flood of streams", TLS, found("stream-limit"), null],
  ["upstream-malformed", "a bad answer", TLS, found("upstream-malformed"), null],
  ["upstream-closed", "no answer", TLS, found("upstream-closed"), null],
  ["blocked-name", "a question", words(ADS), question("ads.test"), null],
  ["blocked-name", "a flow", words(ADS), flow(GOOD, hello("ads.test")), null],
  [
    "local-name",
    "a printer",
    [],
    question("printer.local", ["printer.local", "93.184.216.34"]),
    "--allow printer.local",
  ],
  [
    "local-name",
    "a bare host",
    [],
    question("intranet", ["intranet", "93.184.216.34"]),
    "--allow intranet.",
  ],
  [
    "rebind",
    "a private address",
    [],
    question("in.test", ["in.test", "10.9.9.9"]),
    "--allow 10.9.9.9",
  ],
  [
    "rebind",
    "two of them",
    [],
    question("in.test", ["in.test", "10.9.9.9"], ["in.test", "10.9.9.10"]),
    "--allow 10.9.9.9 --allow 10.9.9.10",
  ],
  [
    "rebind",
    "the gateway",
    [],
    question("in.test", ["in.test", "192.168.127.1"]),
    null,
  ],
  [
    "rebind",
    "an address that leads to this machine",
    [],
    question("in.test", ["in.test", "0.0.0.0"]),
    null,
  ],
  [
    "rebind",
    "more than a few",
    [],
    question(
      "in.test",
      ...Array.from({ length: 5 }, (_, at) => ["in.test", `10.0.1.${at}`] as const),
    ),
    null,
  ],
  ["secret-violation", "a placeholder on its way", [], found("secret-violation"), null],
  ["foreign-credential", "a key of the guest's own", [], found("foreign-credential"), null],
  ["aws-signature", "a signature of the guest's own", [], found("aws-signature"), null],
  ["secret-unavailable", "a source that fails", [], found("secret-unavailable"), null],
  ["unread", "a flow of before", [], found("unread"), null],
  ["secret-unreadable", "an unknown coding", [], found("secret-unreadable"), null],
];

test("every reason has its rows", () => {
  const seen = new Set<string>(ROWS.map(([reason]) => reason));
  expect(Object.keys(REASONS).filter((reason) => !seen.has(reason))).toEqual([]);
});

test.each(ROWS)("%s, %s", async (reason, _what, options, attempt, hint) => {
  await expectHint({ reason, options, attempt, hint });
});
