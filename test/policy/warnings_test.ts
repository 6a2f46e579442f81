import { describe, expect, test } from "bun:test";
import { warnings } from "../../lib/policy/decide/warnings.ts";
import type { Action } from "../../lib/policy/model/policy.ts";
import { allowAll, none, publicOnly } from "../../lib/policy/model/presets.ts";
import { parseRule } from "../../lib/policy/text/grammar.ts";

/** `code rule<by` for each warning. */
function found(outbound: Action, ...lines: string[]): string[] {
  const rules = lines.map(parseRule);
  const policy = { ...allowAll(), rules, defaults: { outbound, inbound: outbound } };
  return warnings(policy).map(({ code, rule, by }) =>
    by === undefined ? `${code} ${rule}` : `${code} ${rule}<${by}`
  );
}

describe("warnings()", () => {
  const rows: [string, string[], string[]][] = [
    ["a rule behind one that covers it", ["deny@any", "allow@x.com"], ["shadowed 1<0"]],
    ["a name behind its suffix", ["deny@.x.com", "allow@a.x.com"], ["shadowed 1<0"]],
    ["a suffix behind a wider one", ["deny@.x.com", "allow@.a.x.com"], ["shadowed 1<0"]],
    ["a block behind a wider one", ["deny@10.0.0.0/8", "allow@10.9.9.9"], ["shadowed 1<0"]],
    ["a block behind its group", ["deny@private", "allow@10.9.9.9"], ["shadowed 1<0"]],
    ["the same rule twice", ["deny@private", "deny@private"], ["shadowed 1<0"]],
    ["ports behind ranges that join", ["deny@any:tcp:1-79,80-90", "allow@x.com:tcp:70-85"], [
      "shadowed 1<0",
    ]],
    ["a denied name behind an allowed port", ["allow@any:tcp:443", "deny@bad.test"], [
      "partly-shadowed 1<0",
    ]],
    ["denied groups behind an allowed port", ["allow@any:tcp:443", "deny@metadata"], [
      "partly-shadowed 1<0",
      "metadata-open 1<0",
    ]],
    ["an allow that happens to hold metadata", ["allow@link-local", "deny@metadata"], [
      "metadata-open 1<0",
    ]],
    ["an allowed block that holds metadata", ["allow@169.254.0.0/16", "deny@metadata"], [
      "metadata-open 1<0",
    ]],
    ["an allow of what is never dialled", ["allow@255.255.255.255"], ["never-matches 0"]],
    ["a deny of what is never dialled", ["deny@240.0.0.0/4", "allow:inbound@240.0.0.1"], []],
    ["the host denied before its resolver", ["deny@host"], ["dns-closed 0"]],
    ["a denied name behind its allowed suffix", ["allow@.x.com", "deny@a.x.com"], [
      "partly-shadowed 1<0",
    ]],
    ["a block behind a wider allow", ["allow@private", "deny@10.9.0.0/16"], ["shadowed 1<0"]],
    ["a multicast block behind its group", ["allow@multicast", "deny@ff02::/16"], ["shadowed 1<0"]],
    // What follows is meant.
    ["a hole in a later deny", ["allow@10.9.9.9", "deny@private"], []],
    ["an exact metadata address", ["allow@169.254.169.254", "deny@metadata"], []],
    ["a deny of one port before an allow", ["deny@any:tcp:25", "allow@.x.com"], []],
    ["multicast, which any does not open", ["allow@any", "deny@multicast"], []],
    ["multicast, which a wide block does not open", ["allow@0.0.0.0/0", "allow@224.0.0.0/24"], []],
    ["an address that may be the host's", ["allow@private", "allow@192.168.127.1"], []],
    ["other directions", ["deny:inbound@any", "allow@x.com"], []],
    ["other protocols", ["deny@any:udp", "allow@x.com:tcp"], []],
    ["other ports", ["deny@any:any:1-79,81-90", "allow@x.com:tcp:70-85"], []],
    ["look-alike names", ["deny@.x.com", "allow@ax.com"], []],
    ["an exception from the same destination", ["allow@host:udp,tcp:53", "deny@host"], []],
    ["the host without its resolver", ["deny@host:tcp,udp:1-52,54-65535"], []],
    ["an inbound deny of the host", ["deny:inbound@host"], []],
  ];
  for (const [title, rules, expected] of rows) {
    test(title, () => expect(found("allow", ...rules)).toEqual(expected));
  }

  test("an open resolver is a way out of a policy that denies by default", () => {
    expect(found("deny", "allow@x.com", "allow@any:udp:53")).toEqual(["dns-open 1"]);
    expect(found("deny", "allow@host:udp,tcp:53")).toEqual(["dns-open 0"]);
    expect(found("deny", "allow@any:tcp:443")).toEqual([]);
    expect(found("deny", "allow@8.8.8.8:udp:53")).toEqual([]);
  });

  test("says what happens, with both rules in full", () => {
    const policy = { ...allowAll(), rules: ["allow@any:tcp:443", "deny@bad.test"].map(parseRule) };
    expect(warnings(policy).map((each) => each.message)).toEqual([
      "rule 1 (deny@bad.test) is shadowed for tcp/443: rule 0 (allow@any:tcp:443) allows it first; " +
      "the name does not resolve, but its addresses are reachable",
    ]);
  });

  test("finds nothing wrong with the presets", () => {
    for (const policy of [allowAll(), none(), publicOnly()]) expect(warnings(policy)).toEqual([]);
  });
});
