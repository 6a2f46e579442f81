/**
 * What a policy file is told of the right shape: each place has an example that is right, and what was meant is
 * written down where that can be told.
 */
import { expect, test } from "bun:test";
import type { SbxError } from "../../lib/base/errors.ts";
import { parsePolicyFile } from "../../lib/policy/file/load.ts";
import { policyJsonSchema } from "../../lib/policy/file/schema.ts";
import { EXAMPLES } from "../../lib/policy/file/written.ts";

interface Schema {
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly anyOf?: readonly Schema[];
  readonly items?: Schema;
  readonly prefixItems?: readonly Schema[];
}

/** Every place below one of the schema. */
function placesIn({ properties = {}, anyOf = [], items, prefixItems }: Schema, at = ""): string[] {
  return [
    ...(at === "" ? [] : [at]),
    ...Object.entries(properties).flatMap(([key, schema]) =>
      placesIn(schema, at === "" ? key : `${at}.${key}`)
    ),
    ...anyOf.flatMap((schema) => placesIn(schema, at)),
    ...(items === undefined && prefixItems === undefined ? [] : placesIn(items ?? {}, `${at}[]`)),
  ];
}

/** What has to stand beside a key for an entry to be whole. */
const BESIDE: Readonly<Record<string, string>> = {
  "rules[]": "{ action: allow, destination: { any: true } }",
  "rules[].destination": "{}",
  "secrets[]": "{ name: KEY, hosts: [api.example.com] }",
  "secrets[].tokens": "{ path: /oauth/token }",
  "expect[]": '{ expect: deny, to: "api.example.com:443" }',
  "expect[].pins[]": "{ name: a.example, address: 203.0.113.7 }",
  default: "{ outbound: deny, inbound: deny }",
  tls: "{ intercept: true }",
  "tls.authority": "{ cert: a, key: b }",
};

/** A file in which the example stands at its place. */
function fileWith(place: string, example: string): string {
  const steps = place.match(/\[\]|[^.[\]]+/g) ?? [];
  let text = example;
  for (let end = steps.length; end > 0; end--) {
    const step = steps[end - 1] ?? "";
    const around = steps.slice(0, end - 1).join(".").replaceAll(".[]", "[]");
    if (step === "[]") {
      text = /ports\[\]\[\]/.test(place) && end === steps.length ? `[${text}, 8010]` : `[${text}]`;
    } else {
      const beside = (BESIDE[around] ?? "{}").replace(/^\{ ?| ?\}$/g, "")
        .split(/, (?=\w+:)/).filter((field) => field !== "" && !field.startsWith(`${step}:`));
      text = end === 1 ? `${step}: ${text}` : `{ ${[...beside, `${step}: ${text}`].join(", ")} }`;
    }
  }
  return place.startsWith("default") || place === "extends" ? text : `default: deny\n${text}\n`;
}

test("every place of a policy file has an example, and every example is right in its place", () => {
  const places = new Set(placesIn(policyJsonSchema()));
  places.delete("$schema");
  expect([...places].filter((place) => !Object.hasOwn(EXAMPLES, place))).toEqual([]);
  expect(Object.keys(EXAMPLES).filter((place) => !places.has(place))).toEqual([]);
  for (const [place, example] of Object.entries(EXAMPLES)) {
    // Of a pair of keys nothing is sent, so that fields and places would be wrong beside it.
    const text = fileWith(place, example);
    try {
      parsePolicyFile(text, "p.yaml");
    } catch (error) {
      throw new Error(`${place}: ${(error as Error).message}\n${text}`);
    }
  }
});

function hintOf(text: string, path = "p.yaml"): string | undefined {
  try {
    parsePolicyFile(text, path);
  } catch (error) {
    return (error as SbxError).hint;
  }
  return "none: it was read";
}

