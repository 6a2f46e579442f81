/**
 * The resolver that the guest talks to, whatever address it asked.
 *
 * ```
 * bytes ─► query ─► rate ─► filter ─► cache ─► upstream ─► filter ─► pins ─► reply
 *            │        │        │                  │           │
 *         FORMERR  REFUSED  NXDOMAIN          SERVFAIL     NXDOMAIN
 *         NOTIMP            localhost                      (alias, rebind)
 *         REFUSED  known names
 * ```
 *
 * @module
 */
import { type Clock, systemClock } from "../base/clock.ts";
import { nameFromWire } from "../base/name.ts";
import { TokenBucket } from "../base/token_bucket.ts";
import type { ReasonId } from "../policy/model/policy.ts";
import { formatRule } from "../policy/text/grammar.ts";
import type { Sighting, Tripwire } from "../secret/tripwire.ts";
import { describeSightings } from "../secret/violation.ts";
import { AnswerCache } from "./cache.ts";
import { sightingsIn } from "./carried.ts";
import {
  judgeAnswer,
  judgeQuestion,
  type NameRefusal,
  type NameSnapshot,
  rebinding,
  type Via,
} from "./filter.ts";
import { type KnownName, knownRecords } from "./known_names.ts";
import { localhostRecords } from "./local_names.ts";
import type { Pins } from "./pins.ts";
import { type GuestQuery, type Reading, readQuery } from "./query.ts";
import { QuestionLife } from "./question_life.ts";
import { addressIn } from "./rebind.ts";
import { type Reply, replyTo } from "./reply.ts";
import { type Ask, NoAnswer, type Upstream } from "./upstream.ts";
import { Ede, Flag, Rcode, typeName } from "./wire/codes.ts";
import { extendedErrors } from "./wire/edns.ts";
import { type Message, type Question, rcodeOf, type Resource } from "./wire/message.ts";
import { nameText } from "./wire/wire_name.ts";

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
  /** See {@link NameRefusal}. */
  readonly alias?: string;
  readonly withheld?: readonly string[];
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

/** As much work as a question by itself; an answer with more counts as several. */
const CHEAP_RECORDS = 8;

const DNS_LIMITS: DnsLimits = { queriesPerSecond: 1_000, burst: 2_000, underWay: 1_024 };

export interface DnsOptions {
  /** What is in force; read for every query, because it may be replaced. */
  readonly snapshot: () => NameSnapshot;
  readonly pins: Pins;
  readonly upstream: Upstream;
  /** Finds placeholders of secrets in questions, which go nowhere then. Absent: there are none. */
  readonly tripwire?: Tripwire;
  /** `name` as in {@link DnsEvent}. */
  readonly onCarried?: (sightings: readonly Sighting[], name: string) => void;
  readonly onEvent?: (event: DnsEvent) => void;
  readonly limits?: Partial<DnsLimits>;
  readonly clock?: Clock;
}

export interface DnsService {
  /** The answer to one message, or null when it deserves none. Never rejects. */
  answer(query: Uint8Array, via: Via, asked?: string): Promise<Uint8Array | null>;
  /** From here on other resolvers are asked, and what the earlier ones said or have yet to say is worth nothing. */
  askElsewhere(upstream: Upstream): void;
  /** Tells of the queries that were refused for their number and not told of yet. */
  close(): void;
}

export function createDns(options: DnsOptions): DnsService {
  return new Service(options);
}

const REBOUND = { code: Ede.Blocked, text: "rebind" } as const;

/** A query that was understood, with where and when it came. */
interface Case {
  readonly query: GuestQuery;
  readonly via: Via;
  readonly asked: string | undefined;
  readonly start: number;
  readonly life: QuestionLife;
}

class Service implements DnsService {
  readonly #options: DnsOptions;
  readonly #clock: Clock;
  readonly #cache: AnswerCache;
  readonly #bucket: TokenBucket;
  readonly #limits: DnsLimits;
  /** Identical questions under way share one exchange. */
  readonly #asking = new Map<string, Promise<Message>>();
  #upstream: Upstream;
  #questions = 0;
  #underWay = 0;
  #limited = 0;
  #tellLater: (() => void) | null = null;

