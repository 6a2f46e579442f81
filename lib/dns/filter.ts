/**
 * What a guest may resolve, and what an answer may tell it.
 *
 * ```
 * question ─► visible? ─► known or local? ─► block lists ─► policy ─► …asked… ─► answer
 *                                                                           │ aliases: block lists, deny rules
 *                                                                           │ addresses and hints: rebind
 *                                                                           ▼ SVCB/HTTPS: hints, ECH out
 * ```
 *
 * Answers are judged each time they are given, from the cache too: policy may have changed since.
 *
 * @module
 */
import type { Address, Cidr } from "../base/address.ts";
import type { CompiledPolicy } from "../policy/decide/compile.ts";
import { evaluateName, type NameVerdict } from "../policy/decide/evaluate_name.ts";
import { NO_RULE } from "../policy/decide/scopes.ts";
import type { NameSet } from "../policy/model/name_set.ts";
import type { Refusal } from "../policy/model/policy.ts";
import { chainOf } from "./chain.ts";
import type { KnownName, KnownNames } from "./known_names.ts";
import { isBareHost, isLocalhost, isLocalName } from "./local_names.ts";
import { addressIn, isInside, isOpened } from "./rebind.ts";
import { Type } from "./wire/codes.ts";
import type { Message, Question, Resource } from "./wire/message.ts";
import { isSelfContained } from "./wire/rdata.ts";
import { formatBinding, hintsOf, overTcp, parseBinding, portOf, revealed } from "./wire/svcb.ts";
import { isVisible, MalformedDns, nameText } from "./wire/wire_name.ts";

/** How the guest asked. */
export type Via = "udp" | "tcp";

/** What the filter goes by; read anew for every question. */
export interface NameSnapshot {
  readonly compiled: CompiledPolicy;
  /** Names that never resolve, whatever the rules. */
  readonly blocked: NameSet;
  /** Known DNS-over-HTTPS services, when these are to be refused. */
  readonly doh: NameSet | null;
  readonly rebindProtection: boolean;
  /** Addresses of the host, the gateway among them. */
  readonly hosts: ReadonlySet<string>;
  /** Names that no resolver is asked for. */
  readonly known: KnownNames;
  /** TCP ports whose flows are intercepted, and names for which all are; null when nothing is. */
  readonly tls: Opened | null;
  /** The networks that its interfaces are on; absent: none. */
  readonly links?: readonly Cidr[];
}

interface Opened {
  readonly ports: ReadonlySet<number>;
  readonly hosts: NameSet;
}

/** Why a name is not answered. */
export interface NameRefusal extends Refusal {
  /** What the name is an alias of, where that is what is refused. Canonical. */
  readonly alias?: string;
  /** The addresses inside that the answer points to. */
  readonly withheld?: readonly string[];
}

export type NameRuling =
  | { readonly kind: "ask"; readonly why: NameVerdict }
  | { readonly kind: "localhost" }
  | { readonly kind: "known"; readonly known: KnownName }
  /** There is no such name, and no need to ask. */
  | { readonly kind: "absent" }
  | { readonly kind: "refuse"; readonly refusal: NameRefusal };

/** Judges the question alone. */
export function judgeQuestion(snapshot: NameSnapshot, question: Question, via: Via): NameRuling {
  if (!isVisible(question.name)) return refuse({ reason: "query-invalid" });
  const name = nameText(question.name);
  if (isLocalhost(name)) return { kind: "localhost" };
  const known = snapshot.known.find(name);
  if (known?.origin === "guest") return { kind: "known", known };
  if (known === null && snapshot.known.isExpanded(name)) return { kind: "absent" };
  // Networks do have names below `local` and the like; a rule that allows one means that one.
  if (
    known === null && isLocalName(name) &&
    snapshot.compiled.outbound.allow.lowestByName(name) === NO_RULE
  ) {
    return refuse({ reason: "local-name" });
  }
  const listed = listing(snapshot, name);
  if (listed !== null) return refuse(listed);
  if (known?.origin === "user") {
    // Nothing is asked, so that a default or a rule about questions has nothing to say to it.
    const denied = deniedByName(snapshot, name, via);
    return denied === null ? { kind: "known", known } : refuse(denied);
  }
  const why = evaluateName(snapshot.compiled, { name, transport: via, port: 53 });
  if (why.verdict === "refuse") return refuse(refusalOf(why));
  if (known !== null) return { kind: "known", known };
  if (isBareHost(name, question.type) && !isRuled(snapshot, name)) {
    return refuse({ reason: "local-name" });
  }
  return { kind: "ask", why };
}

export type AnswerRuling =
  | {
    readonly kind: "answer";
    readonly answers: readonly Resource[];
    readonly authorities: readonly Resource[];
    /** Names that the one asked for is an alias of. */
    readonly targets: readonly string[];
    /** Whether records were changed or left out, so that no signature speaks for the whole. */
    readonly altered: boolean;
  }
  | { readonly kind: "refuse"; readonly refusal: NameRefusal };

/** Judges what a resolver said to the question. */
export function judgeAnswer(
  snapshot: NameSnapshot,
  question: Question,
  message: Message,
  via: Via,
): AnswerRuling {
  const { records, targets } = chainOf(question, message.answers);
  for (const target of targets) {
    const refusal = judgeTarget(snapshot, target, via);
    if (refusal !== null) {
      return refuse({ ...refusal, detail: `alias of ${target}`, alias: target });
    }
  }
  const readable = records.filter(isReadable);
  const answers = isToReveal(snapshot)
    ? readable.flatMap((record) =>
      isService(record) ? shown(record, snapshot.tls, hostIn(question)) : [record]
    )
    : readable;
  const rebound = rebinding(snapshot, answers);
  if (rebound !== null) return refuse(rebound);
  const authorities = message.authorities
    .filter((record) => PROOFS.has(record.type) && isReadable(record));
  const altered = answers.length !== message.answers.length ||
    answers.some((record, index) => record.data !== message.answers[index]?.data);
  return { kind: "answer", answers, authorities, targets, altered };
}