test.each([
  ["rules: allow@a.com", "write rules: [allow@a.com], or - allow@a.com in a line below"],
  ['rules: "* a"', 'write rules: ["* a"], or - "* a" in a line below'],
  ["rules:\n  allow: a.com", "write it like rules: [allow@api.example.com:tcp:443]"],
  ["rules:", "write it like rules: [allow@api.example.com:tcp:443]"],
  ["rules: [5]", "write it like - allow@api.example.com:tcp:443"],
  ["rules:\n  - allow: a.com", "write - allow@a.com"],
  ["rules:\n  - deny: 10.0.0.0/8:tcp:22", "write - deny@10.0.0.0/8:tcp:22"],
  ["rules:\n  - allow@a.com: tcp:443", "write - allow@a.com:tcp:443"],
  ["rules:\n  - alow: a.com", "use one of action, destination, direction, protocol, ports"],
  ["rules: [{action: allow, destination: a.com}]", "write destination: { domain: a.com }"],
  ["rules: [{action: allow, destination: '*.a.com'}]", "write destination: { suffix: .a.com }"],
  ["rules: [{action: allow, destination: private}]", "write destination: { group: private }"],
  ["rules: [{action: allow, destination: 10.0.0.1}]", "write destination: { cidr: 10.0.0.1/32 }"],
  [
    "rules: [{action: allow, destination: 'a b'}]",
    "write it like destination: { domain: api.example.com }",
  ],
  ["rules: [{action: [allow], destination: {any: true}}]", "write it like action: allow"],
  [
    "rules: [{action: allow, destination: {any: true}, ports: {from: 1}}]",
    "write it like ports: [443, 8000-8010]",
  ],
  [
    "expect: allow tcp a.com:443",
    'write expect: ["allow tcp a.com:443"], or - "allow tcp a.com:443" in a line below',
  ],
  ["expect:\n  - allow: tcp a.com:443", "write - allow tcp a.com:443"],
  ["tls: true", "write tls: { intercept: true }"],
  ["tls: strict", "write it like tls: { intercept: true }"],
  ["dns: {servers: 9.9.9.9}", "write servers: [9.9.9.9], or - 9.9.9.9 in a line below"],
  ["dns: []", "write it like dns: { block: [ads.example] }"],
  ["maxConnections: many", "write it like maxConnections: 500"],
  ["secrets: hunter2", "write it like secrets: [GITHUB_TOKEN@api.github.com]"],
  ["secrets: [{name: A, hosts: hunter2}]", "write it like hosts: [api.example.com]"],
  ["rules: [*.a.com]", 'put quotes around what begins with a star: "*.example.com"'],
])("%j is answered with the right shape", (text, hint) => {
  expect(hintOf(`default: deny\n${text}\n`)).toBe(hint);
});

test("a file that is no mapping is told how one begins", () => {
  expect(hintOf("- allow@a.com\n")).toBe("put the list behind rules:, and default: deny beside it");
  for (const text of ["", "hunter2\n", "5\n"]) {
    expect(hintOf(text)).toBe(
      "begin with default: deny, and rules: with a rule behind each dash below it",
    );
  }
});

test("an alias of nothing is told at its place, and one of something is read", () => {
  expect(() => parsePolicyFile("default: deny\nrules:\n  - *.a.com\n", "p.yaml"))
    .toThrow("p.yaml:3:5: it is not YAML: Unresolved alias");
  const text = "default: deny\nrules:\n  - &web allow@a.com\n  - *web\n";
  expect(parsePolicyFile(text, "p.yaml").policy.rules.length).toBe(2);
});

test("who writes an address of the web is told that rules see hosts", () => {
  const seen =
    "rules see hosts, and nothing of what is asked of them; name only the host: a.example.com";
  const rows = [
    ["allow@https://a.example.com/x?y", '"https://a.example.com/x?y" is a URL', seen],
    ["allow@https://a.example.com:8443/x", "is a URL", seen],
    ["allow@a.example.com/x", '"a.example.com/x" has a path', seen],
    ["allow@a.example.com?q", "has a path", seen],
    ["allow@https://a.example.com/", "is a URL", "name only the host: a.example.com"],
    ["allow@https://a.example.com", "is a URL", "name only the host: a.example.com"],
    ["allow@10.0.0/8", "is no address or block", "write it in full"],
    ["allow@10.0.0.0/33", "is no address or block", "write it in full"],
    ["allow@a.example.com/8:tcp:443", "has a path", seen],
  ] as const;
  for (const [rule, state, hint] of rows) {
    const read = () => parsePolicyFile(`default: deny\nrules: ["${rule}"]\n`, "p.yaml");
    expect(read).toThrow(state);
    expect([rule, hintOf(`default: deny\nrules: ["${rule}"]\n`)]).toEqual([
      rule,
      expect.stringContaining(hint),
    ]);
  }
  const spelled =
    'default: deny\nrules: [{action: allow, destination: {domain: "a.example.com/x"}}]\n';
  expect(hintOf(spelled)).toBe(seen);
  expect(hintOf('default: deny\ndns: {block: ["https://a.example.com/x"]}\n')).toBe(seen);
});

test("a list knows the place that names it, in either form of the file", () => {
  const places = (text: string, path: string) =>
    parsePolicyFile(text, path).dns.blockLists.map(({ place }) => place);
  expect(
    places(
      'default: deny\ndns:\n  block:\n    - a.com\n    - "@x.txt"\n  blockSuffix: ["@y.txt"]\n',
      "p.yaml",
    ),
  )
    .toEqual(["p.yaml:5:7", "p.yaml:6:17"]);
  expect(places('{"default": "deny",\n "dns": {"block": ["@x.txt"]}}', "p.json")).toEqual([
    "p.json:2:20",
  ]);
});
