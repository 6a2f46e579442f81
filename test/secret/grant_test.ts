import { describe, expect, test } from "bun:test";
import { inspect } from "node:util";
import {
  type Denial,
  grants,
  grantsOf,
  type Overrides,
  type RequestFacts,
} from "../../lib/secret/grant.ts";
import type { Secret } from "../../lib/policy/model/secret.ts";
import { random } from "../support/random.ts";
import { API, held, TRUSTED } from "./held.ts";

const REAL = "real-value-of-the-key";

const NARROW: Partial<Secret> = { methods: ["GET", "POST"], pathPrefix: "/v1" };
const FITTING: RequestFacts = { ...TRUSTED, path: "/v1/models" };

/** What else a request states. */
function meant(overrides: Partial<Overrides>): Partial<RequestFacts> {
  return { overrides: () => ({ methods: [], paths: [], ...overrides }) };
}

function verdict(changes: Partial<RequestFacts>, secret: Partial<Secret> = NARROW) {
  const result = grants(held(REAL, secret), { ...FITTING, ...changes });
  return result.granted ? result.grant.reveal() : result.why;
}

test("with every condition true the value is granted", () => {
  expect(verdict({})).toBe(REAL);
  expect(verdict({}, {})).toBe(REAL);
  const others = { methods: ["POST"], paths: ["/v1/x"] };
  expect(verdict(meant(others))).toBe(REAL);
  expect(verdict(meant({ methods: ["DELETE"], paths: ["/v2"] }), {})).toBe(REAL);
  expect(verdict({ sni: `a.b${API}`, authority: `a.b${API}` }, { hosts: [".allowed.test"] }))
    .toBe(REAL);
});

test.each<[string, Partial<RequestFacts>, Denial]>([
  ["verified", { verified: false }, "unverified"],
  ["pinned", { pinned: false }, "unpinned"],
  ["named", { sni: null }, "no-name"],
  ["named at all", { sni: "", authority: "" }, "no-name"],
  ["for the host of its session", { authority: "other.allowed.test" }, "host-mismatch"],
  ["in the session of its host", { sni: "other.allowed.test" }, "host-mismatch"],
  ["to a host of the secret", { sni: "evil.test", authority: "evil.test" }, "foreign-host"],
  ["to a name", { sni: "93.184.216.34", authority: "93.184.216.34" }, "foreign-host"],
  ["of a method of the secret", { method: "DELETE" }, "method"],
  ["of a method in its case", { method: "get" }, "method"],
  ["below the path of the secret", { path: "/v2/models" }, "path"],
  ["of a method of the secret to every server", meant({ methods: ["POST", "DELETE"] }), "method"],
  ["below its path to every server", meant({ paths: ["/v1/models", "/v2"] }), "path"],
])("a request that is not %s gets nothing", (_, changes, why) => {
  expect(verdict(changes)).toBe(why);
});

test("of all combinations of conditions, one gets the value", () => {
  const conditions: readonly Partial<RequestFacts>[] = [
    { verified: false },
    { pinned: false },
    { authority: "evil.test" },
    { method: "PUT" },
    { path: "/" },
  ];
  for (let mask = 0; mask < 1 << conditions.length; mask++) {
    const broken = conditions.filter((_, bit) => (mask >> bit & 1) === 1);
    expect(verdict(Object.assign({}, ...broken)) === REAL).toBe(mask === 0);
  }
});

test("what is not known is not so", () => {
  const keys = ["verified", "pinned", "sni", "authority", "method", "path"] as const;
  for (const key of keys) {
    for (const value of [undefined, null, 0, 1, "yes", {}, []]) {
      const facts = { ...FITTING, [key]: value } as unknown as RequestFacts;
      expect(grants(held(REAL, NARROW), facts).granted).toBe(false);
    }
    const { [key]: _, ...rest } = FITTING;
    expect(grants(held(REAL, NARROW), rest as unknown as RequestFacts).granted).toBe(false);
  }
});

