import { expect, test } from "bun:test";
import fc from "fast-check";
import { SbxError } from "../../lib/base/errors.ts";
import { parsePolicyFile } from "../../lib/policy/file/load.ts";
import { none } from "../../lib/policy/model/presets.ts";
import { spellPolicy } from "../../lib/policy/text/spell.ts";
import { anyPolicy } from "./random_policy.ts";

const YAML = `extends: public-only
default: {outbound: deny, inbound: allow}
rules:
  - allow@api.github.com:tcp:443
  - {action: deny, direction: both, destination: {suffix: .x.org}, protocol: [tcp], ports: [[1, 2], 3-4]}
dns: {block: [ads.example, "@l"], blockSuffix: [.t.com], servers: ["[2620:fe::fe]:53"], timeoutMs: 5}
expect:
  - allow tcp api.github.com:443
  - {expect: deny, to: "10.0.0.5:5432", sni: false, pins: [{name: x.org, address: "::1"}]}
`;

const JSON_TEXT = JSON.stringify(
  {
    default: "deny",
    rules: ["deny@[2001:db8::/32]:udp:1-5", { action: "allow", destination: { any: true } }],
    denyWith: "reject",
  },
  null,
  1,
);

const SHARDS = ["\0", "\n", "  ", "\t", "&a ", "*a", "!!x ", "<<: ", "? ", "- ", "{", "}", "[", "]"]
  .concat(['"', ":", "~", "null", "-1", "1e99", "0x1f", "ü", "\ud800", "__proto__", "constructor"]);

/** Cuts, doubles and overwrites pieces of a valid file. */
const mutation = fc.tuple(
  fc.constantFrom(YAML, JSON_TEXT),
  fc.array(fc.tuple(fc.nat(), fc.nat(40), fc.constantFrom("", ...SHARDS)), {
    minLength: 1,
    maxLength: 6,
  }),
).map(([text, edits]) =>
  edits.reduce((mutated, [where, length, shard]) => {
    const at = where % (mutated.length + 1);
    return mutated.slice(0, at) + shard + mutated.slice(at + (length < 20 ? 0 : length - 20));
  }, text)
);

test("a damaged file is refused with a place, or read; nothing else happens", () => {
  fc.assert(
    fc.property(mutation, fc.constantFrom("p.yaml", "p.json", "p"), (text, path) => {
      try {
        parsePolicyFile(text, path);
      } catch (error) {
        if (!(error instanceof SbxError)) throw error;
        expect(error.message).toMatch(
          /^Cannot load policy p[^:]*:[1-9][0-9]*:[1-9][0-9]*: [^\n]+$/,
        );
      }
    }),
    { numRuns: 4_000 },
  );
});

test("what `policy show` prints reads back to the same policy", () => {
  fc.assert(fc.property(anyPolicy, (policy) => {
    for (const form of ["lines", "objects"] as const) {
      const text = JSON.stringify(spellPolicy(policy, form));
      expect(parsePolicyFile(text, "p.json").policy).toEqual(policy);
      expect(parsePolicyFile(text, "p.yaml").policy).toEqual(policy);
    }
  }));
});

test("a policy without a network reads back too", () => {
  const text = JSON.stringify(spellPolicy(none()));
  expect(parsePolicyFile(text, "p.json").policy).toEqual(none());
});
