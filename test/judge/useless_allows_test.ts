import { expect, test } from "bun:test";
import { NetworkBuilder } from "../../lib/api/network_builder.ts";
import { NetworkPolicy } from "../../lib/api/network_policy.ts";
import { parseCidr } from "../../lib/base/address.ts";
import { parseHostsFile } from "../../lib/dns/hosts_file.ts";
import { fileSnapshot } from "../../lib/judge/file_snapshot.ts";
import { uselessAllows } from "../../lib/judge/useless_allows.ts";
import { NameSet } from "../../lib/policy/model/name_set.ts";

const LINK = parseCidr("203.0.113.0/24");
const MACHINE = { addresses: ["203.0.113.9"], links: LINK === null ? [] : [LINK] };
const HOSTS = parseHostsFile("10.0.0.7 inside.example\n203.0.113.8 neighbour.example\n", "box");

/** Which of these options are of no use, where nothing else is said. */
function useless(
  rules: readonly string[],
  configure = (network: NetworkBuilder): NetworkBuilder => network,
): readonly string[] {
  const network = rules.reduce(
    (builder, text) => builder.rule(text),
    configure(new NetworkBuilder()),
  ).build();
  const snapshot = fileSnapshot(network, new NameSet(), MACHINE, HOSTS);
  return uselessAllows(snapshot, rules.length).map((index) => rules[index] ?? "");
}

test.each([
  "allow@example.com",
  "allow@example.com:tcp:443",
  "allow@.example.com",
  "allow@93.184.216.34",
  "allow@93.184.216.0/24:tcp:80,443",
  "allow@2606:4700::/32",
  "allow@8.8.8.8:udp:53",
  "allow@host:udp:53",
  "allow@host:tcp:53",
])("public-only lets pass without it: %s", (rule) => {
  expect(useless([rule])).toEqual([rule]);
});

test.each([
  "allow@any",
  "allow@0.0.0.0/0",
  "allow@private",
  "allow@10.0.0.5",
  "allow@host:tcp:8080",
  "allow@local-network",
  "allow@203.0.113.9",
  "allow@203.0.113.0/24:tcp:80",
  "allow@100.0.0.0/8",
  "allow@printer.local",
  "allow@inside.example",
  "allow@neighbour.example:tcp:80",
  "allow:inbound@any",
  "deny@example.com",
])("public-only does not, or it is no such rule: %s", (rule) => {
  expect(useless([rule])).toEqual([]);
});

test("what a later rule would deny is an exception, and one rule does not stand for another", () => {
  expect(useless(["allow@a.example", "deny@any"])).toEqual([]);
  expect(useless(["allow@a.example", "deny@.a.example"])).toEqual([]);
  expect(useless(["allow@93.184.216.34:tcp:443", "deny@93.184.216.0/24:tcp:1-1024"])).toEqual([]);
  expect(useless(["allow@10.0.0.5", "allow@10.0.0.5"])).toEqual([]);
  expect(useless(["deny@.b.example", "allow@a.example"])).toEqual(["allow@a.example"]);
  expect(useless(["allow@.b.example", "deny@a.b.example"])).toEqual([]);
  expect(useless(["allow@a.example", "allow@10.0.0.5"])).toEqual(["allow@a.example"]);
});

test("other settings have their say", () => {
  const rule = "allow@a.example";
  expect(useless([rule], (network) => network.dnsRebindProtection(false))).toEqual([]);
  expect(useless([rule], (network) => network.policy(NetworkPolicy.none()))).toEqual([]);
  expect(useless([rule], (network) => network.policy(NetworkPolicy.allowAll()))).toEqual([rule]);
  expect(useless(["allow@10.0.0.5"], (network) => network.policy(NetworkPolicy.allowAll())))
    .toEqual(["allow@10.0.0.5"]);
});