/** Judges a name that the one asked for is an alias of. */
export function judgeTarget(snapshot: NameSnapshot, target: string, via: Via): Refusal | null {
  return listing(snapshot, target) ?? deniedByName(snapshot, target, via);
}

/** Whether the answer's address is one inside that no rule opens. */
export function isWithheld({ compiled, hosts, links }: NameSnapshot, address: Address): boolean {
  return isInside(address, hosts, links) && !isOpened(compiled.policy, address, hosts, links);
}

/** The refusal of an answer with addresses inside that no rule opens. */
export function rebinding(
  snapshot: NameSnapshot,
  answers: readonly Resource[],
): NameRefusal | null {
  const withheld = (snapshot.rebindProtection ? answers.flatMap(addressesIn) : [])
    .filter((address) => isWithheld(snapshot, address)).map(({ text }) => text);
  const [detail] = withheld;
  if (detail === undefined) return null;
  return { reason: "rebind", detail, withheld: [...new Set(withheld)] };
}

/** What the authority section is for: how long "no" holds, and the proof of it. */
const PROOFS: ReadonlySet<number> = new Set([
  Type.SOA,
  Type.NS,
  Type.DS,
  Type.RRSIG,
  Type.NSEC,
  Type.NSEC3,
]);

function refuse(refusal: NameRefusal): { readonly kind: "refuse"; readonly refusal: NameRefusal } {
  return { kind: "refuse", refusal };
}

/** Why nobody may ask for or state the name, whatever the rules say; null when no list has it. */
export function listing(
  { blocked, doh }: Pick<NameSnapshot, "blocked" | "doh">,
  name: string,
): Refusal | null {
  const entry = blocked.match(name);
  if (entry !== null) return { reason: "blocked-name", detail: entry };
  const service = doh?.match(name) ?? null;
  if (service === null) return null;
  return { reason: "blocked-name", detail: `${service} serves DNS over HTTPS` };
}

/**
 * The rule that denies a name by its name. A target needs no allow of its own: where an allowed name is hosted is its owner's business. A rule
 * that denies the target by name counts, or an alias would be all it takes to get around it.
 */
function deniedByName({ compiled }: NameSnapshot, name: string, via: Via): Refusal | null {
  const verdict = evaluateName(compiled, { name, transport: via, port: 53 });
  if (verdict.verdict === "resolve" || verdict.rule === undefined) return null;
  const kind = compiled.policy.rules[verdict.rule]?.destination.kind;
  return kind === "domain" || kind === "suffix" ? refusalOf(verdict) : null;
}

function refusalOf({ reason, rule }: NameVerdict): Refusal {
  return rule === undefined ? { reason } : { reason, rule };
}

/**
 * Whether ECH keys and hints come out: wherever flows are judged by a name that they state, be it by a
 * rule or by a list, or are opened. A provider's sites share one key, and the key of one would hide
 * the name of another, so that it is everybody's or nobody's.
 */
function isToReveal({ compiled: { outbound }, blocked, doh, tls }: NameSnapshot): boolean {
  return tls !== null || blocked.size > 0 || doh !== null ||
    outbound.allow.hasNames || outbound.deny.hasNames;
}

/** Whether any outbound rule is about the name, be it limited to ports or not. */
function isRuled({ compiled: { outbound } }: NameSnapshot, name: string): boolean {
  return outbound.allow.lowestByName(name) !== NO_RULE ||
    outbound.deny.lowestByName(name) !== NO_RULE;
}

/**
 * A service without hints and ECH key; none where it is on a port that is not intercepted while
 * others are: clients that do not find it there find it where the name says. The host of a secret is
 * opened on every port, but not over QUIC.
 */
function shown(record: Resource, opened: Opened | null, host: string): Resource[] {
  const binding = parseBinding(record.data);
  const isOfSecret = opened?.hosts.has(host) === true;
  const port = portOf(binding);
  const isElsewhere = port !== null && opened !== null && opened.ports.size > 0 &&
    !opened.ports.has(port);
  if (isElsewhere && !isOfSecret) return [];
  const open = isOfSecret ? overTcp(revealed(binding)) : revealed(binding);
  if (open === null) return [];
  const same = open.parameters.length === binding.parameters.length &&
    open.parameters.every(({ value }, at) => value === binding.parameters[at]?.value);
  return same ? [record] : [{ ...record, data: formatBinding(open) }];
}

/** Whose services are asked for: below it are their ports and schemes (`_8443._https`). */
function hostIn({ name }: Question): string {
  return nameText(name).replace(/^(?:_[^.]*\.)+/, "");
}

/** Whether what is judged is there, and no name points out of its record. */
function isReadable(record: Resource): boolean {
  if (record.type === Type.A || record.type === Type.AAAA) return addressIn(record) !== null;
  if (!isService(record)) return isSelfContained(record);
  try {
    const binding = parseBinding(record.data);
    hintsOf(binding);
    portOf(binding);
    revealed(binding);
    overTcp(binding);
    return true;
  } catch (error) {
    if (error instanceof MalformedDns) return false;
    throw error;
  }
}

function isService({ type }: Resource): boolean {
  return type === Type.SVCB || type === Type.HTTPS;
}

function addressesIn(record: Resource): Address[] {
  if (isService(record)) return hintsOf(parseBinding(record.data));
  const address = addressIn(record);
  return address === null ? [] : [address];
}
