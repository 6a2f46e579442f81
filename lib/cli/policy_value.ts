/**
 * A policy as the value that a policy file would hold: what `sbx policy show` prints can be saved
 * and loaded again. Expectations are left out; they test a policy and are no part of it.
 *
 * @module
 */
import { formatRule } from "../policy/grammar.ts";
import type { Policy } from "../policy/policy.ts";
import { spellRule } from "../policy/rule_entry.ts";
import { DEFAULT_DNS, type DnsSettings, type PolicyFile } from "../policy/settings.ts";

/** `lines`: a rule is one line of the rule grammar. `objects`: it is spelled out. */
export type RuleForm = "lines" | "objects";

export function policyValue(file: PolicyFile, form: RuleForm): Record<string, unknown> {
  const { policy, limits } = file;
  const dns = dnsValue(file.dns);
  return {
    ...policyPart(policy, form),
    ...(Object.keys(dns).length === 0 ? {} : { dns }),
    ...limits,
  };
}

function policyPart(policy: Policy, form: RuleForm): Record<string, unknown> {
  if (!policy.network) return { extends: "none" };
  const { outbound, inbound } = policy.defaults;
  return {
    default: outbound === inbound ? outbound : { outbound, inbound },
    ...(policy.denyWith === "drop" ? {} : { denyWith: policy.denyWith }),
    rules: policy.rules.map(form === "lines" ? formatRule : spellRule),
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
    ...(dns.servers.length === 0 ? {} : { servers: dns.servers }),
    ...(dns.timeoutMs === undefined ? {} : { timeoutMs: dns.timeoutMs }),
  };
}
