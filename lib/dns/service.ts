/**
 * The resolver that the guest talks to, whatever address it asked.
 *
 * ```
 * bytes ─► checks ─► local names ─► block lists ─► policy ─► cache / resolvers ─► answer checks ─► pins ─► bytes
 *            │            │              │            │                              │
 *         FORMERR…     NXDOMAIN       NXDOMAIN     NXDOMAIN                   NXDOMAIN (rebind, CNAME)
 * ```
 *
 * @module
 */
import { canonicalName } from "../base/name.ts";
import type { CompiledPolicy } from "../policy/compile.ts";
import { evaluateName } from "../policy/evaluate_name.ts";
import type { NameSet } from "../policy/name_set.ts";
import type { Policy, ReasonId } from "../policy/policy.ts";
import { AnswerCache } from "./answer_cache.ts";
import { isLocalhost, isLocalName } from "./local_zones.ts";
import {
  type Encoded,
  encodeMessage,
  Flag,
  type Message,
  opcodeOf,
  parseHead,
  parseMessage,
  type Question,
  Rcode,
  rcodeOf,
  type Resource,
  Type,
} from "./message.ts";
import type { Pins } from "./pins.ts";
import { addressIn, isInside, opensAddress } from "./rebind.ts";
import { stripHints } from "./svcb.ts";
import { askUpstream, type UpstreamOptions } from "./upstream.ts";
import { MalformedDns, nameText } from "./wire_name.ts";

export type Via = "udp" | "tcp";

/** One query with what became of it, for the journal. Names are canonical or escaped. */
export interface DnsEvent {
  readonly kind: "dns";
  readonly name: string;
  readonly type: number;
  readonly via: Via;
  readonly verdict: "answered" | "refused" | "failed";
  readonly reason?: ReasonId;
  readonly rule?: number;
  readonly answers: readonly string[];
  readonly ms: number;
}

export interface DnsOptions {
  /** The policy in force; read for every query, because it may be replaced. */
  readonly compiled: () => CompiledPolicy;
  readonly pins: Pins;
  readonly blocked: NameSet;
  readonly rebindProtection: boolean;
  /** Its explicit address rules exempt addresses from rebind protection. */
  readonly policy: Policy;
  readonly upstream: UpstreamOptions;
  readonly onEvent: (event: DnsEvent) => void;
}

export interface DnsService {
  /** The answer to one message, or null when there is none to give. Never rejects. */
  answer(query: Uint8Array, via: Via): Promise<Uint8Array | null>;
}

/** Queries of one sandbox under way at once; the rest is told to come back. */
const MAX_IN_FLIGHT = 256;

/** Largest UDP answer whatever the guest offers: the virtual link does not fragment below it. */
const MAX_UDP = 4096;
const MIN_UDP = 512;

const CLASS_IN = 1;
const ZONE_TRANSFERS = new Set([251, 252]);

/** Extended DNS errors (RFC 8914 4): Blocked by this resolver's operator, Forged, Prohibited. */
const EDE_OPTION = 15;
const Ede = { Blocked: 15, Filtered: 17, Prohibited: 18 } as const;

/** Why a name is not answered. */
interface Refusal {
  readonly reason: ReasonId;
  readonly rule?: number;
  readonly ede: number;
}

export function createDns(options: DnsOptions): DnsService {
  return new Service(options);
}

class Service implements DnsService {
  readonly #options: DnsOptions;
  readonly #cache = new AnswerCache();
  /** Identical questions under way share one exchange. */
  readonly #asking = new Map<string, Promise<Message>>();
  #inFlight = 0;

  constructor(options: DnsOptions) {
    this.#options = options;
  }

