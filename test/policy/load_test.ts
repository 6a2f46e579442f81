import { describe, expect, test } from "bun:test";
import { SbxError } from "../../lib/base/errors.ts";
import { parsePolicyFile } from "../../lib/policy/file/load.ts";
import { publicOnly } from "../../lib/policy/model/presets.ts";
import { parseRule } from "../../lib/policy/text/grammar.ts";

/** What stands after "Cannot load policy ", with the hint. */
function complaint(text: string, path = "p.yaml"): string {
  try {
    parsePolicyFile(text, path);
  } catch (error) {
    if (!(error instanceof SbxError)) throw error;
    expect(error.code).toBe("POLICY_INVALID");
    expect(error.message).toStartWith("Cannot load policy ");
    return `${error.message.slice("Cannot load policy ".length)} | ${error.hint ?? ""}`;
  }
  throw new Error("nothing was refused");
}

const FULL = `
default: deny                        # or {outbound: deny, inbound: allow}
rules:                               # first match wins
  - allow@api.github.com:tcp:443
  - {action: allow, destination: {suffix: .npmjs.org}, protocol: tcp, ports: [443, 8000-8010]}
  - deny@private
denyWith: reject
dns:
  block: [ads.example, .beacons.example, "@lists/ads.txt"]
  blockSuffix: [.tracking.com, "@/etc/trackers"]
  rebindProtection: false
  blockDoh: true
  servers: [9.9.9.9, "10.0.0.1:5353", "[2620:fe::fe]:53", 2620:fe::9]
  timeoutMs: 2500
maxConnections: 500
newFlowsPerSecond: 50
expect:
  - allow tcp api.github.com:443
  - deny  tcp 10.0.0.5:5432
`;

test("a file says all that a sandbox's network goes by", () => {
  const { policy, dns, limits, expect: expectations } = parsePolicyFile(FULL, "conf/p.yaml");
  expect(policy).toEqual({
    network: true,
    rules: [
      parseRule("allow@api.github.com:tcp:443"),
      parseRule("allow@.npmjs.org:tcp:443,8000-8010"),
      parseRule("deny@private"),
    ],
    defaults: { outbound: "deny", inbound: "deny" },
    denyWith: "reject",
  });
  expect(dns).toEqual({
    block: ["ads.example"],
    blockSuffix: ["beacons.example", "tracking.com"],
    blockLists: [
      {
        path: "conf/lists/ads.txt",
        as: "name",
        place: expect.stringMatching(/^conf\/\S+:\d+:\d+$/),
      },
      { path: "/etc/trackers", as: "suffix", place: expect.stringMatching(/^conf\/\S+:\d+:\d+$/) },
    ],
    blockDoh: true,
    rebindProtection: false,
    servers: ["9.9.9.9:53", "10.0.0.1:5353", "[2620:fe::fe]:53", "[2620:fe::9]:53"],
    timeoutMs: 2500,
  });
  expect(limits).toEqual({ maxConnections: 500, newFlowsPerSecond: 50 });
  expect(expectations.map((each) => each.expect)).toEqual(["allow", "deny"]);
});

describe("a rule line and its spelled-out form are the same rule:", () => {
  const rows: [string, string][] = [
    ["allow@any", "{action: allow, destination: {any: true}}"],
    ["deny@private", "{action: deny, destination: {group: private}}"],
    ["allow@10.0.0.0/8:tcp", "{action: allow, destination: {cidr: 10.0.0.0/8}, protocol: tcp}"],
    ["allow@x.com:icmp", "{action: allow, destination: {domain: x.com}, protocol: icmp}"],
    ["allow@intranet.", "{action: allow, destination: {domain: intranet}}"],
    [
      "deny:inbound@any:tcp,udp:53,80-90",
      "{action: deny, direction: ingress, destination: {any: true}, protocol: [tcp, udp], ports: [53, [80, 90]]}",
    ],
    [
      "deny:both@any:any:53,80-90,100",
      "{action: deny, direction: both, destination: {any: true}, ports: ['53,80-90', 100]}",
    ],
    ["allow@any:any:443", "{action: allow, destination: {any: true}, ports: 443}"],
    ["allow@any:any:1-2", "{action: allow, destination: {any: true}, ports: 1-2}"],
  ];
  for (const [line, spelled] of rows) {
    test(line, () => {
      const { policy } = parsePolicyFile(`default: deny\nrules:\n - ${spelled}\n`, "p.yaml");
      expect(policy.rules).toEqual([parseRule(line)]);
    });
  }
});

