import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { parseCidr } from "../../lib/base/address.ts";
import { SbxError } from "../../lib/base/errors.ts";
import type { Rule } from "../../lib/policy/model/policy.ts";
import {
  formatRule,
  parseRule,
  parseShortRule,
  parseTarget,
} from "../../lib/policy/text/grammar.ts";
import { anyRule } from "./random_policy.ts";

/** Message and hint of the error, as one text. */
function complaint(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (!(error instanceof SbxError)) throw error;
    expect(error.code).toBe("POLICY_INVALID");
    return `${error.message} | ${error.hint ?? ""}`;
  }
  throw new Error("nothing was refused");
}

const base: Rule = {
  action: "allow",
  direction: "outbound",
  destination: { kind: "any" },
  protocols: [],
  ports: [],
};
const domain = (name: string) => ({ kind: "domain", name }) as const;
const cidr = (block: string) => ({ kind: "cidr", cidr: block }) as const;

describe("parseRule()", () => {
  const rows: [string, Partial<Rule>][] = [
    ["allow@any", {}],
    ["deny@any", { action: "deny" }],
    ["allow:inbound@any", { direction: "inbound" }],
    ["allow:ingress@any", { direction: "inbound" }],
    ["allow:egress@any", {}],
    ["deny:both@any", { action: "deny", direction: "both" }],
    ["  allow@any\n", {}],
    ["allow@API.example.com.", { destination: domain("api.example.com") }],
    ["allow@bücher.example", { destination: domain("xn--bcher-kva.example") }],
    ["allow@intranet.", { destination: domain("intranet") }],
    ["allow@.example.com", { destination: { kind: "suffix", suffix: "example.com" } }],
    ["allow@*.example.com", { destination: { kind: "suffix", suffix: "example.com" } }],
    ["allow@link-local", { destination: { kind: "group", group: "link-local" } }],
    ["allow@Host", { destination: { kind: "group", group: "host" } }],
    ["allow@[2001:db8::1:443]", { destination: cidr("2001:db8::1:443/128") }],
    ["allow@2001:db8::1:443/128", { destination: cidr("2001:db8::1:443/128") }],
    ["allow@2606:4700:4700::1111", { destination: cidr("2606:4700:4700::1111/128") }],
    ["allow@2001:db8::1:84e5", { destination: cidr("2001:db8::1:84e5/128") }],
    ["allow@1:2:3:4:5:6:7:80", { destination: cidr("1:2:3:4:5:6:7:80/128") }],
    ["deny@10.0.0.0/8:icmpv6", {
      action: "deny",
      destination: cidr("10.0.0.0/8"),
      protocols: ["icmpv6"],
    }],
    ["allow@any:icmp,tcp:80", {
      protocols: ["icmpv4", "icmpv6", "tcp"],
      ports: [{ from: 80, to: 80 }],
    }],
    ["allow@10.0.0.5", { destination: cidr("10.0.0.5/32") }],
    ["allow@2001:db8::1", { destination: cidr("2001:db8::1/128") }],
    ["allow@::1", { destination: cidr("::1/128") }],
    ["allow@[2001:db8::/32]", { destination: cidr("2001:db8::/32") }],
    ["allow@[2001:db8::1]:udp", { destination: cidr("2001:db8::1/128"), protocols: ["udp"] }],
    ["allow@any:tcp", { protocols: ["tcp"] }],
    ["allow@any:tcp,udp", { protocols: ["tcp", "udp"] }],
    ["allow@any:icmp", { protocols: ["icmpv4", "icmpv6"] }],
    ["allow@any:any", {}],
    ["allow@any:any:53", { ports: [{ from: 53, to: 53 }] }],
    ["allow@any:tcp:443,8000-8010", {
      protocols: ["tcp"],
      ports: [{ from: 443, to: 443 }, { from: 8000, to: 8010 }],
    }],
  ];
  for (const [text, rule] of rows) {
    test(text, () => expect(parseRule(text)).toEqual({ ...base, ...rule }));
  }

  test("reads back what formatRule() writes", () => {
    fc.assert(fc.property(anyRule, (rule) => {
      const kept = { ...rule, protocols: [...rule.protocols] };
      if (kept.destination.kind === "cidr") {
        const block = parseCidr(kept.destination.cidr);
        expect(block?.text).toBe(kept.destination.cidr);
      }
      expect(parseRule(formatRule(kept))).toEqual(kept);
    }));
  });
});

test("a rule typed in the wrong order is answered with the right one", () => {
  const rows: [string, string][] = [
    ["api.x.com@allow", "write allow@api.x.com"],
    ["api.x.com:443@allow", "write allow@api.x.com:tcp:443"],
    ["allow api.x.com", "write allow@api.x.com"],
    ["allow tcp api.x.com 443", "write allow@api.x.com:tcp:443"],
    ["allow@api.x.com:443", "write allow@api.x.com:tcp:443"],
    ["allow@api.x.com:443:udp", "write allow@api.x.com:udp:443"],
    ["allow@tcp:api.x.com:443", "write allow@api.x.com:tcp:443"],
    ["tcp:443@api.x.com@deny", "write deny@api.x.com:tcp:443"],
    ["inbound:deny@private", "write deny:inbound@private"],
    ["[2001:db8::1]:443@deny", "write deny@[2001:db8::1]:tcp:443"],
    ["10.0.0.0/8 deny", "write deny@10.0.0.0/8"],
  ];
  for (const [text, hint] of rows) {
    expect(complaint(() => parseRule(text))).toBe(
      `Cannot read rule ${
        JSON.stringify(text)
      }: its parts are not in the order of a rule | ${hint}`,
    );
  }
});

