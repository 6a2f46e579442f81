/**
 * A policy as the value that a policy file would hold: what `sbx policy show` prints can be saved
 * and loaded again.
 *
 * @module
 */
import { isDeepStrictEqual } from "node:util";
import { spellExpectation } from "./expectation.ts";
import { spellSecret } from "./secret_entry.ts";
import { NO_SECRETS, type SecretSettings } from "../model/secret.ts";
import { DEFAULT_DNS, type DnsSettings, type PolicyFile } from "../model/settings.ts";
import { DEFAULT_TLS, type TlsSettings } from "../model/tls_settings.ts";
import { spellPolicy } from "../text/spell.ts";

/** Rules and expectations as lines where a line can say it all, or spelled out as objects. */
export function policyValue(file: PolicyFile, as: "lines" | "objects"): object {
  const dns = dnsValue(file.dns);
  return {
    ...spellPolicy(file.policy, as),
    ...(Object.keys(dns).length === 0 ? {} : { dns }),
    ...tlsValue(file.tls),
    ...file.limits,
    ...secretsValue(file.secrets),
    ...(file.expect.length === 0 ? {} : {
      expect: file.expect.map((each) => spellExpectation(each, as === "lines" ? "line" : "object")),
    }),
  };
}

/** Each spelled out: what a line leaves to the defaults is what a reader would have to look up. */
function secretsValue({ secrets, onViolation }: SecretSettings): Record<string, unknown> {
  return {
    ...(secrets.length === 0 ? {} : { secrets: secrets.map(spellSecret) }),
    ...(onViolation === NO_SECRETS.onViolation ? {} : { onSecretViolation: onViolation }),
  };
}

/** Only what differs from the defaults. */
function dnsValue(dns: DnsSettings): Record<string, unknown> {
  const listed = (as: "name" | "suffix") =>
    dns.blockLists.filter((list) => list.as === as).map(({ path }) => `@${path}`);
  const block = [...dns.block, ...listed("name")];
  const blockSuffix = [...dns.blockSuffix.map((suffix) => `.${suffix}`), ...listed("suffix")];
  return {
    ...(block.length === 0 ? {} : { block }),
    ...(blockSuffix.length === 0 ? {} : { blockSuffix }),
    ...(dns.blockDoh === DEFAULT_DNS.blockDoh ? {} : { blockDoh: dns.blockDoh }),
    ...(dns.rebindProtection === DEFAULT_DNS.rebindProtection
      ? {}
      : { rebindProtection: dns.rebindProtection }),
    ...(dns.hosts === undefined || dns.hosts.length === 0
      ? {}
      : { hosts: dns.hosts.map(({ name, address }) => `${name}:${address}`) }),
    ...(dns.servers.length === 0 ? {} : { servers: dns.servers }),
    ...(dns.timeoutMs === undefined ? {} : { timeoutMs: dns.timeoutMs }),
  };
}

/** Only what differs from the defaults, and whether anything is intercepted. */
function tlsValue(tls: TlsSettings): { readonly tls?: Record<string, unknown> } {
  const changed = Object.entries(tls).filter(([key, value]) =>
    !isDeepStrictEqual(value, DEFAULT_TLS[key as keyof TlsSettings])
  );
  if (changed.length === 0) return {};
  return { tls: { intercept: tls.intercept, ...Object.fromEntries(changed) } };
}
