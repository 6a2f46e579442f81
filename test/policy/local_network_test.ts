/** What belongs to this machine beside its addresses: its networks, and its loopback behind the gateway. */
import { describe, expect, test } from "bun:test";
import { addressOf, parseAddress, parseCidr } from "../../lib/base/address.ts";
import { gatewaysOf, LINK } from "../../lib/base/link.ts";
import { isWithheld } from "../../lib/dns/filter.ts";
import { runExpectations } from "../../lib/judge/expectations.ts";
import { judgeNamed } from "../../lib/judge/named.ts";
import { judgeOpening } from "../../lib/judge/opening.ts";
import { type Snapshot, snapshotOf } from "../../lib/judge/snapshot.ts";
import { explain } from "../../lib/policy/decide/explain.ts";
import { warnings } from "../../lib/policy/decide/warnings.ts";
import { parsePolicyFile } from "../../lib/policy/file/load.ts";
import { fixedPins } from "../../lib/policy/model/fixed_pins.ts";
import type { FlowQuery, Policy } from "../../lib/policy/model/policy.ts";
import { parseFlow } from "../../lib/policy/text/flow_text.ts";

const ADDRESSES = ["151.101.9.2", "2606:4700:9::2"];
const HOSTS = new Set([...gatewaysOf(LINK), ...ADDRESSES]);
const LINKS = ["151.101.9.0/24", "2606:4700:9::/64", "192.168.1.0/24"]
  .flatMap((text) => parseCidr(text) ?? []);
const PINS = fixedPins([{ name: "near.test", address: "151.101.9.7" }]);

function policyOf(text: string): Policy {
  return parsePolicyFile(text, "p.yaml").policy;
}

function snapshotUnder(text: string): Snapshot {
  return snapshotOf({ policy: policyOf(text) }, { addresses: ADDRESSES, links: LINKS }, PINS);
}

/** What the judge says at the opening, what it says when it judges again, and what `explain` says. */
function rulings(policy: string, flow: string, more: Partial<FlowQuery> = {}): string[] {
  const { protocol, host, port = 0 } = parseFlow(flow);
  if (host.kind !== "address") throw new TypeError("flows go to addresses");
  const snapshot = snapshotUnder(policy);
  const inbound = more.direction === "inbound";
  const info = {
    proto: protocol,
    dir: inbound ? "inbound" as const : "outbound" as const,
    src: inbound ? host.address : "192.168.127.2",
    sport: 4000,
    dst: inbound ? "192.168.127.2" : host.address,
    dport: port,
  };
  const query: FlowQuery = {
    direction: info.dir,
    protocol,
    address: host.address,
    ...(protocol === "tcp" || protocol === "udp" ? { port } : {}),
    phase: "final",
  };
  const walk = explain(snapshot.compiled, query, PINS, HOSTS, snapshot);
  const text = ({ action, reason, rule }: { action: string; reason: string; rule?: number }) =>
    rule === undefined ? `${action} ${reason}` : `${action} ${reason} ${rule}`;
  if (walk.verdict.rule !== undefined) {
    expect(walk.steps.at(-1)).toMatchObject({ rule: walk.verdict.rule, outcome: "match" });
  }
  return [judgeOpening(snapshot, info), judgeNamed(snapshot, info, undefined), walk.verdict].map(
    text,
  );
}

const open = (...rules: string[]) => `{default: allow, rules: [${rules.map((r) => `"${r}"`)}]}`;
const closed = (...rules: string[]) => `{default: deny, rules: [${rules.map((r) => `"${r}"`)}]}`;
const publicOnly = (...rules: string[]) =>
  `{extends: public-only, rules: [${rules.map((r) => `"${r}"`)}]}`;

