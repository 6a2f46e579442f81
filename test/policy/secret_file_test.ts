/**
 * Secrets in a policy file: where they may stand wrong, and that no complaint repeats what may be a value.
 */
import { describe, expect, test } from "bun:test";
import { SbxError } from "../../lib/base/errors.ts";
import { parsePolicyFile } from "../../lib/policy/file/load.ts";

const VALUE = "sk-1234567890";

function read(secrets: unknown, more: object = {}) {
  const text = JSON.stringify({ default: "allow", secrets, ...more });
  return parsePolicyFile(text, "conf/policy.json").secrets;
}

function complaint(secrets: unknown, more: object = {}): string {
  try {
    read(secrets, more);
  } catch (error) {
    if (!(error instanceof SbxError)) throw error;
    expect(error.code).toBe("POLICY_INVALID");
    return `${
      error.message.replace(/^Cannot load policy conf\/policy\.json:1:\d+: /, "")
    } (${error.hint})`;
  }
  throw new Error("it was read");
}

const entry = (more: object) => [{ name: "KEY", hosts: ["a.example.com"], ...more }];

test("a file without secrets has none, and the usual answer to violations", () => {
  const { secrets } = parsePolicyFile("default: allow", "policy.yaml");
  expect(secrets).toEqual({ secrets: [], onViolation: "block" });
  expect(read([], { onSecretViolation: "block-and-log" }).onViolation).toBe("block-and-log");
});

test.each([
  ["run/key", "conf/run/key"],
  ["../key", "key"],
  ["/run/key", "/run/key"],
  ["~/key", "~/key"],
  ["~other/key", "conf/~other/key"],
])("a value's file %s is found as %s", (path, found) => {
  const { secrets } = read([`A=file:${path}@a.example.com`, {
    name: "B",
    hosts: ["a.example.com"],
    source: `file:${path}`,
  }]);
  expect(secrets.map(({ source }) => source)).toEqual([
    { kind: "file", path: found },
    { kind: "file", path: found },
  ]);
});

test.each<[string, unknown, string]>([
  [
    "a key too many",
    entry({ value: VALUE }),
    'unknown key "value" (use one of name, hosts, source, ',
  ],
  ["a mistyped key", entry({ sources: "env:K" }), 'unknown key "sources" (did you mean source?)'],
  ["no host", [{ name: "KEY" }], 'the key "hosts" is missing (add hosts)'],
  ["an empty list of hosts", [{ name: "KEY", hosts: [] }], "the list is empty"],
  ["an unknown place", entry({ places: ["cookie"] }), 'unknown places "cookie"'],
  ["two of one name", ["A@a.example.com", ...entry({ name: "A" })], "A is declared twice"],
  ["a needed name", ["HOME@a.example.com"], "programs in the guest need the variable HOME"],
  ["a text for a list", "A@a.example.com", "a text stands where a list is expected"],
])("%s is refused", (_what, secrets, words) => {
  expect(complaint(secrets)).toStartWith(words);
});

test("an unknown action is refused", () => {
  expect(complaint([], { onSecretViolation: "log" }))
    .toBe('unknown onSecretViolation "log" (use one of block, block-and-log, block-and-terminate)');
});

describe("no complaint repeats", () => {
  test.each<[string, unknown]>([
    ["a value in the place of a source", [`KEY=${VALUE}@a.example.com`]],
    ["one with its hosts forgotten", [`KEY=${VALUE}`]],
    ["one without a name", [VALUE]],
    ["one in the place of the name", [{ name: VALUE, hosts: ["a.example.com"] }]],
    ["one spelled out", entry({ source: VALUE })],
    ["one in a list", entry({ source: [VALUE] })],
    ["one in a mapping", entry({ source: { value: VALUE } })],
    ["a number", entry({ source: 1234567890 })],
    ["one for the whole list", VALUE],
    ["a number for an entry", [1234567890]],
    ["one in the place of a switch", entry({ exclusive: VALUE })],
    ["one in the place of a list", entry({ methods: VALUE })],
  ])("%s", (_what, secrets) => {
    expect(complaint(secrets)).not.toContain("1234567890");
  });
});
