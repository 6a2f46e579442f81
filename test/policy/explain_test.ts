import { expect, test } from "bun:test";
import { compilePolicy } from "../../lib/policy/decide/compile.ts";
import { explain, walkLines } from "../../lib/policy/decide/explain.ts";
import { explainName, nameWalkLines } from "../../lib/policy/decide/explain_name.ts";
import { parsePolicyFile } from "../../lib/policy/file/load.ts";
import { fixedPins } from "../../lib/policy/model/fixed_pins.ts";
import type { FlowQuery } from "../../lib/policy/model/policy.ts";

const { policy } = parsePolicyFile(
  `
default: deny
rules:
  - deny:inbound@any
  - allow@api.example.com:tcp:443
  - deny@.evil.test
  - allow@10.0.0.0/8:tcp
  - deny@private
`,
  "p.yaml",
);
const compiled = compilePolicy(policy);
const pins = fixedPins([{ name: "api.example.com", address: "93.184.216.34" }]);
const hosts = new Set(["10.0.0.1"]);

function lines(query: Partial<FlowQuery>): string[] {
  const flow = { direction: "outbound", protocol: "tcp", address: "", phase: "final" } as const;
  return walkLines(policy, explain(compiled, { ...flow, ...query }, pins, hosts));
}

test("a walk tells what each rule had to do with the flow", () => {
  expect(lines({ address: "93.184.216.34", port: 443, name: "other.test" })).toEqual([
    "outbound tcp 93.184.216.34:443 stating other.test",
    "  0  deny:inbound@any               no match: it is about inbound flows",
    "  1  allow@api.example.com:tcp:443  no match: the flow states other.test",
    "  2  deny@.evil.test                no match: the flow states other.test",
    "  3  allow@10.0.0.0/8:tcp           no match: 93.184.216.34 is not in 10.0.0.0/8",
    "  4  deny@private                   no match: 93.184.216.34 is not in group private",
    "deny: no rule matches, and outbound flows are denied by default",
  ]);
});

test("a walk ends at the first rule that matches for certain", () => {
  expect(lines({ address: "93.184.216.34", port: 443 }).slice(1)).toEqual([
    "  0  deny:inbound@any               no match: it is about inbound flows",
    "  1  allow@api.example.com:tcp:443  matches: api.example.com was resolved to 93.184.216.34, " +
    "and the flow states no name",
    "allow: rule 1, allow@api.example.com:tcp:443",
  ]);
});

test("a walk of an opening flow names the rules that wait for a name", () => {
  const walk = lines({ address: "93.184.216.34", port: 443, phase: "opening" });
  expect(walk[2]).toEndWith("may match: api.example.com was resolved to 93.184.216.34");
  expect(walk[3]).toEndWith("may match: the flow may state the name");
  expect(walk.at(-1)).toBe(
    "defer: rule 1, allow@api.example.com:tcp:443, depends on the name the flow states",
  );
});

test("a walk says why a special address is not opened", () => {
  expect(lines({ address: "10.0.0.1", port: 22 }).slice(-3)).toEqual([
    "  3  allow@10.0.0.0/8:tcp           no match: 10.0.0.1 is an address of the host, " +
    "which 10.0.0.0/8 does not open",
    "  4  deny@private                   matches: 10.0.0.1 is in group private",
    "deny: rule 4, deny@private",
  ]);
  expect(lines({ address: "64:ff9b::a00:5", port: 22 }).slice(-2)).toEqual([
    "  4  deny@private                   matches: 64:ff9b::a00:5 embeds 10.0.0.5, " +
    "which is in group private",
    "deny: rule 4, deny@private",
  ]);
  expect(lines({ address: "255.255.255.255", port: 9 }).at(-1))
    .toBe("deny: unroutable, nothing can be reached at this address");
});

test("a walk of a name tells which rules have a say", () => {
  const walk = explainName(compiled, { name: "x.evil.test", transport: "udp", port: 53 });
  expect(nameWalkLines(policy, walk)).toEqual([
    "resolve x.evil.test over udp",
    "  0  deny:inbound@any               no match: it is about inbound flows",
    "  1  allow@api.example.com:tcp:443  no match: it is not about x.evil.test",
    "  2  deny@.evil.test                matches: it is about x.evil.test",
    "refuse: rule 2 decides",
  ]);
});
