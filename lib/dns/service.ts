/**
 * The resolver that the guest talks to, whatever address it asked.
 *
 * ```
 * bytes ─► query ─► rate ─► filter ─► cache ─► upstream ─► filter ─► pins ─► reply
 *            │        │        │                  │           │
 *         FORMERR  REFUSED  NXDOMAIN          SERVFAIL     NXDOMAIN
 *         NOTIMP            localhost                      (alias, rebind)
 *         REFUSED
 * ```
 *
 * @module
 */
import { type Clock, systemClock } from "../base/clock.ts";
import { nameFromWire } from "../base/name.ts";
import { TokenBucket } from "../base/token_bucket.ts";
import type { CompiledPolicy } from "../policy/compile.ts";
import { formatRule } from "../policy/grammar.ts";
import { NameSet } from "../policy/name_set.ts";
import type { ReasonId } from "../policy/policy.ts";
import { AnswerCache } from "./cache.ts";
import { Ede, Flag, Rcode, typeName } from "./codes.ts";
import { dohNames } from "./doh_endpoints.ts";
import { extendedErrors } from "./edns.ts";
import { type Court, judgeAnswer, judgeQuestion, type Refusal, type Via } from "./filter.ts";
import { localhostRecords } from "./local_names.ts";
import { type Message, type Question, rcodeOf, type Resource } from "./message.ts";
import type { Pins } from "./pins.ts";
import { type GuestQuery, readQuery } from "./query.ts";
import { addressIn } from "./rebind.ts";
import { type Reply, replyTo } from "./reply.ts";
import { type Ask, NoAnswer, type Upstream } from "./upstream.ts";
import { nameText } from "./wire_name.ts";

export type { Via } from "./filter.ts";

/** One query with what became of it, for the journal. */
export interface DnsEvent {
  readonly kind: "dns";
  /** Canonical where the name is a host's; bytes that host names do not have are escaped. */
  readonly name: string;
  /** `A`, `HTTPS`, `TYPE65400`. */
  readonly type: string;
  readonly via: Via;
  /** The resolver that the guest meant to ask. */
  readonly asked?: string;
  /** `failed`: no resolver answered. */
  readonly verdict: "answered" | "refused" | "failed";
  readonly reason?: ReasonId;
  /** Index into `Policy.rules`. */
  readonly rule?: number;
  /** The list entry, alias target or address that the reason is about. */
  readonly detail?: string;
  /** The response code of an answer. */
  readonly rcode?: number;
  /** Addresses in the answer, canonical. */
  readonly answers: readonly string[];
  readonly ms: number;
  /** More than this one query: those refused for their number are told together. */
  readonly count?: number;
}

export interface DnsLimits {
  readonly queriesPerSecond: number;
  readonly burst: number;
  /** Queries under way at once, waiting ones included. */
  readonly underWay: number;
}

export const DNS_LIMITS: DnsLimits = { queriesPerSecond: 1_000, burst: 2_000, underWay: 1_024 };

export interface DnsOptions {
  /** The policy in force; read for every query, because it may be replaced. */
  readonly compiled: () => CompiledPolicy;
  /** Addresses of this machine, the gateway's among them; read for every query as well. */
  readonly hosts: () => ReadonlySet<string>;
  readonly pins: Pins;
  readonly upstream: Upstream;
  readonly blocked?: NameSet;
  /** Refuses known DNS-over-HTTPS services; off when absent. */
  readonly blockDoh?: boolean;
  /** On when absent. */
  readonly rebindProtection?: boolean;
  /** Takes ECH keys and address hints from every name's answers, not only from ruled ones'. */
  readonly revealAll?: boolean;
  readonly onEvent?: (event: DnsEvent) => void;
  readonly limits?: Partial<DnsLimits>;
  readonly clock?: Clock;
}

export interface DnsService {
  /** The answer to one message, or null when it deserves none. Never rejects. */
  answer(query: Uint8Array, via: Via, asked?: string): Promise<Uint8Array | null>;
  /** Tells of the queries that were refused for their number and not told of yet. */
  close(): void;
}

export function createDns(options: DnsOptions): DnsService {
  return new Service(options);
}

/** A query that was understood, with where and when it came. */
interface Case {
  readonly query: GuestQuery;
  readonly via: Via;
  readonly asked: string | undefined;
  readonly start: number;
}

class Service implements DnsService {
  readonly #options: DnsOptions;
  readonly #clock: Clock;
  readonly #cache: AnswerCache;
  readonly #bucket: TokenBucket;
  readonly #limits: DnsLimits;
  readonly #settings: Pick<Court, "blocked" | "doh" | "rebindProtection" | "reveal">;
  /** Identical questions under way share one exchange. */
  readonly #asking = new Map<string, Promise<Message>>();
  #underWay = 0;
  #limited = 0;
  #tellLater: (() => void) | null = null;

