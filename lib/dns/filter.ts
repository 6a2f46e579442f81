/**
 * What a guest may resolve, and what an answer may tell it.
 *
 * ```
 * question ─► visible? ─► local? ─► block lists ─► policy ─►  …asked…  ─► answer
 *                                                                           │ aliases: block lists, deny rules
 *                                                                           │ addresses and hints: rebind
 *                                                                           ▼ SVCB/HTTPS: hints, ECH out
 * ```
 *
 * Answers are judged each time they are given, from the cache too: policy may have changed since.
 *
 * @module
 */
import type { Address } from "../base/address.ts";
import type { CompiledPolicy } from "../policy/compile.ts";
import { evaluateName, type NameVerdict } from "../policy/evaluate_name.ts";
import type { NameSet } from "../policy/name_set.ts";
import type { ReasonId } from "../policy/policy.ts";
import { NO_RULE } from "../policy/scopes.ts";
import { chainOf } from "./chain.ts";
import { Type } from "./codes.ts";
import { isBareHost, isLocalhost, isLocalName } from "./local_names.ts";
import type { Message, Question, Resource } from "./message.ts";
import { addressIn, isInside, isOpened } from "./rebind.ts";
import { formatBinding, hintsOf, parseBinding, revealed } from "./svcb.ts";
import { isVisible, MalformedDns, nameText } from "./wire_name.ts";

/** How the guest asked. */
export type Via = "udp" | "tcp";

/** What the filter goes by; read anew for every question. */
export interface Court {
  readonly compiled: CompiledPolicy;
  /** Names that never resolve, whatever the rules. */
  readonly blocked: NameSet;
  /** Known DNS-over-HTTPS services, when these are to be refused. */
  readonly doh: NameSet | null;
  readonly rebindProtection: boolean;
  /** Addresses of the host, the gateway among them. */
  readonly hosts: ReadonlySet<string>;
  /**
   * Whose ECH keys and address hints are taken out: those of names under a rule (and everybody's
   * while a rule denies a name), or everybody's, for when flows are intercepted.
   */
  readonly reveal: "ruled" | "all";
}

/** Why a name is not answered. */
export interface Refusal {
  readonly reason: ReasonId;
  /** Index into `Policy.rules` when `reason` is `rule`. */
  readonly rule?: number;
  /** What it was about, when that is not the name asked for: an entry, a target, an address. */
  readonly detail?: string;
}

export type NameRuling =
  | { readonly kind: "ask"; readonly why: NameVerdict }
  | { readonly kind: "localhost" }
  | { readonly kind: "refuse"; readonly refusal: Refusal };

/** Judges the question alone. */
export function judgeQuestion(court: Court, question: Question, via: Via): NameRuling {
  if (!isVisible(question.name)) return refuse({ reason: "query-invalid" });
  const name = nameText(question.name);
  if (isLocalhost(name)) return { kind: "localhost" };
  // Networks do have names below `local` and the like; a rule that allows one means that one.
  if (isLocalName(name) && court.compiled.outbound.allow.lowestByName(name) === NO_RULE) {
    return refuse({ reason: "local-name" });
  }
  const listed = listing(court, name);
  if (listed !== null) return refuse(listed);
  const why = evaluateName(court.compiled, { name, transport: via, port: 53 });
  if (why.verdict === "refuse") return refuse(refusalOf(why));
  if (isBareHost(name, question.type) && !isRuled(court, name)) {
    return refuse({ reason: "local-name" });
  }
  return { kind: "ask", why };
}

export type AnswerRuling =
  | {
    readonly kind: "answer";
    readonly answers: readonly Resource[];
    readonly authorities: readonly Resource[];
    /** Whether records were changed or left out, so that no signature speaks for the whole. */
    readonly altered: boolean;
  }
  | { readonly kind: "refuse"; readonly refusal: Refusal };

/** Judges what a resolver said to the question. */
export function judgeAnswer(
  court: Court,
  question: Question,
  message: Message,
  via: Via,
): AnswerRuling {
  const { records, targets } = chainOf(question, message.answers);
  for (const target of targets) {
    const refusal = listing(court, target) ?? deniedTarget(court, target, via);
    if (refusal !== null) return refuse({ ...refusal, detail: `alias of ${target}` });
  }
  const names = [nameText(question.name), ...targets];
  const answers = isToReveal(court, names)
    ? records.flatMap(withoutSecrets)
    : records.filter(isReadable);
  for (const address of court.rebindProtection ? answers.flatMap(addressesIn) : []) {
    if (isInside(address, court.hosts) && !isOpened(court.compiled.policy, address, court.hosts)) {
      return refuse({ reason: "rebind", detail: address.text });
    }
  }
  const authorities = message.authorities.filter(({ type }) => PROOFS.has(type));
  const altered = answers.length !== message.answers.length ||
    answers.some((record, index) => record.data !== message.answers[index]?.data);
  return { kind: "answer", answers, authorities, altered };
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

function refuse(refusal: Refusal): { readonly kind: "refuse"; readonly refusal: Refusal } {
  return { kind: "refuse", refusal };
}

/** Why nobody may ask for or state the name, whatever the rules say; null when no list has it. */
export function listing(
  { blocked, doh }: Pick<Court, "blocked" | "doh">,
  name: string,
): Refusal | null {
  const entry = blocked.match(name);
  if (entry !== null) return { reason: "blocked-name", detail: entry };
  const service = doh?.match(name) ?? null;
  if (service === null) return null;
  return { reason: "blocked-name", detail: `${service} serves DNS over HTTPS` };
}

/**
 * A target needs no allow of its own: where an allowed name is hosted is its owner's business. A rule
 * that denies the target by name counts, or an alias would be all it takes to get around it.
 */
function deniedTarget({ compiled }: Court, target: string, via: Via): Refusal | null {
  const verdict = evaluateName(compiled, { name: target, transport: via, port: 53 });
  if (verdict.verdict === "resolve" || verdict.rule === undefined) return null;
  const kind = compiled.policy.rules[verdict.rule]?.destination.kind;
  return kind === "domain" || kind === "suffix" ? refusalOf(verdict) : null;
}

function refusalOf({ reason, rule }: NameVerdict): Refusal {
  return rule === undefined ? { reason } : { reason, rule };
}

/**
 * Whether ECH keys and hints come out. A provider's sites share one key: as long as a rule denies any
 * name, the key of another site would hide that name as well.
 */
function isToReveal(court: Court, names: readonly string[]): boolean {
  return court.reveal === "all" || court.compiled.outbound.deny.hasNames ||
    names.some((name) => isRuled(court, name));
}

/** Whether any outbound rule is about the name, be it limited to ports or not. */
function isRuled({ compiled: { outbound } }: Court, name: string): boolean {
  return outbound.allow.lowestByName(name) !== NO_RULE ||
    outbound.deny.lowestByName(name) !== NO_RULE;
}

/** Without hints and ECH key; a record that cannot be read could hide either and is left out. */
function withoutSecrets(record: Resource): Resource[] {
  if (!isReadable(record)) return [];
  if (!isService(record)) return [record];
  const binding = parseBinding(record.data);
  const shown = revealed(binding);
  const same = shown.parameters.length === binding.parameters.length;
  return same ? [record] : [{ ...record, data: formatBinding(shown) }];
}

/** Whether the parts that are judged are there; a client might see something in the others. */
function isReadable(record: Resource): boolean {
  if (record.type === Type.A || record.type === Type.AAAA) return addressIn(record) !== null;
  if (!isService(record)) return true;
  try {
    const binding = parseBinding(record.data);
    hintsOf(binding);
    revealed(binding);
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
