import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { addressOf, type Cidr, cidrHas, parseAddress, parseCidr } from "../../lib/base/address.ts";
import { PrefixIndex } from "../../lib/policy/decide/prefix_index.ts";
import { NO_RULE, portMatches, protocolMatches, Scopes } from "../../lib/policy/decide/scopes.ts";
import { PROTOCOLS } from "../../lib/policy/model/ports.ts";
import { anyRule } from "./random_policy.ts";

describe("PrefixIndex", () => {
  /** Few distinct bits, so that prefixes nest and fork often. */
  const bytes = fc.array(fc.constantFrom(0, 0x80, 0xc0, 0xff), { minLength: 4, maxLength: 4 });
  const block = fc.tuple(bytes, fc.nat(32)).map(([octets, prefix]): Cidr => {
    const cidr = parseCidr(`${octets.join(".")}/${prefix}`);
    if (cidr === null) throw new TypeError("bad block");
    return cidr;
  });

  test("finds exactly the stored prefixes that cover an address", () => {
    fc.assert(fc.property(fc.array(block), bytes, fc.nat(32), (blocks, octets, least) => {
      const index = new PrefixIndex<string>();
      for (const each of blocks) expect(index.at(each, () => each.text)).toBe(each.text);
      const address = addressOf(Uint8Array.from(octets));
      const covering = blocks.filter((each) => each.prefix >= least && cidrHas(each, address));
      expect(index.covering(address.bytes, least).sort())
        .toEqual([...new Set(covering.map((each) => each.text))].sort());
    }));
  });

  test("tells apart IPv6 neighbours at the last bit", () => {
    const index = new PrefixIndex<string>();
    for (const text of ["2001:db8::/127", "2001:db8::/128", "2001:db8::1/128", "::/0"]) {
      const cidr = parseCidr(text);
      if (cidr !== null) index.at(cidr, () => text);
    }
    const at = (text: string) => index.covering(parseAddress(text)?.bytes ?? new Uint8Array(16));
    expect(at("2001:db8::")).toEqual(["::/0", "2001:db8::/127", "2001:db8::/128"]);
    expect(at("2001:db8::1")).toEqual(["::/0", "2001:db8::/127", "2001:db8::1/128"]);
    expect(at("2001:db8::2")).toEqual(["::/0"]);
  });
});

test("Scopes finds the first rule for a protocol and port, however many there are", () => {
  const port = fc.constantFrom(1, 21, 22, 53, 54, 443, 444, 8000, 65535, undefined);
  fc.assert(
    fc.property(
      fc.array(anyRule, { maxLength: 40, size: "max" }),
      fc.constantFrom(...PROTOCOLS),
      port,
      (rules, protocol, port) => {
        const scopes = new Scopes();
        rules.forEach((rule, index) => scopes.add(index, rule));
        const first = rules.findIndex((rule) =>
          protocolMatches(rule.protocols, protocol) && portMatches(rule.ports, port)
        );
        expect(scopes.first(protocol, port)).toBe(first < 0 ? NO_RULE : first);
        expect(scopes.lowest).toBe(rules.length === 0 ? NO_RULE : 0);
      },
    ),
    { numRuns: 1_000 },
  );
});
