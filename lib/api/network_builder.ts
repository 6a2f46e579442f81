/**
 * The network of a sandbox, call by call. Builders are immutable: each call returns a new one, so a
 * half-finished one can be kept and finished in several ways.
 *
 * @module
 */
import { SbxError } from "../base/errors.ts";
import { callable, flag, kindOf, misuse, text } from "../base/misuse.ts";
import { canonicalName, canonicalSuffix } from "../base/name.ts";
import type { DenyWith, Policy, Rule } from "../policy/model/policy.ts";
import { PRESET_NAMES, publicOnly } from "../policy/model/presets.ts";
import { requirePolicy, requireRule } from "../policy/model/require_rule.ts";
import { type Secret, VIOLATION_ACTIONS, type ViolationAction } from "../policy/model/secret.ts";
import {
  type BlockList,
  type DnsSettings,
  plainPolicyFile,
  type PolicyFile,
  readServer,
} from "../policy/model/settings.ts";
import { type AddedHost, addedHost } from "../policy/text/added_host.ts";
import { orMisuse, quote } from "../policy/text/fault.ts";
import { parseRule, parseShortRule } from "../policy/text/grammar.ts";
import { gatherSecrets, parseSecret } from "../policy/text/secret_declaration.ts";
import type { NetworkOptions, Publication } from "../sandbox/options.ts";
import { requirePublication } from "../sandbox/publication.ts";
import { ProgramValues } from "../secret/program_values.ts";
import { SecretBuilder } from "./secret_builder.ts";
import { TlsBuilder } from "./tls_builder.ts";

/** What was called so far; absent fields leave it to the policy. */
interface Calls {
  readonly base: PolicyFile;
  readonly rules: readonly Rule[];
  readonly denyWith?: DenyWith;
  readonly dns: Partial<DnsSettings>;
  readonly block: readonly string[];
  readonly blockSuffix: readonly string[];
  readonly blockLists: readonly BlockList[];
  readonly hosts: readonly AddedHost[];
  readonly maxConnections?: number;
  readonly newFlowsPerSecond?: number;
  readonly publish: readonly Publication[];
  /** Present once TLS was configured. */
  readonly tls?: TlsBuilder;
  readonly trustHostCas?: boolean;
  readonly secrets: readonly Secret[];
  readonly secretValues?: ProgramValues;
  readonly onSecretViolation?: ViolationAction;
}

/** Describes the network of a sandbox; each call gives a new builder. */
export class NetworkBuilder {
  readonly #calls: Calls;

  /** @internal It is given to the function that `SandboxBuilder.network` takes. */
  constructor(calls: Calls = EMPTY) {
    this.#calls = calls;
  }

  /** The policy that decides; `public-only` when not called. A policy file brings its other settings. */
  policy(policy: Policy | PolicyFile): NetworkBuilder {
    return this.#with({ base: policyFileOf(policy) });
  }

  /** @internal Whether `policy` was called. */
  get hasPolicy(): boolean {
    return this.#calls.base !== EMPTY.base;
  }

  /**
   * A rule, or its text (`allow@*.npmjs.org:tcp:443`). Rules stand in the order of the calls, before
   * those of the policy, and the first match wins.
   */
  rule(rule: Rule | string): NetworkBuilder {
    const value = typeof rule === "string" ? parseRule(rule) : requireRule("rule(…)", rule);
    return this.#with({ rules: [...this.#calls.rules, value] });
  }

  /** Short for a rule that allows what the guest opens: `TARGET[:PORTS]`. */
  allow(target: string): NetworkBuilder {
    return this.rule(parseShortRule("allow", target));
  }

  /** Short for a rule that denies what the guest opens: `TARGET[:PORTS]`. */
  deny(target: string): NetworkBuilder {
    return this.rule(parseShortRule("deny", target));
  }

  /** How a denied flow looks to the guest: silence, or an error at once. */
  denyWith(denyWith: DenyWith): NetworkBuilder {
    return this.#with({ denyWith: oneOf("denyWith", denyWith, ["drop", "reject"]) });
  }

  /** Names that do not exist for the guest, whatever the rules say. */
  blockDomain(...names: readonly string[]): NetworkBuilder {
    const block = names.map((name) => canonical("blockDomain", name, canonicalName));
    return this.#with({ block: [...this.#calls.block, ...block] });
  }

  /** The same for names and everything below them. */
  blockDomainSuffix(...suffixes: readonly string[]): NetworkBuilder {
    const block = suffixes.map((suffix) => canonical("blockDomainSuffix", suffix, canonicalSuffix));
    return this.#with({ blockSuffix: [...this.#calls.blockSuffix, ...block] });
  }

