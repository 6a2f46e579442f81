/**
 * What the judge says of secrets: which could never be of use, what becomes of them in a flow, and which hints
 * are none where a value is at stake.
 */
import { describe, expect, test } from "bun:test";
import { hintFor } from "../../lib/judge/hint.ts";
import { fileSnapshot } from "../../lib/judge/file_snapshot.ts";
import { secretFaults } from "../../lib/judge/secret_faults.ts";
import { secretLines } from "../../lib/judge/secret_lines.ts";
import { simulate } from "../../lib/judge/simulate.ts";
import { parsePolicyFile } from "../../lib/policy/file/load.ts";
import { fixedPins } from "../../lib/policy/model/fixed_pins.ts";
import { NameSet } from "../../lib/policy/model/name_set.ts";
import { expectHint, flow, info, session, snapshotUnder } from "./attempt.ts";

const MACHINE = { addresses: ["192.0.2.7"], links: [] };

/** Faults of secrets under a policy, as `HOST: STATE`. */
function faults(policy: object, blocked = new NameSet()): string[] {
  const file = parsePolicyFile(JSON.stringify(policy), "policy.json");
  return secretFaults(file, fileSnapshot(file, blocked, MACHINE))
    .map(({ host, state }) => `${host}: ${state}`);
}

describe("a secret can be of use under", () => {
  test.each<[string, object, string?]>([
    ["a default", { default: "allow" }],
    ["public addresses", { extends: "public-only" }],
    ["a rule for its host", { default: "deny", rules: ["allow@api.example.com:tcp:443"] }],
    ["a rule for another port", {
      default: "deny",
      rules: ["allow@api.example.com:tcp:8443-8450"],
    }],
    ["a rule for all ports but the usual", {
      default: "allow",
      rules: ["deny@api.example.com:tcp:1-443", "deny@api.example.com:tcp:445-65535"],
    }],
    ["a rule for a suffix", { default: "deny", rules: ["allow@.example.com"] }],
    ["any on one port", { default: "deny", rules: ["allow@any:tcp:443", "allow@any:udp:53"] }],
    ["a name by rule at an address by rule", {
      default: "deny",
      rules: ["deny@10.0.0.0/24", "allow@10.0.0.0/8:tcp:443", "allow@api.example.com:udp"],
    }],
    ["a rule for this machine", { default: "allow", rules: ["allow@host", "deny@any:tcp"] }],
    ["an allowed name that a later rule denies", {
      default: "deny",
      rules: ["allow@api.example.com:tcp:443", "deny@.example.com"],
    }],
    [
      "one name below a suffix",
      { default: "deny", rules: ["allow@api.example.com:tcp:443"] },
      ".example.com",
    ],
    [
      "a suffix whose apex alone is denied",
      { default: "allow", rules: ["deny@example.com"] },
      ".example.com",
    ],
    ["an address that the user gave its name", {
      default: "deny",
      rules: ["allow@api.example.com:tcp:443"],
      dns: { hosts: ["api.example.com:10.0.0.9"] },
    }],
    ["a bypass of others", {
      default: "allow",
      tls: { intercept: true, bypass: ["*.example.org", "example.com", "notapi.example.com"] },
    }],
    ["others that are not verified", {
      default: "allow",
      tls: { intercept: true, noVerify: ["www.example.com", "10.0.0.1"] },
    }],
  ])("%s", (_what, policy, host = "api.example.com") => {
    expect(faults({ ...policy, secrets: [`KEY@${host}`] })).toEqual([]);
  });
});

describe("a secret can never be of use under", () => {
  test.each<[string, object, string, string?]>([
    ["a default", { default: "deny" }, "the name does not resolve: default"],
    [
      "a rule for another",
      { default: "deny", rules: ["allow@www.example.com"] },
      "the name does not resolve: default",
    ],
    [
      "a rule for an address alone",
      { default: "deny", rules: ["allow@10.0.0.0/8"] },
      "the name does not resolve: default",
    ],
    [
      "a rule for UDP",
      { default: "deny", rules: ["allow@api.example.com:udp"] },
      "it is allowed on no port: no rule matches",
    ],
    [
      "a denied name",
      { default: "allow", rules: ["deny@api.example.com"] },
      "the name does not resolve: rule 0",
    ],
    [
      "denied TCP",
      { default: "allow", rules: ["deny@any:tcp"] },
      "it is allowed on no port: rule 0",
    ],
    [
      "a port that is the resolver's",
      { default: "deny", rules: ["allow@api.example.com:tcp:53"] },
      "it is allowed on no port",
    ],
    [
      "a denied suffix",
      { default: "allow", rules: ["deny@.example.com"] },
      "the name does not resolve",
      ".api.example.com",
    ],
    ["no network", { extends: "none" }, "the guest has no network"],
    [
      "a bypass",
      { default: "allow", tls: { intercept: true, bypass: ["api.example.com"] } },
      "its TLS is not to be opened, by the bypass of api.example.com",
    ],
    ["a bypass of a suffix", {
      default: "allow",
      tls: { intercept: true, bypass: [".example.com"] },
    }, "its TLS is not to be opened, by the bypass of *.example.com"],
    [
      "a bypass of a name below",
      { default: "allow", tls: { intercept: true, bypass: ["www.api.example.com"] } },
      "its TLS is not to be opened",
      ".api.example.com",
    ],
    ["servers that are not verified", {
      default: "allow",
      tls: { intercept: false, verifyUpstream: false },
    }, "servers are not verified"],
    ["a host that is not verified", {
      default: "allow",
      tls: { intercept: false, noVerify: [".example.com"] },
    }, "*.example.com is not verified"],
  ])("%s", (_what, policy, state, host = "api.example.com") => {
    const [fault = "none", ...more] = faults({ ...policy, secrets: [`KEY@${host}`] });
    expect(fault).toStartWith(`${host.replace(/^\./, "*.")}: ${state}`);
    expect(more).toEqual([]);
  });

  test("a block list, which may leave some names below a suffix", () => {
    const blocked = new NameSet();
    blocked.addName("api.example.com");
    const policy = { default: "allow", secrets: ["KEY@api.example.com,.example.com"] };
    expect(faults(policy, blocked)).toEqual([
      expect.stringMatching(/^api\.example\.com: .*blocked-name/),
    ]);
    blocked.addSuffix("example.com");
    expect(faults(policy, blocked)).toHaveLength(2);
  });

  test("a policy of many rules is looked through in no time to speak of", () => {
    const rules = Array.from(
      { length: 2_000 },
      (_, at) => `deny@10.${at >> 8}.${at & 255}.0/24:tcp:${at + 1}`,
    );
    expect(faults({ default: "deny", rules, secrets: ["KEY@api.example.com"] })).toHaveLength(1);
    expect(faults({ default: "allow", rules, secrets: ["KEY@api.example.com"] })).toEqual([]);
  });
});