  async answer(bytes: Uint8Array, via: Via): Promise<Uint8Array | null> {
    const head = parseHead(bytes);
    // Answers are not questions: reflecting them would make two resolvers talk for ever.
    if (head === null || (head.flags & Flag.QR) !== 0) return null;
    let query: Message;
    try {
      query = parseMessage(bytes);
    } catch (error) {
      if (error instanceof MalformedDns) return bare(head, Rcode.FormErr);
      throw error;
    }
    const [question] = query.questions;
    if (opcodeOf(query.flags) !== 0) return bare(head, Rcode.NotImp);
    if (question === undefined || query.questions.length !== 1) return bare(head, Rcode.FormErr);
    if (query.edns !== undefined && query.edns.version !== 0) return badVersion(query);
    if (question.class !== CLASS_IN || ZONE_TRANSFERS.has(question.type)) {
      return encode(query, via, { rcode: Rcode.Refused });
    }
    if (this.#inFlight >= MAX_IN_FLIGHT) return encode(query, via, { rcode: Rcode.ServFail });
    this.#inFlight++;
    try {
      return await this.#resolve(query, question, via);
    } finally {
      this.#inFlight--;
    }
  }

  async #resolve(query: Message, question: Question, via: Via): Promise<Uint8Array> {
    const start = performance.now();
    const text = nameText(question.name);
    const name = canonicalName(text);
    const report = (verdict: DnsEvent["verdict"], refusal?: Refusal, answers: string[] = []) =>
      this.#options.onEvent({
        kind: "dns",
        name: text,
        type: question.type,
        via,
        verdict,
        ...(refusal === undefined ? {} : { reason: refusal.reason }),
        ...(refusal?.rule === undefined ? {} : { rule: refusal.rule }),
        answers,
        ms: Math.round(performance.now() - start),
      });
    const refuse = (refusal: Refusal) => {
      report("refused", refusal);
      return encode(query, via, { rcode: Rcode.NxDomain, refusal });
    };
    if (name !== null && isLocalhost(name)) {
      report("answered");
      return encode(query, via, { rcode: Rcode.NoError, answers: localhost(question) });
    }
    const early = this.#refuseName(name, via);
    if (early !== null) return refuse(early);

    let message: Message;
    try {
      message = await this.#ask(question, query.edns?.dnssecOk ?? false);
    } catch {
      report("failed");
      return encode(query, via, { rcode: Rcode.ServFail });
    }
    const late = this.#refuseAnswer(message, via);
    if (late !== null) return refuse(late);
    const cleaned = clean(message);
    const learnt = this.#pin(name, question, cleaned);
    report("answered", undefined, learnt);
    return encode(query, via, {
      rcode: rcodeOf(message.flags),
      answers: cleaned.answers,
      authorities: cleaned.authorities,
      authentic: (message.flags & Flag.AD) !== 0,
    });
  }

  /** What the question alone decides. A name no host can have is asked for under no rule's name. */
  #refuseName(name: string | null, via: Via): Refusal | null {
    if (name === null) {
      const verdict = evaluateName(this.#options.compiled(), {
        name: "",
        transport: via,
        port: 53,
      });
      return verdict.verdict === "resolve" ? null : refusalOf(verdict);
    }
    if (isLocalName(name)) return { reason: "local-name", ede: Ede.Filtered };
    if (this.#options.blocked.has(name)) return { reason: "blocked-name", ede: Ede.Blocked };
    const verdict = evaluateName(this.#options.compiled(), { name, transport: via, port: 53 });
    return verdict.verdict === "resolve" ? null : refusalOf(verdict);
  }

  /** What the answer adds: names it leads to, and addresses it must not hold. */
  #refuseAnswer(message: Message, via: Via): Refusal | null {
    for (const record of message.answers) {
      if (record.type === Type.CNAME || record.type === Type.DNAME) {
        const target = canonicalName(nameText(targetOf(record)));
        if (target !== null && this.#options.blocked.has(target)) {
          return { reason: "blocked-name", ede: Ede.Blocked };
        }
        const denied = target === null ? null : this.#deniedByRule(target, via);
        if (denied !== null) return denied;
      }
    }
    if (!this.#options.rebindProtection) return null;
    for (const record of [...message.answers, ...message.additionals]) {
      const address = addressIn(record);
      if (address !== null && isInside(address) && !opensAddress(this.#options.policy, address)) {
        return { reason: "rebind", ede: Ede.Filtered };
      }
    }
    return null;
  }

  /** A CNAME target needs no allow of its own, but an explicit deny of it counts. */
  #deniedByRule(name: string, via: Via): Refusal | null {
    const verdict = evaluateName(this.#options.compiled(), { name, transport: via, port: 53 });
    return verdict.verdict === "refuse" && verdict.rule !== undefined ? refusalOf(verdict) : null;
  }

  #ask(question: Question, dnssecOk: boolean): Promise<Message> {
    const key = `${nameText(question.name)}/${question.type}/${dnssecOk}`;
    const cached = this.#cache.get(key);
    if (cached !== null) return Promise.resolve(cached);
    let asking = this.#asking.get(key);
    if (asking === undefined) {
      asking = askUpstream(question, dnssecOk, this.#options.upstream)
        .then((message) => {
          this.#cache.put(key, message);
          return message;
        })
        .finally(() => this.#asking.delete(key));
      this.#asking.set(key, asking);
    }
    return asking;
  }

  /** Pins along the chain that starts at the question; records of other owners pin nothing. */
  #pin(name: string | null, question: Question, message: Pick<Message, "answers">): string[] {
    if (name === null) return [];
    const chain = new Set([nameText(question.name)]);
    for (const record of message.answers) {
      if (record.type === Type.CNAME && chain.has(nameText(record.name))) {
        chain.add(nameText(targetOf(record)));
      }
    }
    const learnt: string[] = [];
    for (const record of message.answers) {
      const address = addressIn(record);
      if (address === null || !chain.has(nameText(record.name))) continue;
      this.#options.pins.learn(name, address.text, record.ttl);
      learnt.push(address.text);
    }
    return learnt;
  }
}

function refusalOf(verdict: { readonly reason: ReasonId; readonly rule?: number }): Refusal {
  const why = { reason: verdict.reason, ede: Ede.Prohibited };
  return verdict.rule === undefined ? why : { ...why, rule: verdict.rule };
}

/** The name in a CNAME's data, which is uncompressed. */
function targetOf(record: Resource): Uint8Array[] {
  const labels: Uint8Array[] = [];
  for (let at = 0; at < record.data.length;) {
    const size = record.data[at] ?? 0;
    if (size === 0) break;
    labels.push(record.data.subarray(at + 1, at + 1 + size));
    at += 1 + size;
  }
  return labels;
}

/** Takes hints and ECH keys out of HTTPS and SVCB records, and drops what does not survive that. */
function clean(message: Message): Pick<Message, "answers" | "authorities"> {
  const answers = message.answers.flatMap((record) => {
    if (record.type !== Type.HTTPS && record.type !== Type.SVCB) return [record];
    try {
      const data = stripHints(record.data);
      return data === null ? [] : [{ ...record, data }];
    } catch {
      return [];
    }
  });
  return { answers, authorities: message.authorities };
}

function localhost(question: Question): Resource[] {
  const data = question.type === Type.A
    ? Uint8Array.of(127, 0, 0, 1)
    : question.type === Type.AAAA
    ? Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1)
    : null;
  if (data === null) return [];
  return [{ name: question.name, type: question.type, class: CLASS_IN, ttl: 3600, data }];
}