describe("group local-network", () => {
  const rows: [string, string, string][] = [
    [publicOnly(), "tcp 151.101.9.7:443", "deny rule 6"],
    [publicOnly(), "udp [2606:4700:9::7]:7", "deny rule 6"],
    [publicOnly(), "icmpv4 151.101.9.7", "deny rule 6"],
    // What has a name of its own is refused by it.
    [publicOnly(), "tcp 192.168.1.7:443", "deny rule 1"],
    [publicOnly(), "tcp 151.101.9.2:443", "deny rule 4"],
    [publicOnly(), "tcp 151.101.10.7:443", "allow default"],
    // 6to4 and NAT64 spellings of 151.101.9.7.
    [publicOnly(), "tcp [2002:9765:907::1]:443", "deny rule 6"],
    [publicOnly(), "tcp [64:ff9b::9765:907]:443", "deny rule 6"],
    [publicOnly("allow@local-network"), "tcp 151.101.9.7:443", "allow rule 0"],
    [publicOnly("allow@local-network:tcp:443"), "tcp 151.101.9.7:80", "deny rule 7"],
    [publicOnly("allow@151.101.9.7:any:443"), "tcp 151.101.9.7:443", "allow rule 0"],
    // The host is in its own network, and still has to be named.
    [publicOnly("allow@local-network"), "tcp 151.101.9.2:443", "deny rule 5"],
    [closed("allow@local-network"), "tcp 151.101.9.2:443", "deny host"],
    [closed("allow@local-network"), "tcp 192.168.1.7:443", "allow rule 0"],
    [closed("allow@local-network"), "tcp [64:ff9b::9765:907]:443", "deny default"],
    [open(), "tcp 151.101.9.7:443", "allow default"],
  ];
  test.each(rows)("%s: %s is %s", (policy, flow, want) => {
    expect(rulings(policy, flow)).toEqual([want, want, want]);
  });

  test("takes in peers of published ports", () => {
    const policy =
      "{default: {outbound: deny, inbound: deny}, rules: ['allow:inbound@local-network']}";
    const want = "allow rule 0";
    expect(rulings(policy, "tcp 192.168.1.7:80", { direction: "inbound" })).toEqual([
      want,
      want,
      want,
    ]);
    expect(rulings(policy, "tcp 192.168.2.7:80", { direction: "inbound" })[0]).toBe("deny default");
  });

  test("says nothing about names, covers nothing for certain, and is read back as written", () => {
    expect(warnings(policyOf(open("allow@local-network", "deny@151.101.9.7", "deny@private"))))
      .toEqual([]);
    const [rule] = policyOf(open("deny@LOCAL-NETWORK")).rules;
    expect(rule?.destination).toEqual({ kind: "group", group: "local-network" });
  });

  test("answers that point into it are withheld, unless a rule about addresses opens it", () => {
    const near = parseAddress("2606:4700:9::7") ?? addressOf(new Uint8Array(4));
    expect(isWithheld(snapshotUnder(open()), near)).toBe(true);
    expect(isWithheld(snapshotUnder(open("allow@any")), near)).toBe(true);
    expect(isWithheld(snapshotUnder(open("allow@local-network")), near)).toBe(false);
    expect(isWithheld(snapshotUnder(open("allow@2606:4700:9::/64")), near)).toBe(false);
    expect(isWithheld(snapshotUnder(open("deny@local-network", "allow@2606:4700:9::/64")), near))
      .toBe(
        true,
      );
    const own = parseAddress("151.101.9.2") ?? addressOf(new Uint8Array(4));
    expect(isWithheld(snapshotUnder(open("allow@local-network")), own)).toBe(true);
  });
});

describe("the gateway, which is dialled at this machine's loopback", () => {
  const rows: [string, string, string][] = [
    [open("deny@loopback"), "tcp 192.168.127.1:5432", "deny rule 0"],
    [open("deny@loopback"), "udp [fd73:6278::1]:5432", "deny rule 0"],
    [open("deny@loopback"), "tcp [fe80::1]:5432", "deny rule 0"],
    [open("deny@127.0.0.0/8"), "tcp 192.168.127.1:5432", "deny rule 0"],
    [open("deny@::1"), "tcp 192.168.127.1:5432", "allow default"],
    [open("deny@::1"), "tcp [fd73:6278::1]:5432", "deny rule 0"],
    [open("deny@127.0.0.1:tcp:5432"), "tcp 192.168.127.1:5432", "deny rule 0"],
    [open("deny@127.0.0.1:tcp:5432"), "tcp 192.168.127.1:5433", "allow default"],
    // A deny that stands behind the rule that allows has no say.
    [open("allow@host:tcp:5432", "deny@loopback"), "tcp 192.168.127.1:5432", "allow rule 0"],
    [open("allow@host:tcp:5432", "deny@loopback"), "tcp 192.168.127.1:5433", "deny rule 1"],
    [closed("deny@loopback", "allow@any"), "tcp 192.168.127.1:5432", "deny rule 0"],
    [closed("allow@host"), "tcp 192.168.127.1:5432", "allow rule 0"],
    [open("deny@loopback"), "tcp 151.101.9.2:5432", "allow default"],
    [open(), "tcp 192.168.127.1:5432", "allow default"],
    // An allow matches only what it says.
    [closed("allow@loopback"), "tcp 192.168.127.1:5432", "deny host"],
  ];
  test.each(rows)("%s: %s is %s", (policy, flow, want) => {
    expect(rulings(policy, flow)).toEqual([want, want, want]);
  });

  test("is simulated as it is judged", () => {
    const file = parsePolicyFile(
      `
default: allow
rules: [deny@loopback, deny@local-network]
expect:
  - deny tcp 192.168.127.1:5432
  - { expect: deny, to: "151.101.9.7:443", localNetwork: true }
  - allow tcp 151.101.9.7:443
`,
      "p.yaml",
    );
    expect(runExpectations(file).map(({ passed }) => passed))
      .toEqual([true, true, true]);
  });
});
