/**
 * The policy of a sandbox that runs, and its replacement: everything that can fail is done first, and the
 * rest at once, or not at all.
 *
 * ```
 * one after the other: settings ──► may change? ──► lists and certificates read ──► applied
 *                                      └─ POLICY_FIXED     └─ unreadable
 * ```
 *
 * @module
 */
import type { KnownNames } from "../dns/known_names.ts";
import type { Resolver } from "../dns/upstream.ts";
import { flowOutcome, type PolicyChange } from "../journal/policy_change.ts";
import { digestOf } from "../journal/start_line.ts";
import type { Policy } from "../policy/model/policy.ts";
import type { DnsSettings } from "../policy/model/settings.ts";
import type { Vault } from "../secret/vault.ts";
import { ruleDifference } from "../policy/text/rule_difference.ts";
import { readInterception } from "../tls/interception.ts";
import { readBlockedNames } from "./blocked_names.ts";
import {
  type ApplyOptions,
  changedSettings,
  type NetworkSettings,
  nextOptions,
  requireLive,
} from "./live_settings.ts";
import type { Network, NetworkChange } from "./network_spec.ts";
import type { NetworkOptions } from "./options.ts";
import { policyNotices } from "./policy_notices.ts";

export interface LivePolicySpec {
  /** What the network was opened with. */
  readonly options: NetworkOptions;
  readonly network: Pick<Network, "reconsider" | "apply" | "settled">;
  /** Absent: the guest has no secrets. */
  readonly vault?: Pick<Vault, "permit">;
  /** The guest trusts an authority of the sandbox's. */
  readonly intercepts: boolean;
  readonly knownNames: (dns: DnsSettings) => KnownNames;
  readonly resolversOf: (dns: DnsSettings) => readonly Resolver[];
  readonly dnsTimeoutMs: number;
}

export class LivePolicy {
  readonly #spec: LivePolicySpec;
  #options: NetworkOptions;
  #turn: Promise<unknown> = Promise.resolve();

  constructor(spec: LivePolicySpec) {
    this.#spec = spec;
    this.#options = spec.options;
  }

  /** What is in force. */
  get options(): NetworkOptions {
    return this.#options;
  }

  /** See `Sandbox.applyPolicy`. */
  apply(
    next: Policy | NetworkSettings,
    { dryRun = false }: ApplyOptions = {},
  ): Promise<PolicyChange> {
    const turn = this.#turn.then(() => this.#apply(next, dryRun));
    this.#turn = turn.catch(() => {});
    return turn;
  }

  async #apply(next: Policy | NetworkSettings, dryRun: boolean): Promise<PolicyChange> {
    const { network, intercepts, vault, options: { secrets } } = this.#spec;
    const before = this.#options;
    const after = nextOptions(before, next);
    requireLive(before, after, { intercepts, secrets });
    const change = await this.#prepare(before, after);
    if (!dryRun) vault?.permit(new Set(after.secrets.secrets.map(({ name }) => name)));
    const { flows, forgotten } = dryRun ? network.reconsider(change) : network.apply(change);
    if (!dryRun) {
      this.#options = after;
      await network.settled();
    }
    return {
      dryRun,
      digest: digestOf(after.policy),
      rules: ruleDifference(before.policy.rules, after.policy.rules),
      settings: changedSettings(before, after),
      flows: flows.map((flow) => flowOutcome(after.policy, flow)),
      forgotten,
      warnings: [...takenBack(before, after), ...policyNotices(after)],
    };
  }

  /** @throws SbxError FILE_UNREADABLE, POLICY_INVALID, TLS_INVALID */
  async #prepare(before: NetworkOptions, after: NetworkOptions): Promise<NetworkChange> {
    const { intercepts, knownNames, resolversOf, dnsTimeoutMs, options } = this.#spec;
    const { policy, dns, tls } = after;
    const [blocked, trust] = await Promise.all([
      readBlockedNames(dns),
      intercepts
        ? import("./upstream_trust.ts").then(({ readTrust }) => readTrust(tls))
        : undefined,
    ]);
    const elsewhere = dns.servers.join() !== before.dns.servers.join();
    const timeoutMs = dns.timeoutMs ?? dnsTimeoutMs;
    const isAskedOtherwise = elsewhere || timeoutMs !== (before.dns.timeoutMs ?? dnsTimeoutMs);
    return {
      policy,
      blocked,
      blockDoh: dns.blockDoh,
      rebindProtection: dns.rebindProtection,
      known: knownNames(dns),
      // What was a secret's host may still answer with its value.
      interception: readInterception(tls, options.secrets),
      ...(trust === undefined ? {} : { trust }),
      ...(isAskedOtherwise
        ? { upstream: { resolvers: resolversOf(dns), timeoutMs, elsewhere } }
        : {}),
    };
  }
}

function takenBack(before: NetworkOptions, after: NetworkOptions): string[] {
  const named = new Set(after.secrets.secrets.map(({ name }) => name));
  return before.secrets.secrets.filter(({ name }) => !named.has(name))
    .map(({ name }) => `secret ${name} is taken back: the policy does not name it`);
}
