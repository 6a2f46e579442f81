import { expect, test } from "bun:test";
import { NetworkBuilder } from "../../lib/api/network_builder.ts";
import { SbxError } from "../../lib/base/errors.ts";
import { NetworkPolicy } from "../../lib/mod.ts";
import { NO_SECRETS, type SecretSettings } from "../../lib/policy/model/secret.ts";
import { plainPolicyFile } from "../../lib/policy/model/settings.ts";
import { DEFAULT_TLS } from "../../lib/policy/model/tls_settings.ts";
import {
  changedSettings,
  type NetworkSettings,
  nextOptions,
  requireLive,
} from "../../lib/sandbox/live_settings.ts";

const NOW = new NetworkBuilder().maxConnections(10).secret("KEY@api.test").build();
const BARE = new NetworkBuilder().build();

/** What is wrong with a change, in all of its words; "" for nothing. */
function refusal(now: typeof NOW, next: NetworkSettings, intercepts: boolean): string {
  try {
    requireLive(now, nextOptions(now, next), { intercepts, secrets: NOW.secrets });
    return "";
  } catch (error) {
    const { code, message, others } = error as SbxError;
    return [`${code}: ${message}`, ...others.map((other) => other.message)].join("\n");
  }
}

const { policy } = NOW;

function withOnly(declaration: string): SecretSettings {
  return new NetworkBuilder().secret(declaration).build().secrets;
}

test.each<[what: string, next: NetworkSettings, refused: readonly string[]]>([
  ["rules", { policy: NetworkPolicy.allowAll() }, []],
  ["how names are resolved", { policy, dns: { ...NOW.dns, servers: ["9.9.9.9:53"] } }, []],
  ["what is intercepted", { policy, tls: { ...DEFAULT_TLS, intercept: true, opaque: true } }, []],
  ["the same limit again", { policy, limits: { maxConnections: 10 } }, []],
  ["no limits", { policy, limits: {} }, []],
  ["another limit", { policy, limits: { maxConnections: 11 } }, ["limits.maxConnections"]],
  [
    "the guest's trust",
    {
      policy,
      tls: { ...DEFAULT_TLS, trustHostCas: true, authority: { cert: "/a", key: "/b" } },
    },
    ["tls.trustHostCas", "tls.authority"],
  ],
  ["a secret less", { policy, secrets: NO_SECRETS }, []],
  ["another secret", { policy, secrets: withOnly("OTHER@api.test") }, ["secrets.OTHER"]],
  ["other hosts of a secret", { policy, secrets: withOnly("KEY@api.test,b.test") }, [
    "secrets.KEY",
  ]],
  [
    "what becomes of violations",
    { policy, secrets: { ...NOW.secrets, onViolation: "block-and-terminate" } },
    ["onSecretViolation"],
  ],
])("a running sandbox takes %s, or says what of it cannot change", (_, next, refused) => {
  const said = refusal(NOW, next, true);
  expect(said === "").toBe(refused.length === 0);
  for (const setting of refused) expect(said).toContain(`${setting} cannot change while`);
});

test("a secret that was taken back can come back as it was, and not otherwise", () => {
  const bare = nextOptions(NOW, { policy, secrets: NO_SECRETS });
  expect(refusal(bare, { policy, secrets: NOW.secrets }, true)).toBe("");
  expect(refusal(bare, { policy, secrets: withOnly("KEY@b.test") }, true)).toContain("secrets.KEY");
});

test("nothing is intercepted later in a guest that trusts nobody but the public authorities", () => {
  const next = { policy: BARE.policy, tls: { ...DEFAULT_TLS, intercept: true } };
  expect(refusal(BARE, next, false)).toContain("the guest trusts no authority");
  expect(refusal(BARE, { policy: BARE.policy }, false)).toBe("");
});

test("what differs is named as in a policy file, and what says the same in other words is not", () => {
  const next = nextOptions(BARE, {
    ...plainPolicyFile({ ...BARE.policy, denyWith: "reject" }),
    dns: { ...BARE.dns, hosts: [], blockDoh: true },
  });
  expect(changedSettings(BARE, next)).toEqual(["denyWith", "dns.blockDoh"]);
  expect(changedSettings(BARE, nextOptions(BARE, BARE.policy))).toEqual([]);
});
