import { expect, test } from "bun:test";
import { parsePolicyFile } from "../../lib/policy/load.ts";
import { NameSet } from "../../lib/policy/name_set.ts";
import { runExpectations, testLines } from "../../lib/policy/rehearse.ts";

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
function outcome(entry: string): string {
  const [row] = runExpectations(parsePolicyFile(`${RULES}  - ${entry}\n`, "p.yaml"));
  return row === undefined ? "" : `${row.actual}: ${row.why}`;
}

test("a flow is played through as a guest would: resolve, pin, connect, state the name", () => {
  const rows: [string, string][] = [
    ["allow tcp api.example.com:443", "allow: rule 0, allow@api.example.com:tcp:443"],
    ["allow tcp api.example.com:80", "deny: no rule matches"],
    ["allow tcp www.example.com:443", "deny: the name does not resolve: no rule allows it"],
    ["allow tcp 93.184.216.34:443", "deny: no rule matches"],
    ["allow udp a.cdn.test:443", "allow: rule 1"],
    ["allow icmpv4 a.cdn.test", "deny: no rule matches"],
    ["allow udp ads.cdn.test:443", "deny: the name does not resolve: ads.cdn.test is on a block"],
    ["allow udp x.trk.cdn.test:1", "deny: the name does not resolve: .trk.cdn.test is on a block"],
    ["{expect: allow, to: 'api.example.com:443', sni: other.test}", "deny: no rule matches"],
    ["{expect: allow, to: 'api.example.com:443', sni: false}", "allow: rule 0"],
    ["{expect: allow, to: 'api.example.com:443', address: '255.255.255.255'}", "deny: no rule"],
    ["{expect: allow, to: '203.0.113.7:443', sni: api.example.com}", "deny: no rule matches"],
    [
      "{expect: allow, to: '203.0.113.7:443', pins: [{name: api.example.com, address: 203.0.113.7}]}",
      "allow: rule 0",
    ],
    ["{expect: allow, direction: inbound, to: '192.168.1.5:80'}", "deny: rule 2"],
    ["{expect: allow, direction: inbound, to: '192.168.2.5:80'}", "allow: no rule matches"],
    ["{expect: allow, to: '192.168.127.1:8080', host: true}", "allow: rule 3"],
    ["{expect: allow, to: '192.168.127.1:8080'}", "deny: no rule matches"],
  ];
  for (const [entry, start] of rows) {
    expect([entry, outcome(entry).slice(0, start.length)]).toEqual([entry, start]);
  }
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