test("JSON with comments and trailing commas says the same as YAML", () => {
  const json = `{
    "$schema": "policy.schema.json", // for the editor
    "default": {"outbound": "deny", "inbound": "allow"},
    "rules": ["allow@x.com",],
  }`;
  const yaml = "default: {outbound: deny, inbound: allow}\nrules: [allow@x.com]\n";
  const expected = parsePolicyFile(yaml, "p.yml");
  for (const path of ["p.json", "p.jsonc", "policy", "/dev/fd/3"]) {
    expect(parsePolicyFile(json, path)).toEqual(expected);
  }
  expect(parsePolicyFile(yaml, "policy")).toEqual(expected);
  expect(parsePolicyFile(`\ufeff${yaml}`, "policy")).toEqual(expected);
});

test("extends puts the preset's rules after the file's own", () => {
  const { policy } = parsePolicyFile("extends: public-only\nrules: [allow@10.0.0.5]\n", "p.yaml");
  expect(policy.rules).toEqual([parseRule("allow@10.0.0.5"), ...publicOnly().rules]);
  expect(policy.defaults).toEqual({ outbound: "allow", inbound: "allow" });
  const { policy: strict } = parsePolicyFile("extends: public-only\ndefault: deny\n", "p.yaml");
  expect(strict.defaults).toEqual({ outbound: "deny", inbound: "deny" });
  expect(parsePolicyFile("extends: none\n", "p.yaml").policy.network).toBe(false);
});

test("every complaint names its place and the nearest thing that would be right", () => {
  const rule = (fields: string) => `default: deny\nrules:\n  - {action: allow, ${fields}}\n`;
  const rows: [string, string][] = [
    ["default: deny\nruels: []\n", 'p.yaml:2:1: unknown key "ruels" | did you mean rules?'],
    ["default: denny\n", "p.yaml:1:10: unknown default"],
    ["default: {outbound: deny}\n", 'p.yaml:1:10: the key "inbound" is missing'],
    ["rules: []\n", "p.yaml:1:1: it does not say what happens by default | add default: deny"],
    ["", "p.yaml:1:1: nothing stands where a mapping is expected"],
    ["- deny\n", "p.yaml:1:1: a list stands where a mapping is expected"],
    ["default: deny\nrules: {}\n", "p.yaml:2:8: a mapping stands where a list is expected"],
    ["default: deny\nrules: [5]\n", "p.yaml:2:9: 5 stands where a string or a mapping is"],
    ["default: deny\nrules:\n  - x.com@allow\n", "p.yaml:3:5: its parts are not in the order"],
    ["default: deny\nrules:\n  - alow@x.com\n", "p.yaml:3:5: unknown action"],
    [rule("destinaton: {any: true}"), "did you mean destination?"],
    [rule("destination: {any: false}"), "p.yaml:3:40: false stands where true is expected"],
    [rule("destination: {}"), "p.yaml:3:34: the destination is empty"],
    [rule("destination: {any: true, group: host}"), "the destination is both any and group"],
    [rule("destination: {group: privat}"), 'unknown group "privat" | did you mean private?'],
    [rule("destination: {cidr: 10.0.0/8}"), 'p.yaml:3:41: "10.0.0/8" is no address or block'],
    [rule("destination: {domain: 10.0.0.1}"), "is an address, not a domain name | use cidr"],
    [rule("destination: {suffix: com}"), "takes in a whole top-level domain"],
    [rule("destination: {any: true}, ports: []"), "p.yaml:3:54: the list is empty"],
    [rule("destination: {any: true}, ports: ~"), "p.yaml:3:54: nothing stands where"],
    [rule("destination: {any: true}, ports: [443, 70000]"), "p.yaml:3:60: 70000 is out of range"],
    [
      rule("destination: {any: true}, protocol: icmp, ports: [1]"),
      "p.yaml:3:57: it can never match",
    ],
    [rule("destination: {cidr: 10.0.0.1/8}"), "| write 10.0.0.1/32 for the one address"],
    [rule("destination: {any: true}, ports: ['90-80']"), "p.yaml:3:55: the range 90-80 is empty"],
    [rule("destination: {any: true}, protocol: []"), "the list is empty"],
    [rule("destination: {any: true}, protocol: [tcp, tpc]"), "did you mean tcp?"],
    [rule("destination: {any: true}, direction: out"), "use one of outbound, inbound"],
    ["default: deny\ndefault: allow\n", 'p.yaml:2:1: the key "default" stands twice'],
    ["default: deny\nrules: [\n", "it is not YAML"],
    ["? [a]\n: b\n", "p.yaml:1:3: a key is no text"],
    ["default: *x\n", "it is not YAML: Unresolved alias"],
    ["default: !!js/function deny\n", "it is not YAML: Unresolved tag"],
    ["default: deny\n---\ndefault: allow\n", "p.yaml:2:1: it is not YAML"],
    ["extends: publik-only\n", "did you mean public-only?"],
    ["extends: none\nrules: [deny@any]\n", "a guest without a network has no flows to judge"],
    ["default: deny\ndns: {blok: []}\n", 'p.yaml:2:7: unknown key "blok" | did you mean block?'],
    ["default: deny\ndns: {block: [a..b]}\n", 'p.yaml:2:15: "a..b" is no domain name'],
    ['default: deny\ndns: {block: ["@"]}\n', '"@" names no file'],
    ["default: deny\ndns: {servers: [dns.example]}\n", "is no address of a resolver"],
    ["default: deny\ndns: {servers: ['9.9.9.9:0']}\n", "is no address of a resolver"],
    ["default: deny\ndns: {hosts: [db.example]}\n", '"db.example" has no address'],
    ["default: deny\ndns: {hosts: ['db.example:5']}\n", '"5" is no address'],
    ["default: deny\ndns: {hosts: ['.example:10.0.0.5']}\n", '".example" is no domain name'],
    ["default: deny\nmaxConnections: 0\n", "p.yaml:2:17: 0 is out of range for maxConnections"],
    ["default: deny\nexpect: [alow tcp x.com:443]\n", "did you mean allow?"],
    ["default: deny\nexpect: [{expect: allow, to: x.com}]\n", "p.yaml:2:30: the port is missing"],
    ["__proto__: {default: deny}\n", 'p.yaml:1:1: unknown key "__proto__"'],
    ["[".repeat(50_000), "nested too deeply"],
  ];
  for (const [text, part] of rows) expect(complaint(text)).toContain(part);
});