/** What to say; the question and the guest's own header bits come from its query. */
interface Reply {
  readonly rcode: number;
  readonly answers?: readonly Resource[];
  readonly authorities?: readonly Resource[];
  readonly authentic?: boolean;
  readonly refusal?: Refusal;
}

/** An answer that fits the transport: over UDP a longer one is cut to nothing, with TC set. */
function encode(query: Message, via: Via, reply: Reply): Uint8Array {
  const flags = Flag.QR | Flag.RA | query.flags & (Flag.RD | Flag.CD) |
    (reply.authentic === true ? Flag.AD : 0) | reply.rcode;
  const options = reply.refusal === undefined ? [] : [edeOption(reply.refusal)];
  const message: Encoded = {
    id: query.id,
    flags,
    questions: query.questions,
    answers: reply.answers ?? [],
    authorities: reply.authorities ?? [],
    additionals: [],
    // RFC 6891 6.1.1: OPT only to who sent one.
    ...(query.edns === undefined
      ? {}
      : { edns: { size: MAX_UDP, dnssecOk: query.edns.dnssecOk, options } }),
  };
  const bytes = encodeMessage(message);
  const offered = query.edns === undefined ? MIN_UDP : query.edns.size;
  if (via === "tcp" || bytes.length <= Math.min(MAX_UDP, Math.max(MIN_UDP, offered))) return bytes;
  return encodeMessage({ ...message, flags: flags | Flag.TC, answers: [], authorities: [] });
}

function edeOption({ reason, rule, ede }: Refusal): { code: number; data: Uint8Array } {
  const text = new TextEncoder().encode(rule === undefined ? reason : `${reason} ${rule}`);
  const data = new Uint8Array(2 + text.length);
  new DataView(data.buffer).setUint16(0, ede);
  data.set(text, 2);
  return { code: EDE_OPTION, data };
}

/** A header with nothing after it, for queries that could not be read. */
function bare(head: { readonly id: number; readonly flags: number }, rcode: number): Uint8Array {
  const bytes = new Uint8Array(12);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, head.id);
  view.setUint16(2, Flag.QR | Flag.RA | head.flags & (0x7800 | Flag.RD) | rcode);
  return bytes;
}

/** RFC 6891 6.1.3: BADVERS, whose upper bits stand in the OPT record, needs a record of its own. */
function badVersion(query: Message): Uint8Array {
  const reply = encode({ ...query, edns: { size: MAX_UDP, version: 0, dnssecOk: false } }, "tcp", {
    rcode: Rcode.NoError,
  });
  reply[reply.length - 6] = 1; // extended RCODE 1 << 4 = 16 = BADVERS
  return reply;
}