test("what cannot be a rule is refused with the nearest thing that could", () => {
  const rows: [string, string][] = [
    ["", "write it like allow@api.example.com:tcp:443"],
    ["allow", "write it like"],
    ["alow@x.com", 'unknown action "alow" | did you mean allow?'],
    ["allow:inbond@x.com", 'unknown direction "inbond" | did you mean inbound?'],
    ["allow@", "the target is missing"],
    ["allow@privat", 'unknown group "privat" | did you mean private?'],
    ["allow@myhost", "for a name of one label write myhost."],
    ["allow@intranet", "for a name of one label write intranet."],
    ["allow@*", "write any"],
    ["allow@*.com", "whole top-level domain"],
    ["allow@.", "no domain suffix"],
    ["allow@api.*.com", "a star stands only in front"],
    ["allow@https://api.x.com/path", "name only the host: api.x.com"],
    ["allow@10.1/16", '"10.1/16" is no address or block'],
    ["allow@10.0.0.0/33", "no address or block"],
    ["allow@010.0.0.1", "no address or block"],
    ["allow@300.0.0.1", "no address or block"],
    ["allow@2001:db8::1:tcp:443", "put brackets around"],
    ["allow@[::1", "brackets"],
    ["allow@x.com:tpc", "did you mean tcp?"],
    ["allow@x.com:tcp:70000", "port 70000 is out of range"],
    ["allow@x.com:tcp:0", "port 0 is out of range"],
    ["allow@x.com:tcp:90-80", "write 80-90"],
    ["allow@x.com:tcp:http", '"http" is no port'],
    ["allow@a\u001b[2Jb.com", "\\u{1b}"],
    ["allow@10.0.0.1/8", "write 10.0.0.1/32 for the one address, or 10.0.0.0/8 for the block"],
    ["allow@[2001:db8::1/32]:tcp", "write 2001:db8::1/128 for the one address, or 2001:db8::/32"],
    ["allow@::ffff:10.0.0.1/104", "write 10.0.0.1/32 for the one address, or 10.0.0.0/8"],
    [
      "allow@2001:db8::1:443",
      "write [2001:db8::1]:any:443 for the port, or [2001:db8::1:443] for the address",
    ],
    ["allow@::1:80", "write [::1]:any:80 for the port, or [::1:80] for the address"],
    ["allow@any:icmp:80", "it can never match: icmp has no ports | leave the ports out"],
    ["deny@x.com:icmpv6:80-90", "it can never match: icmpv6 has no ports"],
    ["allow@10.0.0.1:icmpv6", "icmpv6 does not go to IPv4 addresses | name icmpv4"],
    ["deny@[2001:db8::1]:icmpv4", "icmpv4 does not go to IPv6 addresses | name icmpv6"],
  ];
  for (const [text, part] of rows) expect(complaint(() => parseRule(text))).toContain(part);
});

describe("parseShortRule()", () => {
  test("reads TARGET and TARGET:PORTS for any protocol", () => {
    const ports = [{ from: 443, to: 443 }];
    expect(parseShortRule("allow", "api.x.com:443"))
      .toEqual({ ...base, destination: domain("api.x.com"), ports });
    expect(parseShortRule("deny", "[2001:db8::1]:443"))
      .toEqual({ ...base, action: "deny", destination: cidr("2001:db8::1/128"), ports });
    expect(parseShortRule("deny", "2001:db8::1"))
      .toEqual({ ...base, action: "deny", destination: cidr("2001:db8::1/128") });
    expect(parseShortRule("allow", "host:8000-8010,9000").ports)
      .toEqual([{ from: 8000, to: 8010 }, { from: 9000, to: 9000 }]);
  });

  test("takes an IPv6 address that may be meant with a port for neither", () => {
    expect(complaint(() => parseShortRule("allow", "2001:db8::1:443"))).toEndWith(
      '"2001:db8::1:443" may be an address, or port 443 of another | ' +
        "write [2001:db8::1]:443 for the port, or [2001:db8::1:443] for the address",
    );
    const ports = [{ from: 443, to: 443 }];
    expect(parseShortRule("allow", "[2001:db8::1]:443"))
      .toEqual({ ...base, destination: cidr("2001:db8::1/128"), ports });
    expect(parseShortRule("allow", "[2001:db8::1:443]"))
      .toEqual({ ...base, destination: cidr("2001:db8::1:443/128") });
  });

  test("points to --rule for what it cannot say", () => {
    expect(complaint(() => parseShortRule("allow", "api.x.com:tcp:443")))
      .toEndWith("| use --rule 'allow@api.x.com:tcp:443'");
    expect(complaint(() => parseShortRule("allow", "api.x.com:443:tcp")))
      .toStartWith('Cannot read --allow "api.x.com:443:tcp"');
  });
});

test("parseTarget() reads a target and nothing else", () => {
  expect(parseTarget("*.x.com")).toEqual({ kind: "suffix", suffix: "x.com" });
  expect(parseTarget("[::1]")).toEqual(cidr("::1/128"));
  expect(complaint(() => parseTarget("x.com:443"))).toContain("more than a target");
});

test("only SbxError escapes, whatever the text", () => {
  const piece = fc.constantFrom(
    ..."@ : [ ] , - / . * allow deny inbound tcp icmp 443 any host x.com ::1 10.0.0.0/8 ü \0".split(
      " ",
    ),
    " ",
  );
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.array(piece).map((parts) => parts.join(""))), (text) => {
      for (const read of [parseRule, parseTarget, (t: string) => parseShortRule("deny", t)]) {
        try {
          read(text);
        } catch (error) {
          expect(error).toBeInstanceOf(SbxError);
        }
      }
    }),
    { numRuns: 2_000 },
  );
});