  constructor(options: DnsOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#limits = { ...DNS_LIMITS, ...options.limits };
    const { queriesPerSecond, burst } = this.#limits;
    this.#cache = new AnswerCache(this.#clock.now);
    this.#upstream = options.upstream;
    this.#bucket = new TokenBucket(queriesPerSecond, burst, this.#clock.now);
  }

  async answer(bytes: Uint8Array, via: Via, asked?: string): Promise<Uint8Array | null> {
    const reading = readQuery(bytes);
    if (reading.kind === "ignore") return null;
    const start = this.#clock.now();
    const life = new QuestionLife(++this.#questions);
    life.become("asked", via);
    const carried = sightingsIn(this.#options.tripwire, bytes, reading);
    if (carried.length > 0) return this.#stop(reading, carried, { via, asked, start, life });
    if (!this.#bucket.take() || this.#underWay >= this.#limits.underWay) {
      this.#countLimited();
      life.become("denied", "dns-limit");
      if (reading.kind === "reply") return reading.bytes;
      const error = { code: Ede.Other, text: "dns-limit" };
      return replyTo(reading.query, { rcode: Rcode.Refused, error }, via);
    }
    if (reading.kind === "reply") {
      const invalid = { query: reading, via, asked, start, life };
      this.#report(invalid, "refused", { reason: "query-invalid" });
      return reading.bytes;
    }
    const { query } = reading;
    this.#underWay++;
    try {
      return replyTo(query, await this.#resolve({ query, via, asked, start, life }), via);
    } finally {
      this.#underWay--;
    }
  }

  askElsewhere(upstream: Upstream): void {
    this.#upstream = upstream;
    this.#cache.clear();
    this.#asking.clear();
  }

  close(): void {
    this.#tellLater?.();
    this.#tellLimited();
  }

  /** A placeholder belongs to nobody who would be asked for a name, however well that is formed. */
  #stop(
    reading: Exclude<Reading, { kind: "ignore" }>,
    sightings: readonly Sighting[],
    how: Omit<Case, "query">,
  ): Uint8Array {
    const query = reading.kind === "query" ? reading.query : reading;
    const detail = describeSightings(sightings);
    this.#report({ ...how, query }, "refused", { reason: "secret-violation", detail });
    const { question } = query;
    this.#options.onCarried?.(sightings, question === undefined ? "" : nameText(question.name));
    if (reading.kind === "reply") return reading.bytes;
    const error = { code: Ede.Blocked, text: "secret-violation" };
    return replyTo(reading.query, { rcode: Rcode.Refused, error }, how.via);
  }

  async #resolve(asked: Case): Promise<Reply> {
    const { query: { question, edns }, via, life } = asked;
    const ruling = judgeQuestion(this.#options.snapshot(), question, via);
    if (ruling.kind === "refuse") return this.#refuse(asked, ruling.refusal);
    if (ruling.kind === "ask") life.become("allowed", ruling.why.reason);
    else life.become("known", ruling.kind);
    if (ruling.kind === "localhost") {
      this.#report(asked, "answered", { rcode: Rcode.NoError });
      return { rcode: Rcode.NoError, answers: localhostRecords(question) };
    }
    if (ruling.kind === "absent") {
      this.#report(asked, "answered", { rcode: Rcode.NxDomain });
      return { rcode: Rcode.NxDomain };
    }
    if (ruling.kind === "known") return this.#tell(asked, ruling.known);
    const message = await this.#ask({ question, dnssecOk: edns?.dnssecOk === true }, life);
    if (message === null) {
      this.#report(asked, "failed", { rcode: Rcode.ServFail });
      const error = { code: Ede.NetworkError, text: "no resolver of the host answered" };
      return { rcode: Rcode.ServFail, error };
    }
    const records = message.answers.length + message.authorities.length;
    this.#bucket.charge(Math.max(0, records / CHEAP_RECORDS - 1));
    // The policy may have changed while the resolver thought.
    const now = judgeQuestion(this.#options.snapshot(), question, via);
    if (now.kind === "refuse") return this.#refuse(asked, now.refusal);
    if (now.kind !== "ask") return await this.#resolve(asked);
    const answer = judgeAnswer(this.#options.snapshot(), question, message, via);
    if (answer.kind === "refuse") return this.#refuse(asked, answer.refusal);
    const answers = this.#pin(question, answer.answers, answer.targets);
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

  /** A name that is known here. What makes pins is what resolvers' answers would have made them of. */
  #tell(asked: Case, known: KnownName): Reply {
    const { question } = asked.query;
    const answers = knownRecords(question, known);
    const rebound = known.origin === "hosts" ? rebinding(this.#options.snapshot(), answers) : null;
    // The guest is not to learn from a refusal what this machine knows of its network.
    if (rebound !== null) return { ...this.#refuse(asked, rebound), error: REBOUND };
    const pinned = known.origin === "guest" ? [] : this.#pin(question, answers);
    this.#report(asked, "answered", { rcode: Rcode.NoError, answers: pinned });
    return { rcode: Rcode.NoError, answers };
  }

  /** The resolvers' answer, or null when there is none. */
  async #ask(ask: Ask, life: QuestionLife): Promise<Message | null> {
    const { question, dnssecOk } = ask;
    const key = `${nameText(question.name)} ${question.type} ${dnssecOk}`;
    const cached = this.#cache.get(key);
    if (cached !== null) {
      life.become("cached", "hit");
      return cached;
    }
    let asking = this.#asking.get(key);
    life.become("forwarded", asking === undefined ? "miss" : "shared");
    const upstream = this.#upstream;
    if (asking === undefined) {
      const first = upstream.ask(ask);
      asking = first;
      this.#asking.set(key, first);
      const done = (message?: Message) => {
        if (this.#asking.get(key) === first) this.#asking.delete(key);
        if (message !== undefined && upstream === this.#upstream) this.#cache.put(key, message);
      };
      first.then(done, () => done());
    }
    try {
      const message = await asking;
      return upstream === this.#upstream ? message : await this.#ask(ask, life);
    } catch (error) {
      if (upstream !== this.#upstream) return await this.#ask(ask, life);
      if (error instanceof NoAnswer) return null;
      throw error;
    }
  }

  /** Pins the addresses to the name that was asked for, and to no other; returns them. */
  #pin(
    question: Question,
    records: readonly Resource[],
    targets: readonly string[] = [],
  ): string[] {
    const { pins } = this.#options;
    const name = nameFromWire(nameText(question.name));
    const addresses = records.flatMap((record) => {
      const address = addressIn(record);
      if (address === null) return [];
      if (name !== null) pins.learn(name, address.text, record.ttl);
      return [address.text];
    });
    if (name !== null) pins.alias(name, targets);
    return addresses;
  }

  /** NXDOMAIN, not REFUSED: glibc takes that for a broken server and asks it again and again. */
  #refuse(asked: Case, refusal: NameRefusal): Reply {
    this.#report(asked, "refused", refusal);
    const { reason, rule, detail } = refusal;
    const written = rule === undefined
      ? undefined
      : this.#options.snapshot().compiled.policy.rules[rule];
    const text = [
      rule === undefined ? reason : `${reason} ${rule}`,
      ...(written === undefined ? [] : [formatRule(written)]),
      ...(detail === undefined ? [] : [detail]),
    ].join(": ");
    const code = rule === undefined && reason !== "default" ? Ede.Blocked : Ede.Prohibited;
    return { rcode: Rcode.NxDomain, error: { code, text } };
  }

  #report(
    { query: { question }, via, asked, start, life }: Omit<Case, "query"> & {
      readonly query: { readonly question?: Question };
    },
    verdict: DnsEvent["verdict"],
    what: Partial<NameRefusal> & { readonly rcode?: number; readonly answers?: readonly string[] },
  ): void {
    const event = what.reason ?? (what.rcode === undefined ? "answer" : `rcode ${what.rcode}`);
    life.become(verdict === "refused" ? "denied" : verdict, event);
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