describe("a path is below the prefix", () => {
  test.each([
    ["/v1", "/v1"],
    ["/v1", "/v1/"],
    ["/v1", "/v1/models/a.b/..c/c.."],
    ["/v1", "/v1/a%20b/%e4"],
    ["/v1", "/v1/%c3%a4/%e2%80%a6/.a%20b/%ef%bc%a1"],
    ["/v1/", "/v1/models"],
    ["/", "/anything"],
    ["/repos/me/x", "/repos/me/x"],
  ])("%s: %s", (pathPrefix, path) => {
    expect(verdict({ path }, { pathPrefix })).toBe(REAL);
  });

  test.each([
    ["/v1", "/v10"],
    ["/v1", "/v"],
    ["/v1", "/V1/models"],
    ["/v1", ""],
    ["/v1", "*"],
    ["/v1", "//v1/models"],
    ["/v1", "/%761/models"],
    ["/v1/", "/v1"],
    ["/v1", "/v1/../admin"],
    ["/v1", "/v1/.."],
    ["/v1", "/v1/./../admin"],
    ["/v1", "/v1/..;/admin"],
    ["/v1", "/v1/..;x=y/admin"],
    ["/v1", "/v1/%2e%2e/admin"],
    ["/v1", "/v1/.%2E/admin"],
    ["/v1", "/v1/%252e%252e/admin"],
    ["/v1", "/v1/x%2f..%2fadmin"],
    ["/v1", "/v1/..\\admin"],
    ["/v1", "/v1%5c..%5cadmin"],
    ["/v1", "/v1/%c0%ae%c0%ae/admin"],
    ["/v1", "/v1/%e0%80%ae%E0%80%AE/admin"],
    ["/v1", "/v1/x%f0%80%80%af..%f0%80%80%afadmin"],
    ["/v1", "/v1/%u002e%u002e/admin"],
    ["/v1", "/v1/%U002E./admin"],
    ["/v1", "/v1/%ef%bc%8e%ef%bc%8e/admin"],
    ["/v1", "/v1/x%EF%BC%8F..%ef%bc%bcadmin"],
    ["/v1", "/v1/%e2%80%a4%e2%80%a4/admin"],
    ["/v1", "/v1/%e2%80%a5/admin"],
    ["/v1", "/v1/x%e2%88%95..%e2%81%84admin"],
    ["/v1", "/v1/..%20/admin"],
    ["/v1", "/v1/..%3b/admin"],
    ["/v1", "/v1/\xc0\xae\xc0\xae/admin"],
    ["/v1", "/v1/x\xef\xbc\x8fadmin"],
    ["/v1", "/v1/x%00"],
    ["/v1", "/v1/x y"],
    ["/", "/../etc"],
  ])("%s, and not %s", (pathPrefix, path) => {
    expect(verdict({ path }, { pathPrefix })).toBe("path");
    // Where a secret is not bound to a path, how it is spelt is the server's business.
    expect(verdict({ path }, {})).toBe(REAL);
  });
});

test("random names never get the value of another host", () => {
  const { pick, below } = random(3);
  const parts = ["api", "allowed", "test", "evil", "", ".", "*", "API", "allowed.test", "com"];
  for (let round = 0; round < 5_000; round++) {
    const name = Array.from({ length: 1 + below(4) }, () => pick(parts)).join(pick([".", ""]));
    const host = pick([API, ".allowed.test"]);
    const isHost = host === API
      ? name === API
      : name === "allowed.test" || name.endsWith(".allowed.test");
    const got = verdict({ sni: name, authority: name }, { hosts: [host] }) === REAL;
    expect(got).toBe(isHost);
  }
}, 60_000);

test("of several secrets a request gets those that are for it", () => {
  const all = [
    held("one", { name: "A" }),
    held("two", { name: "B", hosts: ["other.test"] }),
    held("three", { name: "C", methods: ["PUT"] }),
    held("four", { name: "D", hosts: [".allowed.test"] }),
  ];
  expect(grantsOf(all, TRUSTED).map((grant) => grant.reveal())).toEqual(["one", "four"]);
  expect(grantsOf(all, { ...TRUSTED, verified: false })).toEqual([]);
  expect(grantsOf([], TRUSTED)).toEqual([]);
});

test("a grant shows nothing of its value, and nothing else passes for one", () => {
  const result = grants(held(REAL), TRUSTED);
  if (!result.granted) throw new Error(result.why);
  for (const text of [inspect(result, { depth: 9, showHidden: true }), JSON.stringify(result)]) {
    expect(text).not.toContain(REAL);
  }
  const copy = Object.create(Object.getPrototypeOf(result.grant)) as typeof result.grant;
  expect(() => copy.reveal()).toThrow(TypeError);
});
