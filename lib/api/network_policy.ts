/**
 * Network policies: the presets, policies written in code, and policy files.
 *
 * @module
 */
import { quote } from "../base/escape.ts";
import { flag, kindOf, misuse, optionsOf } from "../base/misuse.ts";
import { untilAborted } from "../base/until.ts";
import type { TestRow } from "../judge/expectations.ts";
import type { NameSet } from "../policy/model/name_set.ts";
import type { Action, DenyWith, Policy, Rule } from "../policy/model/policy.ts";
import {
  allowAll,
  none,
  PRESET_NAMES,
  type PresetName,
  presetNamed,
  publicOnly,
} from "../policy/model/presets.ts";
import { requirePolicy } from "../policy/model/require_rule.ts";
import { plainPolicyFile, type PolicyFile } from "../policy/model/settings.ts";
import { type Abortable, signalOf } from "./abortable.ts";
import type { PolicyCheck } from "./policy_check.ts";

/** A policy written in code. Absent defaults deny. */
export interface CustomPolicy {
  /** First match wins. */
  readonly rules?: readonly Rule[];
  /** What happens to a flow that no rule matches; one word for both directions, or one each. */
  readonly defaults?: Action | { readonly outbound?: Action; readonly inbound?: Action };
  /** How a denied flow looks to the guest: `drop` when absent. */
  readonly denyWith?: DenyWith;
}

/** Where policies come from. */
export interface NetworkPolicyConstructor {
  /** Everything, this machine and the networks around it included. */
  allowAll(): Policy;
  /** Nothing passes; the guest has no network device. */
  none(): Policy;
  /** Public addresses only: not this machine, its networks, or metadata services. */
  publicOnly(): Policy;
  /** The names that {@link NetworkPolicyConstructor.preset} takes. */
  readonly presetNames: readonly PresetName[];
  /**
   * A preset by its name, for a name that somebody else chose.
   *
   * @throws SbxError USAGE when there is none of that name
   */
  preset(name: string): Policy;
  /**
   * A policy of your own rules. What none of them matches is denied, unless `defaults` says otherwise.
   *
   * @throws SbxError USAGE, POLICY_INVALID
   */
  custom(options: CustomPolicy): Policy;
  /**
   * The policy in a YAML or JSON file, with its DNS settings and limits.
   *
   * @throws SbxError FILE_UNREADABLE, or POLICY_INVALID with file, line and column; the signal's reason
   */
  fromFile(path: string, options?: Abortable): Promise<PolicyFile>;
  /** The same from text; `path` names it in errors. @throws SbxError POLICY_INVALID */
  parse(text: string, path: string): Promise<PolicyFile>;
  /**
   * The names that never resolve under a policy file, with the lists that it points to.
   *
   * @throws SbxError FILE_UNREADABLE, or POLICY_INVALID with file and line; the signal's reason
   */
  blockedNames(file: PolicyFile, options?: Abortable): Promise<NameSet>;
  /**
   * What becomes of the expectations that are written in a policy file: `sbx policy test` as a value.
   * Nothing is started and nobody is asked.
   *
   * @throws SbxError as `blockedNames`
   */
  test(file: PolicyFile, options?: Abortable): Promise<readonly TestRow[]>;
  /**
   * What a policy has, and what in it does not do what it seems to: `sbx policy check` as a value.
   *
   * @throws SbxError as `blockedNames`
   */
  check(policy: Policy | PolicyFile, options?: Abortable): Promise<PolicyCheck>;
  /**
   * A policy as the value that a policy file would hold, for JSON or YAML: `parse` of that gives the same
   * policy. Rules are lines, or objects with every field where `long` is true.
   */
  spell(policy: Policy | PolicyFile, options?: SpellOptions): Promise<object>;
  /** The JSON Schema of policy files. */
  schema(): Promise<object>;
}

/** How a policy is spelled out. */
export interface SpellOptions {
  /** Each rule as an object instead of one line; false when absent. */
  readonly long?: boolean;
}

/** What makes policies. */
export const NetworkPolicy: NetworkPolicyConstructor = Object.freeze({
  allowAll,
  none,
  publicOnly,
  presetNames: PRESET_NAMES,

  preset(name: string): Policy {
    const preset = presetNamed(name);
    if (preset !== null) return preset;
    const shown = typeof name === "string" ? quote(name) : "…";
    throw misuse(`NetworkPolicy.preset(${shown})`, "there is no preset of that name", {
      hint: `the presets are ${PRESET_NAMES.join(", ")}`,
    });
  },

  custom(options: CustomPolicy): Policy {
    const call = "NetworkPolicy.custom(…)";
    const { rules = [], defaults = "deny", denyWith = "drop" } = optionsOf(call, options, {
      rules: true,
      defaults: true,
      denyWith: true,
    });
    const { outbound = "deny", inbound = "deny" } = typeof defaults === "string"
      ? { outbound: defaults, inbound: defaults }
      : optionsOf(call, defaults, { outbound: true, inbound: true });
    if (!Array.isArray(rules)) throw misuse(call, `${kindOf(rules)} is no list of rules`);
    const policy: Policy = Object.freeze({
      network: true,
      rules: Object.freeze([...rules]),
      defaults: Object.freeze({ outbound, inbound }),
      denyWith,
    });
    return requirePolicy(call, policy);
  },

  async fromFile(path: string, options: Abortable = {}): Promise<PolicyFile> {
    const signal = signalOf("NetworkPolicy.fromFile(…)", options);
    const { readTextFile } = await import("../base/text_file.ts");
    const text = await untilAborted(readTextFile("read policy", path), signal);
    return await NetworkPolicy.parse(text, path);
  },

  async parse(text: string, path: string): Promise<PolicyFile> {
    const { parsePolicyFile } = await import("../policy/file/load.ts");
    return parsePolicyFile(text, path);
  },

  async blockedNames({ dns }: PolicyFile, options: Abortable = {}): Promise<NameSet> {
    const signal = signalOf("NetworkPolicy.blockedNames(…)", options);
    const { readBlockedNames } = await import("../sandbox/blocked_names.ts");
    return await untilAborted(readBlockedNames(dns), signal);
  },

  async test(file: PolicyFile, options: Abortable = {}): Promise<readonly TestRow[]> {
    const { runExpectations } = await import("../judge/expectations.ts");
    return runExpectations(file, await NetworkPolicy.blockedNames(file, options));
  },

  async check(policy: Policy | PolicyFile, options: Abortable = {}): Promise<PolicyCheck> {
    const call = "NetworkPolicy.check(…)";
    const signal = signalOf(call, options);
    const { checkPolicy } = await import("./policy_check.ts");
    return await untilAborted(checkPolicy(fileOf(call, policy)), signal);
  },

  async spell(policy: Policy | PolicyFile, options: SpellOptions = {}): Promise<object> {
    const call = "NetworkPolicy.spell(…)";
    const { long = false } = optionsOf(call, options, { long: true });
    const { policyValue } = await import("../policy/file/spell_file.ts");
    return policyValue(fileOf(call, policy), flag(call, long) ? "objects" : "lines");
  },

  async schema(): Promise<object> {
    const { policyJsonSchema } = await import("../policy/file/schema.ts");
    return policyJsonSchema();
  },
});

function fileOf(call: string, policy: Policy | PolicyFile): PolicyFile {
  if (typeof policy !== "object" || policy === null) {
    throw misuse(call, `${kindOf(policy)} is no policy`);
  }
  return "policy" in policy ? policy : plainPolicyFile(requirePolicy(call, policy));
}