  /**
   * The same for every name in a file: one a line, or in the format of `/etc/hosts`. The file is
   * read when the sandbox starts.
   */
  blockList(path: string, as: BlockList["as"] = "name"): NetworkBuilder {
    const list = {
      path: text("blockList(…)", path),
      as: oneOf("blockList", as, ["name", "suffix"]),
    };
    return this.#with({ blockLists: [...this.#calls.blockLists, list] });
  }

  /**
   * A name with an address of your own, for this sandbox; `host-gateway` is this machine. No resolver
   * is asked for it. Repeated, a name has several addresses.
   */
  addHost(name: string, address: string): NetworkBuilder {
    const call = `addHost(${quote(name)}, ${quote(address)})`;
    const host = orMisuse(call, () => addedHost(name, address));
    return this.#with({ hosts: [...this.#calls.hosts, host] });
  }

  /** Refuses answers that point a public name into private addresses; on when not called. */
  dnsRebindProtection(on: boolean): NetworkBuilder {
    const rebindProtection = flag("dnsRebindProtection(…)", on);
    return this.#with({ dns: { ...this.#calls.dns, rebindProtection } });
  }

  /** Resolvers as `ADDRESS` or `ADDRESS:PORT`, tried in order; the host's own when not called. */
  dnsServers(servers: readonly string[]): NetworkBuilder {
    return this.#with({ dns: { ...this.#calls.dns, servers: servers.map(server) } });
  }

  /** How long one query may take in all, in milliseconds. */
  dnsTimeout(ms: number): NetworkBuilder {
    return this.#with({ dns: { ...this.#calls.dns, timeoutMs: atLeastOne("dnsTimeout", ms) } });
  }

  /** Refuses the known public DNS-over-HTTPS services, by name and by address. */
  blockDoh(on = true): NetworkBuilder {
    return this.#with({ dns: { ...this.#calls.dns, blockDoh: flag("blockDoh(…)", on) } });
  }

  /**
   * Flows at once, TCP and UDP together; one more is refused and the old ones live on. Questions to
   * the resolver do not count.
   */
  maxConnections(count: number): NetworkBuilder {
    return this.#with({ maxConnections: atLeastOne("maxConnections", count) });
  }

  /** New flows a second; those beyond are refused. No limit when not called. */
  newFlowsPerSecond(count: number): NetworkBuilder {
    return this.#with({ newFlowsPerSecond: atLeastOne("newFlowsPerSecond", count) });
  }

