import { expect, test } from "bun:test";
import { runExpectations, testLines } from "../../lib/judge/expectations.ts";
import { parsePolicyFile } from "../../lib/policy/file/load.ts";
import { NameSet } from "../../lib/policy/model/name_set.ts";
import { readBlockedNames } from "../../lib/sandbox/blocked_names.ts";

const RULES = `
default: {outbound: deny, inbound: allow}
rules:
  - allow@api.example.com:tcp:443
  - allow@.cdn.test:udp
  - deny:inbound@192.168.1.0/24
  - allow@host:tcp:8080
dns: {block: [ads.cdn.test], blockSuffix: [.trk.cdn.test]}
expect:
`;

/** What an expectation of `allow` comes to. */
async function outcome(entry: string): Promise<string> {
  const file = parsePolicyFile(`${RULES}  - ${entry}\n`, "p.yaml");
  const [row] = runExpectations(file, await readBlockedNames(file.dns));
  return row === undefined ? "" : `${row.actual}: ${row.why}`;
}

test("a flow is played through as a guest would: resolve, pin, connect, state the name", async () => {
  const rows: [string, string][] = [
    ["allow tcp api.example.com:443", "allow: rule 0, allow@api.example.com:tcp:443"],
    ["allow tcp api.example.com:80", "deny: no rule matches"],
    [
      "allow tcp www.example.com:443",
      "deny: the name does not resolve: default, no rule allows it",
    ],
    ["allow tcp 93.184.216.34:443", "deny: no rule matches"],
    ["allow udp a.cdn.test:443", "allow: rule 1"],
    ["allow icmpv4 a.cdn.test", "deny: no rule matches"],
    [
      "allow udp ads.cdn.test:443",
      "deny: the name does not resolve: blocked-name, the name is on a block list (ads.cdn.test)",
    ],
    [
      "allow udp x.trk.cdn.test:1",
      "deny: the name does not resolve: blocked-name, the name is on a block list (.trk.cdn.test)",
    ],
    ["{expect: allow, to: 'api.example.com:443', sni: other.test}", "deny: no rule matches"],
    ["{expect: allow, to: 'api.example.com:443', sni: false}", "allow: rule 0"],
    [
      "{expect: allow, to: 'api.example.com:443', address: '255.255.255.255'}",
      "deny: rebind, the answer points to a private address (255.255.255.255)",
    ],
    ["allow tcp 255.255.255.255:443", "deny: unroutable, nothing can"],
    ["{expect: allow, to: '203.0.113.7:443', sni: api.example.com}", "deny: no rule matches"],
    [
      "{expect: allow, to: '203.0.113.7:443', pins: [{name: api.example.com, address: 203.0.113.7}]}",
      "allow: rule 0",
    ],
    ["allow tcp printer.local:80", "deny: the name does not resolve: local-name"],
    [
      "allow udp a.cdn.test:853",
      "deny: dns-transport, names are resolved over plain DNS only (DNS over QUIC)",
    ],
    [
      "allow tcp api.example.com:853",
      "deny: dns-transport, names are resolved over plain DNS only (DNS over TLS)",
    ],
    [
      "{expect: allow, to: 'api.example.com:443', sni: x.trk.cdn.test}",
      "deny: blocked-name, the name is on a block list (.trk",
    ],
    ["{expect: allow, direction: inbound, to: '192.168.1.5:80'}", "deny: rule 2"],
    ["{expect: allow, direction: inbound, to: '192.168.2.5:80'}", "allow: no rule matches"],
    ["{expect: allow, to: '192.168.127.1:8080', host: true}", "allow: rule 3"],
    ["{expect: allow, to: '192.168.127.1:8080'}", "allow: rule 3"], // the gateway is this machine
    ["{expect: allow, to: '192.168.1.1:8080', host: true}", "allow: rule 3"],
    ["{expect: allow, to: '192.168.1.1:8080'}", "deny: no rule matches"],
    ["allow udp 9.9.9.9:53", "allow: dns, questions are answered by sbx itself"],
  ];
  for (const [entry, start] of rows) {
    expect([entry, (await outcome(entry)).slice(0, start.length)]).toEqual([entry, start]);
  }
});

test("known DNS-over-HTTPS services are refused where the file says so", () => {
  const flows = ["tcp dns.google:443", "tcp 8.8.8.8:443", "udp 8.8.8.8:443", "tcp 8.8.8.8:80"];
  const text = (blockDoh: boolean) =>
    `default: allow\ndns: {blockDoh: ${blockDoh}}\nexpect: [${
      flows.map((flow) => `deny ${flow}`).join(", ")
    }]`;
  const outcomes = (on: boolean) =>
    runExpectations(parsePolicyFile(text(on), "p.yaml")).map(({ actual, why }) =>
      `${actual}: ${why}`
    );
  expect(outcomes(true)).toEqual([
    "deny: the name does not resolve: blocked-name, the name is on a block list (dns.google serves DNS over HTTPS)",
    "deny: dns-transport, names are resolved over plain DNS only (DNS over HTTPS (Google))",
    "deny: dns-transport, names are resolved over plain DNS only (DNS over HTTPS (Google))",
    "allow: no rule matches, and outbound flows are allowed by default",
  ]);
  expect(outcomes(false).filter((outcome) => outcome.startsWith("deny"))).toEqual([]);
});

test("interception, QUIC and requests have their say", () => {
  const text = `
default: allow
rules: [deny@bad.cdn.test]
tls: {intercept: true, ports: [22, 443], bypass: [pinned.test]}
expect:
  - allow tcp good.cdn.test:443
  - allow tcp pinned.test:443
  - deny tcp bad.cdn.test:443
  - deny udp good.cdn.test:443
  - allow udp good.cdn.test:444
  - allow tcp 198.51.100.7:22
  - deny tcp bad.cdn.test:80
`;
  expect(runExpectations(parsePolicyFile(text, "p.yaml")).map(({ passed, why }) => [passed, why]))
    .toEqual([
      [true, "no rule matches, and outbound flows are allowed by default; its TLS is intercepted"],
      [true, "no rule matches, and outbound flows are allowed by default; its TLS is bypassed"],
      [true, "the name does not resolve: rule 0, deny@bad.cdn.test"],
      [
        true,
        "quic, QUIC cannot be intercepted, and clients fall back to TLS without it (over UDP)",
      ],
      [true, "no rule matches, and outbound flows are allowed by default"],
      [true, "no rule matches, and outbound flows are allowed by default; its TLS is intercepted"],
      [true, "the name does not resolve: rule 0, deny@bad.cdn.test"],
    ]);
});

test("a table marks what failed", () => {
  const text = `${RULES}  - allow tcp api.example.com:443\n  - deny tcp api.example.com:443\n`;
  const rows = runExpectations(parsePolicyFile(text, "p.yaml"));
  expect(rows.map((row) => row.passed)).toEqual([true, false]);
  expect(testLines(rows)).toEqual([
    "ok      tcp api.example.com:443  allow: rule 0, allow@api.example.com:tcp:443",
    "FAILED  tcp api.example.com:443  allow, expected deny: rule 0, allow@api.example.com:tcp:443",
  ]);
});

test("names on lists that the caller read are blocked too", () => {
  const blocked = new NameSet();
  blocked.addSuffix("example.com");
  const file = parsePolicyFile(`${RULES}  - deny tcp api.example.com:443\n`, "p.yaml");
  expect(runExpectations(file, blocked)[0]?.passed).toBe(true);
});