describe("a flow that passes", () => {
  const file = parsePolicyFile(
    JSON.stringify({
      default: "allow",
      secrets: [
        "KEY@api.example.com",
        { name: "OTHER", hosts: ["*.example.com"], exclusive: false, places: ["query"] },
        "THIRD@example.org",
      ],
    }),
    "policy.json",
  );
  const snapshot = {
    ...fileSnapshot(file, new NameSet(), MACHINE),
    pins: fixedPins([
      { name: "api.example.com", address: "93.184.216.34" },
      { name: "www.example.com", address: "93.184.216.34" },
    ]),
  };
  const said = (
    proto: "tcp" | "udp" | "icmpv4",
    port: number,
    name?: string,
    dst = "93.184.216.34",
  ) => {
    const to = info(proto, dst, port);
    const first = name === undefined
      ? { kind: "nothing" } as const
      : { kind: "tls", sni: name } as const;
    const outcome = simulate(snapshot, { info: to, first });
    return secretLines(file.secrets, snapshot, { info: to, outcome, name });
  };
  const OTHERS = "other placeholders: block (secret-violation)";
  const ANY = "placeholders: block (secret-violation)";

  test("gives each secret of its host, and says what else would happen", () => {
    expect(said("tcp", 8443, "api.example.com")).toEqual([
      "secret KEY: its value takes the place of its placeholder (header, basic)",
      "secret OTHER: its value takes the place of its placeholder (query; beside other credentials)",
      "other credentials: refused (foreign-credential)",
      OTHERS,
    ]);
    expect(said("tcp", 443, "www.example.com")).toEqual([
      "secret OTHER: its value takes the place of its placeholder (query; beside other credentials)",
      OTHERS,
    ]);
  });

  test("gives none where the boundary is not held", () => {
    expect(said("tcp", 443, "api.example.com", "45.33.32.156")[0])
      .toBe("secret KEY: no value is sent to an address that the name was not resolved to");
    expect(said("tcp", 443, "evil.test")).toEqual([ANY]);
    expect(said("tcp", 443)).toEqual([ANY]);
    expect(said("udp", 7)).toEqual([ANY]);
    expect(said("udp", 443)).toEqual([]); // refused
    expect(said("icmpv4", 0)).toEqual([]);
  });
});

describe("no hint for the host of a secret would leave it unproven or unread:", () => {
  const GOOD = info("tcp", "93.184.216.34", 443);
  const SECRET = ["--secret", "TOKEN@good.test"];
  const hello = (...alpn: readonly string[]) => ({ kind: "tls", sni: "good.test", alpn }) as const;
  const refused = { reason: "upstream-untrusted" } as const;
  test.each(
    [
      [
        "another protocol",
        "tls-protocol",
        session(GOOD, hello("imap"), { reason: "tls-protocol" }),
        "--tls-opaque",
      ],
      ["QUIC", "quic", flow(info("udp", "93.184.216.34", 443)), null],
      [
        "an authority of its own",
        "upstream-untrusted",
        session(GOOD, hello(), { ...refused, detail: "unknown authority" }, {
          kind: "untrusted",
          why: "unknown authority",
          provenBy: "FILE",
        }),
        "--upstream-ca FILE",
      ],
      [
        "an expired certificate",
        "upstream-untrusted",
        session(GOOD, hello(), { ...refused, detail: "expired" }, {
          kind: "untrusted",
          why: "expired",
        }),
        null,
      ],
      [
        "a client certificate",
        "mtls",
        session(GOOD, hello(), { reason: "mtls" }, { kind: "mtls" }),
        null,
      ],
    ] as const,
  )("%s", async (_what, reason, attempt, hint) => {
    await expectHint({ reason, options: SECRET, attempt, hint });
    await expectHint({ reason, options: ["--tls-intercept", ...SECRET], attempt, hint });
  });

  test("that of another host may", async () => {
    const snapshot = await snapshotUnder(["--tls-intercept", "--secret", "TOKEN@other.test"]);
    const attempt = session(GOOD, hello(), { reason: "mtls" }, { kind: "mtls" });
    expect(hintFor(snapshot, attempt.refused(snapshot))).toEqual({
      kind: "bypass",
      name: "good.test",
    });
  });
});
