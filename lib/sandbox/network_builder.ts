/**
 * The network of a sandbox, call by call. Builders are immutable: each call returns a new one, so a
 * half-finished one can be kept and finished in several ways.
 *
 * @module
 */
import { parseAddress } from "../base/address.ts";
import { SbxError } from "../base/errors.ts";
import { canonicalName, canonicalSuffix } from "../base/name.ts";
import { orError, quote } from "../policy/fault.ts";
import { parseRule, parseShortRule } from "../policy/grammar.ts";
import type { DenyWith, Policy, Rule } from "../policy/policy.ts";
import { publicOnly } from "../policy/presets.ts";
import {
  type BlockList,
  type DnsSettings,
  plainPolicyFile,
  type PolicyFile,
  readServer,
} from "../policy/settings.ts";
import type { NetworkOptions, Publication } from "./options.ts";
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
  readonly maxConnections?: number;
  readonly newFlowsPerSecond?: number;
  readonly publish: readonly Publication[];
  /** Present once TLS was configured. */
  readonly tls?: TlsBuilder;
  readonly trustHostCas?: boolean;
}

export class NetworkBuilder {
  readonly #calls: Calls;

  constructor(calls: Calls = EMPTY) {
    this.#calls = calls;
  }

  /** The policy that decides; `public-only` when not called. A policy file brings its other settings. */
  policy(policy: Policy | PolicyFile): NetworkBuilder {
    return this.#with({ base: "policy" in policy ? policy : plainPolicyFile(policy) });
  }

  /**
   * A rule, or its text (`allow@*.npmjs.org:tcp:443`). Rules stand in the order of the calls, before
   * those of the policy, and the first match wins.
   */
  rule(rule: Rule | string): NetworkBuilder {
    const value = typeof rule === "string" ? parseRule(rule) : rule;
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
    const list = { path, as: oneOf("blockList", as, ["name", "suffix"]) };
    return this.#with({ blockLists: [...this.#calls.blockLists, list] });
  }

  /** Refuses answers that point a public name into private addresses; on when not called. */
  dnsRebindProtection(on: boolean): NetworkBuilder {
    return this.#with({ dns: { ...this.#calls.dns, rebindProtection: on } });
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
    return this.#with({ dns: { ...this.#calls.dns, blockDoh: on } });
  }

  /** Flows at once, TCP and UDP together; one more is refused and the old ones live on. */
  maxConnections(count: number): NetworkBuilder {
    return this.#with({ maxConnections: atLeastOne("maxConnections", count) });
  }

  newFlowsPerSecond(count: number): NetworkBuilder {
    return this.#with({ newFlowsPerSecond: atLeastOne("newFlowsPerSecond", count) });
  }

  /**
   * Configures TLS, and turns its interception on unless told otherwise:
   * `tls((t) => t.bypass("*.example.com"))`. Later calls build on earlier ones.
   */
  tls(configure: (tls: TlsBuilder) => TlsBuilder): NetworkBuilder {
    return this.#with({ tls: configure(this.#calls.tls ?? new TlsBuilder()) });
  }

  /** The guest, and sbx for it, trust what this machine trusts, beside the public authorities. */
  trustHostCas(on = true): NetworkBuilder {
    return this.#with({ trustHostCas: on });
  }

  /** Leads a port of this machine to one of the guest. */
  publish(publication: Publication): NetworkBuilder {
    const { hostPort, guestPort, bind } = publication;
    const shown = `publish(${hostPort} to ${guestPort})`;
    if (!isPort(hostPort) || !isPort(guestPort) || guestPort === 0) {
      throw misuse(shown, "ports are 1 to 65535, and 0 on the host lets the system choose");
    }
    if (bind !== undefined && parseAddress(bind) === null) {
      throw misuse(shown, `${JSON.stringify(bind)} is no address to listen on`);
    }
    const protocol = oneOf("publish", publication.protocol, ["tcp", "udp"]);
    return this.#with({ publish: [...this.#calls.publish, { ...publication, protocol }] });
  }

  /** The plain values. */
  build(): NetworkOptions {
    const { base, rules, denyWith, dns, publish } = this.#calls;
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
      },
      tls: { ...tls, trustHostCas: this.#calls.trustHostCas ?? tls.trustHostCas },
      publish,
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
  publish: [],
};

function canonical(call: string, text: string, read: (text: string) => string | null): string {
  const name = read(text);
  if (name === null) throw misuse(`${call}(${JSON.stringify(text)})`, "not a domain name");
  return name;
}

function server(text: string): string {
  return orError(`use dnsServers(${quote(text)})`, () => readServer(text));
}

function oneOf<T extends string>(call: string, value: T, words: readonly T[]): T {
  if (words.includes(value)) return value;
  throw misuse(
    `${call}(${JSON.stringify(value)})`,
    `unknown word`,
    `use one of ${words.join(", ")}`,
  );
}

function atLeastOne(call: string, value: number): number {
  if (Number.isInteger(value) && value >= 1) return value;
  throw misuse(`${call}(${value})`, "not a whole number above 0");
}

function isPort(port: number): boolean {
  return Number.isInteger(port) && port >= 0 && port <= 65535;
}

function misuse(call: string, state: string, hint?: string): SbxError {
  return new SbxError("USAGE", `Cannot use ${call}: ${state}`, hint === undefined ? {} : { hint });
}