  /**
   * Configures TLS, and turns its interception on unless told otherwise:
   * `tls((t) => t.bypass("*.example.com"))`. Later calls build on earlier ones.
   */
  tls(configure: (tls: TlsBuilder) => TlsBuilder): NetworkBuilder {
    const tls = callable("tls(…)", configure)(this.#calls.tls ?? new TlsBuilder());
    if (tls instanceof TlsBuilder) return this.#with({ tls });
    throw misuse("tls(…)", "the function gives no builder back", {
      hint: "return what the last call gave: tls((t) => t.opaque())",
    });
  }

  /** The guest, and sbx for it, trust what this machine trusts, beside the public authorities. */
  trustHostCas(on = true): NetworkBuilder {
    return this.#with({ trustHostCas: flag("trustHostCas(…)", on) });
  }

  /**
   * A value that the guest has a placeholder of, in the environment variable of this name, and that
   * requests to its hosts get in the placeholder's place. TLS to these hosts is opened, whatever
   * {@link NetworkBuilder.tls} says:
   * `secret("API_KEY", (s) => s.env("KEY").hosts("api.example.com"))`. Or the same as a declaration:
   * `secret("API_KEY=env:KEY@api.example.com")`.
   */
  secret(declaration: Secret | string): NetworkBuilder;
  /** The same, call by call. */
  secret(name: string, configure: (secret: SecretBuilder) => SecretBuilder): NetworkBuilder;
  secret(
    declared: Secret | string,
    configure?: (secret: SecretBuilder) => SecretBuilder,
  ): NetworkBuilder {
    const { secrets, secretValues = new ProgramValues() } = this.#calls;
    if (typeof declared === "object" && declared !== null) {
      return this.#with({ secrets: [...secrets, declared] });
    }
    text("secret(…)", declared);
    if (configure === undefined) return this.secret(parseSecret(declared));
    const builder = callable("secret(…)", configure)(new SecretBuilder());
    if (!(builder instanceof SecretBuilder)) {
      throw misuse("secret(…)", "the function gives no builder back", {
        hint: 'return what the last call gave: secret("KEY", (s) => s.hosts("api.example.com"))',
      });
    }
    const { secret, value } = builder.build(declared);
    return this.#with({
      secrets: [...secrets, secret],
      ...(value === undefined ? {} : { secretValues: secretValues.with(secret.name, value) }),
    });
  }

  /** What happens when a placeholder is on its way to a foreign host; `block` when not called. */
  onSecretViolation(action: ViolationAction): NetworkBuilder {
    const read = oneOf("onSecretViolation", action, VIOLATION_ACTIONS);
    return this.#with({ onSecretViolation: read });
  }

  /** Leads a port of this machine to one of the guest. */
  publish(publication: Publication): NetworkBuilder {
    return this.#with({ publish: [...this.#calls.publish, requirePublication(publication)] });
  }

  /** The plain values. */
  build(): NetworkOptions {
    const { base, rules, denyWith, dns, publish, secretValues } = this.#calls;
    const maxConnections = this.#calls.maxConnections ?? base.limits.maxConnections;
    const newFlowsPerSecond = this.#calls.newFlowsPerSecond ?? base.limits.newFlowsPerSecond;
    // `none` means that nothing may pass. A rule that lets something pass needs a device for it.
    const network = base.policy.network || rules.some((rule) => rule.action === "allow");
    const [unreachable] = network ? [] : publish;
    if (unreachable !== undefined) {
      const { hostPort, guestPort } = unreachable;
      throw new SbxError(
        "USAGE",
        `Cannot publish port ${hostPort} to ${guestPort}: the policy gives the guest no network`,
        { hint: "allow the peers with an inbound rule, like allow:inbound@any" },
      );
    }
    const tls = this.#calls.tls?.build(base.tls) ?? base.tls;
    const hosts = [...this.#calls.hosts, ...base.dns.hosts ?? []];
    return {
      policy: {
        ...base.policy,
        network,
        rules: [...rules, ...base.policy.rules],
        denyWith: denyWith ?? base.policy.denyWith,
      },
      dns: {
        ...base.dns,
        ...dns,
        block: [...base.dns.block, ...this.#calls.block],
        blockSuffix: [...base.dns.blockSuffix, ...this.#calls.blockSuffix],
        blockLists: [...base.dns.blockLists, ...this.#calls.blockLists],
        ...(hosts.length === 0 ? {} : { hosts }),
      },
      tls: { ...tls, trustHostCas: this.#calls.trustHostCas ?? tls.trustHostCas },
      publish,
      secrets: {
        secrets: gatherSecrets([...base.secrets.secrets, ...this.#calls.secrets]),
        onViolation: this.#calls.onSecretViolation ?? base.secrets.onViolation,
      },
      ...(secretValues === undefined ? {} : { secretValues }),
      ...(maxConnections === undefined ? {} : { maxConnections }),
      ...(newFlowsPerSecond === undefined ? {} : { newFlowsPerSecond }),
    };
  }

  #with(calls: Partial<Calls>): NetworkBuilder {
    return new NetworkBuilder({ ...this.#calls, ...calls });
  }
}

const EMPTY: Calls = {
  base: plainPolicyFile(publicOnly()),
  rules: [],
  dns: {},
  block: [],
  blockSuffix: [],
  blockLists: [],
  hosts: [],
  publish: [],
  secrets: [],
};

function policyFileOf(policy: Policy | PolicyFile): PolicyFile {
  if (typeof policy === "object" && policy !== null) {
    if ("policy" in policy) return policy;
    if ("rules" in policy) return plainPolicyFile(requirePolicy("policy(…)", policy));
  }
  const known = typeof policy === "string" && PRESET_NAMES.find((name) => name === policy);
  throw misuse("policy(…)", `${kindOf(policy)} is no policy`, {
    hint: known
      ? `write policy(NetworkPolicy.preset(${quote(known)}))`
      : "give what NetworkPolicy.publicOnly() or await NetworkPolicy.fromFile(…) gives",
  });
}

function canonical(call: string, text: string, read: (text: string) => string | null): string {
  const name = read(text);
  if (name === null) throw misuse(`${call}(${quote(text)})`, "not a domain name");
  return name;
}

function server(text: string): string {
  return orMisuse(`dnsServers(${quote(text)})`, () => readServer(text));
}

function oneOf<T extends string>(call: string, value: T, words: readonly T[]): T {
  if (words.includes(value)) return value;
  throw misuse(
    `${call}(${quote(value)})`,
    "unknown word",
    { hint: `use one of ${words.join(", ")}` },
  );
}

function atLeastOne(call: string, value: number): number {
  if (Number.isInteger(value) && value >= 1) return value;
  throw misuse(`${call}(${value})`, "not a whole number above 0");
}