  constructor(options: DnsOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#limits = { ...DNS_LIMITS, ...options.limits };
    const { queriesPerSecond, burst } = this.#limits;
    this.#cache = new AnswerCache(this.#clock.now);
    this.#bucket = new TokenBucket(queriesPerSecond, burst, this.#clock.now);
    this.#settings = {
      blocked: options.blocked ?? new NameSet(),
      doh: options.blockDoh === true ? dohNames() : null,
      rebindProtection: options.rebindProtection ?? true,
      reveal: options.revealAll === true ? "all" : "ruled",
    };
  }

  async answer(bytes: Uint8Array, via: Via, asked?: string): Promise<Uint8Array | null> {
    const reading = readQuery(bytes);
    if (reading.kind === "ignore") return null;
    const start = this.#clock.now();
    if (!this.#bucket.take() || this.#underWay >= this.#limits.underWay) {
      this.#countLimited();
      if (reading.kind === "reply") return reading.bytes;
      const error = { code: Ede.Other, text: "dns-limit" };
      return replyTo(reading.query, { rcode: Rcode.Refused, error }, via);
    }
    if (reading.kind === "reply") {
      this.#report({ query: reading, via, asked, start }, "refused", { reason: "query-invalid" });
      return reading.bytes;
    }
    const { query } = reading;
    this.#underWay++;
    try {
      return replyTo(query, await this.#resolve({ query, via, asked, start }), via);
    } finally {
      this.#underWay--;
    }
  }

  close(): void {
    this.#tellLater?.();
    this.#tellLimited();
  }

  async #resolve(asked: Case): Promise<Reply> {
    const { query: { question, flags, edns }, via } = asked;
    const ruling = judgeQuestion(this.#court(), question, via);
    if (ruling.kind === "refuse") return this.#refuse(asked, ruling.refusal);
    if (ruling.kind === "localhost") {
      this.#report(asked, "answered", { rcode: Rcode.NoError });
      return { rcode: Rcode.NoError, answers: localhostRecords(question) };
    }
    const checkingDisabled = (flags & Flag.CD) !== 0;
    const ask = { question, dnssecOk: edns?.dnssecOk === true, checkingDisabled };
    const message = await this.#ask(ask);
    if (message === null) {
      this.#report(asked, "failed", { rcode: Rcode.ServFail });
      const error = { code: Ede.NetworkError, text: "no resolver of the host answered" };
      return { rcode: Rcode.ServFail, error };
    }
    // The policy may have changed while the resolver thought.
    const answer = judgeAnswer(this.#court(), question, message, via);
    if (answer.kind === "refuse") return this.#refuse(asked, answer.refusal);
    const answers = this.#pin(question, answer.answers);
    const rcode = rcodeOf(message);
    this.#report(asked, "answered", { rcode, answers });
    return {
      rcode,
      answers: answer.answers,
      authorities: answer.authorities,
      authentic: (message.flags & Flag.AD) !== 0 && !answer.altered,
      options: extendedErrors(message.edns),
    };
  }

  #court(): Court {
    const { compiled, hosts } = this.#options;
    return { ...this.#settings, compiled: compiled(), hosts: hosts() };
  }

  /** The resolvers' answer, or null when there is none. */
  async #ask(ask: Ask): Promise<Message | null> {
    const { question, dnssecOk, checkingDisabled } = ask;
    const key = `${nameText(question.name)} ${question.type} ${dnssecOk} ${checkingDisabled}`;
    const cached = this.#cache.get(key);
    if (cached !== null) return cached;
    let asking = this.#asking.get(key);
    if (asking === undefined) {
      asking = this.#options.upstream.ask(ask).finally(() => this.#asking.delete(key));
      this.#asking.set(key, asking);
      asking.then((message) => this.#cache.put(key, message), () => {});
    }
    try {
      return await asking;
    } catch (error) {
      if (error instanceof NoAnswer) return null;
      throw error;
    }
  }

  /** Pins the addresses to the name that was asked for, and to no other; returns them. */
  #pin(question: Question, records: readonly Resource[]): string[] {
    const name = nameFromWire(nameText(question.name));
    return records.flatMap((record) => {
      const address = addressIn(record);
      if (address === null) return [];
      if (name !== null) this.#options.pins.learn(name, address.text, record.ttl);
      return [address.text];
    });
  }

  /** NXDOMAIN, not REFUSED: glibc takes that for a broken server and asks it again and again. */
  #refuse(asked: Case, refusal: Refusal): Reply {
    this.#report(asked, "refused", refusal);
    const { reason, rule, detail } = refusal;
    const written = rule === undefined ? undefined : this.#options.compiled().policy.rules[rule];
    const text = [
      rule === undefined ? reason : `${reason} ${rule}`,
      ...(written === undefined ? [] : [formatRule(written)]),
      ...(detail === undefined ? [] : [detail]),
    ].join(": ");
    const code = rule === undefined && reason !== "default" ? Ede.Blocked : Ede.Prohibited;
    return { rcode: Rcode.NxDomain, error: { code, text } };
  }

  #report(
    { query: { question }, via, asked, start }: Omit<Case, "query"> & {
      readonly query: { readonly question?: Question };
    },
    verdict: DnsEvent["verdict"],
    what: Partial<Refusal> & { readonly rcode?: number; readonly answers?: readonly string[] },
  ): void {
    this.#options.onEvent?.({
      kind: "dns",
      name: question === undefined ? "" : nameText(question.name),
      type: question === undefined ? "" : typeName(question.type),
      via,
      ...(asked === undefined ? {} : { asked }),
      verdict,
      answers: [],
      ...what,
      ms: Math.round(this.#clock.now() - start),
    });
  }

  /** One event a second, or a flood of queries becomes a flood of lines. */
  #countLimited(): void {
    this.#limited++;
    this.#tellLater ??= this.#clock.after(1_000, () => this.#tellLimited());
  }

  #tellLimited(): void {
    this.#tellLater = null;
    const [count, reason] = [this.#limited, "dns-limit"] as const;
    if (count === 0) return;
    this.#limited = 0;
    const event = { kind: "dns", name: "", type: "", via: "udp", verdict: "refused" } as const;
    this.#options.onEvent?.({ ...event, reason, count, answers: [], ms: 0 });
  }
}