test("JSON is refused where plain parsers look away", () => {
  const rows: [string, string][] = [
    ['{"default": "deny",\n "default": "allow"}', 'p.json:2:2: the key "default" stands twice'],
    ['{"__proto__": {"default": "allow"}}', 'p.json:1:2: unknown key "__proto__"'],
    ['{"default": "deny"', "p.json:1:19: it is not JSON: close brace expected"],
    ['{"default": "deny"} x', "it is not JSON"],
    ['{"a":'.repeat(50_000), "nested too deeply"],
  ];
  for (const [text, part] of rows) expect(complaint(text, "p.json")).toContain(part);
});

test("all that is wrong is told at once, in the order of the file, and no more than can be read", () => {
  const told = (text: string) => {
    try {
      parsePolicyFile(text, "p.yaml");
    } catch (error) {
      const { message, others } = error as SbxError;
      return [message, ...others.map((other) => other.message)];
    }
    return [];
  };
  expect(told("rules: [alow@a.test, allow@b.test, allow@c]\ndefault: deny\ndns: {servers: [x]}\n"))
    .toEqual([
      'Cannot load policy p.yaml:1:9: unknown action "alow"',
      expect.stringMatching(/^p\.yaml:1:36: "c" is neither/),
      expect.stringMatching(/^p\.yaml:3:17: "x" is no address/),
    ]);
  expect(told("rules: [allow@c]\n")).toEqual([
    expect.stringMatching(/^Cannot load policy p\.yaml:1:9: "c" is neither/),
    "p.yaml:1:1: it does not say what happens by default",
  ]);
  expect(told("defualt: deny\nrules: allow@a.test\ntlz: 1\n")).toHaveLength(3);
  const many = Array.from({ length: 50 }, (_, at) => `key${at}: 1\n`).join("");
  expect(told(many)).toHaveLength(20);
  expect(told(`default: deny\nrules: [${"x, ".repeat(50)}]\n`)).toHaveLength(20);
  expect(told("default: deny\nrules: [allow@a.test]\n")).toEqual([]);
});
