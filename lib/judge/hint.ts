/**
 * Which change of the settings would let something pass that was refused: the first of its reason's
 * remedies under which the same thing, played again, passes. What no change is known to open has no
 * hint, and a name that may be forged is no reason to open its address.
 *
 * @module
 */
import { parseAddress } from "../base/address.ts";
import {
  isWithheld,
  judgeQuestion,
  judgeTarget,
  type NameRefusal,
  type Via,
} from "../dns/filter.ts";
import { hostQuestion } from "../dns/wire/message.ts";
import type { Refusal, Rule } from "../policy/model/policy.ts";
import { reasonOf } from "../policy/model/reasons.ts";
import type { Remedy } from "../policy/model/remedy.ts";
import { isOfAuthority } from "../tls/session/upstream_failure.ts";
import { applyChange, type Change } from "./change.ts";
import { isGuarded } from "./dial.ts";
import { type FlowInfo, hasPorts } from "./flow_info.ts";
import { hypotheticalFlow, wordsOf } from "./hypothetical.ts";
import type { Ruling } from "./ruling.ts";
import { simulate, type SimulatedFlow } from "./simulate.ts";
import type { Snapshot } from "./snapshot.ts";

/** Something that was refused, with what is needed to play it again. */
export type Refused =
  | { readonly kind: "flow"; readonly info: FlowInfo; readonly ruling: Ruling }
  /** A question for a canonical name, or its answer. */
  | {
    readonly kind: "name";
    readonly name: string;
    readonly via: Via;
    readonly refusal: NameRefusal;
  }
  | {
    readonly kind: "request";
    readonly info: FlowInfo;
    readonly scheme: "http" | "https";
    /** A canonical name or an address. */
    readonly host: string;
    readonly refusal: Refusal;
  };

/** The smallest and safest change that lets it pass; null when none is known to. */
export function hintFor(snapshot: Snapshot, refused: Refused): Change | null {
  // Then it was refused for something that is not played again, and no change would mend that.
  if (passes(snapshot, refused)) return null;
  const { reason } = refused.kind === "flow" ? refused.ruling : refused.refusal;
  for (const remedy of reasonOf(reason).remedies) {
    for (const change of proposals(snapshot, refused, remedy)) {
      if (passes(applyChange(snapshot, change), refused)) return change;
    }
  }
  return null;
}

/** Stands for a file that the user has to name. */
const FILE = "FILE";

/** More addresses than this are no matter of some rules. */
const MOST_RULES = 4;

function proposals(snapshot: Snapshot, refused: Refused, remedy: Remedy): readonly Change[] {
  if (refused.kind === "name") return nameProposals(snapshot, refused, remedy);
  const { info } = refused;
  const name = nameOf(refused);
  switch (remedy) {
    case "allow-name":
      // Where ports are no part of it, an address says more.
      return name === undefined || !hasPorts(info) ? [] : [allow(domain(name, [info.dport]))];
    case "allow-address":
      return isUnproven(snapshot, refused) ? [] : [allow(addressRule(info))];
    case "allow-answer":
      return [];
    case "ports": {
      const ports = [...snapshot.tls?.ports ?? []].filter((port) => port !== info.dport);
      return ports.length === 0 ? [] : [{ kind: "ports", ports }];
    }
    case "bypass":
      return name === undefined ? [] : [{ kind: "bypass", name }];
    case "no-verify":
      // Without a proof of its name, nobody gets a secret.
      return isOfSecret(snapshot, name) ? [] : [{ kind: "no-verify", host: name ?? info.dst }];
    case "upstream-ca":
      return [{ kind: "upstream-ca", file: FILE }];
    case "quic":
      // What it would let pass can be nothing but unread.
      return isOfSecret(snapshot, ...snapshot.pins.namesOf(info.dst)) ? [] : [{ kind: remedy }];
    case "opaque":
      return [{ kind: remedy }];
  }
}

function isOfSecret({ tls }: Snapshot, ...names: readonly (string | undefined)[]): boolean {
  return tls !== null && names.some((name) => name !== undefined && tls.hosts.has(name));
}

