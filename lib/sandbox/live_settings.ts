/**
 * The settings of a network that runs, and others that are to take their place: what they come to, what
 * of it differs, and what cannot change before the next start. Pure.
 *
 * @module
 */
import { SbxError } from "../base/errors.ts";
import type { Policy } from "../policy/model/policy.ts";
import type { Secret, SecretSettings } from "../policy/model/secret.ts";
import type { DnsSettings, Limits } from "../policy/model/settings.ts";
import type { TlsSettings } from "../policy/model/tls_settings.ts";
import { readInterception } from "../tls/interception.ts";
import type { NetworkOptions } from "./options.ts";

/** How a policy is applied. */
export interface ApplyOptions {
  /** Only tells what would change; false when absent. */
  readonly dryRun?: boolean;
  /**
   * Aborting it gives up the wait, which rejects with the signal's reason; `settings` says whether the policy is
   * in force.
   */
  readonly signal?: AbortSignal;
}

/**
 * What a network is judged by from now on; a policy file is one. Absent parts stay as they are, and so do
 * absent limits.
 */
export interface NetworkSettings {
  /** What decides about flows. */
  readonly policy: Policy;
  /** How names are resolved. */
  readonly dns?: DnsSettings;
  /** What is opened of TLS. */
  readonly tls?: TlsSettings;
  /** What the guest has placeholders of. One that is left out is taken back, and may come back as it was. */
  readonly secrets?: SecretSettings;
  /** Bounds on what the guest may open; cannot change. */
  readonly limits?: Limits;
}

/** The options that a start with the settings would have. A policy alone changes nothing but rules. */
export function nextOptions(now: NetworkOptions, next: Policy | NetworkSettings): NetworkOptions {
  const { policy, dns, tls, secrets, limits }: NetworkSettings = "policy" in next
    ? next
    : { policy: next };
  const network = policy.network || policy.rules.some(({ action }) => action === "allow");
  return {
    ...now,
    policy: { ...policy, network },
    dns: dns ?? now.dns,
    tls: tls ?? now.tls,
    secrets: secrets ?? now.secrets,
    ...(limits?.maxConnections === undefined ? {} : { maxConnections: limits.maxConnections }),
    ...(limits?.newFlowsPerSecond === undefined
      ? {}
      : { newFlowsPerSecond: limits.newFlowsPerSecond }),
  };
}

/** What else than rules differs, by its name in a policy file. */
export function changedSettings(now: NetworkOptions, next: NetworkOptions): readonly string[] {
  const { policy: { defaults: outer, denyWith } } = now;
  const { policy: { defaults: inner, denyWith: nextDenyWith } } = next;
  return [
    ...differing("defaults.", outer, inner),
    ...differing("", { denyWith }, { denyWith: nextDenyWith }),
    ...differing("dns.", now.dns, next.dns),
    ...differing("tls.", now.tls, next.tls),
    ...differing("limits.", limitsOf(now), limitsOf(next)),
    ...differing(OF_SECRETS, byName(now.secrets), byName(next.secrets)),
    ...differing("", onViolationOf(now), onViolationOf(next)),
  ];
}

/**
 * Refuses what the guest, or a process of the sandbox, was told once and for all at the start.
 * `intercepts`: the guest trusts an authority of the sandbox's; `secrets`: as they were then.
 *
 * @throws SbxError POLICY_FIXED, with everything that cannot change
 */
export function requireLive(
  now: NetworkOptions,
  next: NetworkOptions,
  { intercepts, secrets }: { readonly intercepts: boolean; readonly secrets: SecretSettings },
): void {
  const fixed = changedSettings(now, next).flatMap((setting) => {
    if (isOfSecrets(setting) && isTakenBackOrAsBefore(setting, secrets, next.secrets)) return [];
    const why = FIXED.find(([prefix]) => setting === prefix || setting.startsWith(`${prefix}.`));
    return why === undefined ? [] : [`${setting} cannot change while the sandbox runs: ${why[1]}`];
  });
  if (!intercepts && readInterception(next.tls, next.secrets) !== null && fixed.length === 0) {
    fixed.push("tls.intercept cannot change while the sandbox runs: the guest trusts no authority");
  }
  const [first, ...others] = fixed;
  if (first === undefined) return;
  throw new SbxError("POLICY_FIXED", `Cannot apply the policy: ${first}`, {
    hint: "start the sandbox again under this policy",
    others: others.map((message) => ({ message })),
  });
}

const FIXED: readonly (readonly [setting: string, why: string])[] = [
  ["tls.authority", "the guest trusts the one it was started with"],
  ["tls.trustHostCas", "what the guest trusts was set up at its start"],
  ["limits", "they were set up with the network"],
  ["secrets", "placeholders and values are made at the start, and can only be taken back"],
  ["onSecretViolation", "it is set up with the secrets"],
];

const OF_SECRETS = "secrets.";

function isOfSecrets(setting: string): boolean {
  return setting.startsWith(OF_SECRETS);
}

function isTakenBackOrAsBefore(
  setting: string,
  started: SecretSettings,
  next: SecretSettings,
): boolean {
  const name = setting.slice(OF_SECRETS.length);
  const wanted = byName(next)[name];
  return wanted === undefined || isSame(wanted, byName(started)[name]);
}

function differing(prefix: string, one: object, other: object): string[] {
  const [before, after] = [new Map(Object.entries(one)), new Map(Object.entries(other))];
  return [...new Set([...before.keys(), ...after.keys()])]
    .filter((key) => !isSame(before.get(key), after.get(key)))
    .map((key) => `${prefix}${key}`);
}

/** Of plain data. An absent list is an empty one. */
function isSame(one: unknown, other: unknown): boolean {
  const text = (value: unknown) =>
    JSON.stringify(value ?? [], (_, part) => part instanceof Set ? [...part] : part);
  return text(one) === text(other);
}

function limitsOf({ maxConnections, newFlowsPerSecond }: NetworkOptions): Limits {
  return {
    ...(maxConnections === undefined ? {} : { maxConnections }),
    ...(newFlowsPerSecond === undefined ? {} : { newFlowsPerSecond }),
  };
}

function byName({ secrets }: SecretSettings): Readonly<Record<string, Secret>> {
  return Object.fromEntries(secrets.map((secret) => [secret.name, secret]));
}

function onViolationOf({ secrets: { onViolation } }: NetworkOptions) {
  return { onSecretViolation: onViolation };
}