function nameProposals(
  { hosts }: Snapshot,
  { name, refusal: { alias, withheld = [] } }: Refused & { kind: "name" },
  remedy: Remedy,
): readonly Change[] {
  if (remedy === "allow-name") {
    return [name, ...(alias === undefined ? [] : [alias])].map((each) => allow(domain(each, [])));
  }
  if (remedy !== "allow-answer" || withheld.length > MOST_RULES) return [];
  // All ports of this machine, or of a metadata service, are more than an answer is worth.
  if (withheld.some((address) => hosts.has(address) || isGuarded(address))) return [];
  return [allow(...withheld.map((address) => addressAlone(address)))];
}

/** Whether it passes under the changed settings. */
function passes(changed: Snapshot, refused: Refused): boolean {
  if (refused.kind === "name") return resolves(changed, refused);
  return simulate(changed, again(changed, refused)).verdict === "allow";
}

function resolves(
  changed: Snapshot,
  { name, via, refusal: { alias, withheld = [] } }: Refused & { kind: "name" },
): boolean {
  if (judgeQuestion(changed, hostQuestion(name), via).kind === "refuse") return false;
  if (alias !== undefined && judgeTarget(changed, alias, via) !== null) return false;
  // An answer that leads nowhere is not worth a hint.
  return withheld.every((text) => {
    const address = parseAddress(text);
    if (address === null || changed.rebindProtection && isWithheld(changed, address)) return false;
    const flow = hypotheticalFlow(changed, {
      direction: "outbound",
      protocol: "tcp",
      address: text,
      port: 443,
    });
    return simulate(changed, flow).verdict === "allow";
  });
}

/** The refused flow or request, as it would come again. */
function again(changed: Snapshot, refused: Exclude<Refused, { kind: "name" }>): SimulatedFlow {
  const { info } = refused;
  if (refused.kind === "request") {
    const { scheme, host } = refused;
    // A request in a session with a name is for that name; policy has none of its own to refuse.
    const first = scheme === "http" ? { kind: "http", host } as const : { kind: "tls" } as const;
    return { info, first, requests: [host] };
  }
  const { first, name, reason, detail } = refused.ruling;
  if (first !== undefined) {
    return { info, first: { kind: "bytes", bytes: first.bytes }, end: first.end };
  }
  const named = name === undefined ? {} : { sni: name };
  switch (reason) {
    case "tls-protocol":
      return { info, first: { kind: "tls", ...named, alpn: [FOREIGN_PROTOCOL] } };
    case "upstream-untrusted": {
      const why = detail ?? "";
      const proof = isOfAuthority(why) ? { provenBy: FILE } : {};
      const server = { kind: "untrusted", why, ...proof } as const;
      return { info, first: { kind: "tls", ...named }, server };
    }
    case "mtls":
      return { info, first: { kind: "tls", ...named }, server: { kind: "mtls" } };
    default:
      return { info, first: wordsOf(changed, info, name) };
  }
}

/** Spoken by nobody, so that it stands for whatever is not HTTP. */
const FOREIGN_PROTOCOL = "x-foreign";

/** The name that it goes by, if any: stated, or the one that its address was resolved from. */
function nameOf(refused: Exclude<Refused, { kind: "name" }>): string | undefined {
  if (refused.kind === "flow") return refused.ruling.name;
  return parseAddress(refused.host) === null ? refused.host : undefined;
}

/** Whether it states a name that was not resolved to its address. */
function isUnproven({ pins }: Snapshot, refused: Exclude<Refused, { kind: "name" }>): boolean {
  if (refused.kind === "flow") return refused.ruling.unpinned === true;
  const name = nameOf(refused);
  return name !== undefined && !pins.has(name, refused.info.dst);
}

function allow(...rules: readonly Rule[]): Change {
  return { kind: "rules", rules };
}

function domain(name: string, ports: readonly number[]): Rule {
  return {
    action: "allow",
    direction: "outbound",
    destination: { kind: "domain", name },
    protocols: [],
    ports: ports.map((port) => ({ from: port, to: port })),
  };
}

function addressAlone(address: string): Rule {
  const cidr = `${address}/${address.includes(":") ? 128 : 32}`;
  return { ...domain("", []), destination: { kind: "cidr", cidr } };
}

function addressRule(info: FlowInfo): Rule {
  const { dir, proto, src, dst, dport } = info;
  const rule = addressAlone(dir === "inbound" ? src : dst);
  if (!hasPorts(info)) return { ...rule, protocols: [proto] };
  const ports = [{ from: dport, to: dport }];
  return dir === "outbound"
    ? { ...rule, ports }
    : { ...rule, direction: dir, protocols: [proto], ports };
}
