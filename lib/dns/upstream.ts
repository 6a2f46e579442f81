/**
 * Asking the host's resolvers.
 *
 * One question is a race of attempts. The first starts at once with the first resolver; the next one
 * starts when an attempt fails, or when none has answered for a while, with the next resolver. No
 * attempt is given up before the deadline, because a slow answer is still an answer:
 *
 * ```
 * resolver 1  ├──────────────────────────────────╳ unused
 * resolver 2      ├────────╴answer                        the first conclusive answer wins
 * resolver 1             ├─────────╳
 *             0   1 s    3 s                              … deadline
 * ```
 *
 * Inconclusive is a resolver that cannot or will not say (SERVFAIL, REFUSED, NOTIMP, FORMERR). It is
 * not asked again, and what it said is used only when nobody does better. A SERVFAIL that says that
 * signatures are wrong is conclusive: a resolver that does not look at them knows no better.
 *
 * @module
 */
import { randomInt } from "node:crypto";
import { type Clock, systemClock } from "../base/clock.ts";
import { Semaphore } from "../base/semaphore.ts";
import { type Exchanges, type Resolver, socketExchanges, UnderAttack } from "./exchange.ts";
import { Flag, Rcode } from "./wire/codes.ts";
import { parseMessage } from "./wire/decode.ts";
import { isBogus, OUR_UDP_SIZE } from "./wire/edns.ts";
import { encodeMessage } from "./wire/encode.ts";
import { type Message, opcodeOf, type Question, rcodeOf } from "./wire/message.ts";
import { loweredName, MalformedDns, nameText } from "./wire/wire_name.ts";

export type { Resolver } from "./exchange.ts";

/** All of a guest's query that travels on. */
export interface Ask {
  readonly question: Question;
  /** The guest wants signatures. */
  readonly dnssecOk: boolean;
}

export interface UpstreamOptions {
  /** In the order of preference. */
  readonly resolvers: readonly Resolver[];
  /** For one question over all attempts, in milliseconds. */
  readonly timeoutMs?: number;
  /** Questions asked at once; more wait. Bounds the sockets that a guest can make us open. */
  readonly concurrency?: number;
  readonly clock?: Clock;
  readonly exchanges?: Exchanges;
}

export interface Upstream {
  /** @throws NoAnswer when no resolver said anything in time. */
  ask(ask: Ask): Promise<Message>;
}

/** No resolver answered. */
export class NoAnswer extends Error {
  override readonly name = "NoAnswer";
}

const DEFAULT_TIMEOUT_MS = 8_000;
const DEFAULT_CONCURRENCY = 128;

/** How long the first, second … attempt may be silent before the next one starts as well. */
const PATIENCE_MS: readonly number[] = [1_000, 2_000, 3_000];
const ATTEMPTS = PATIENCE_MS.length + 1;

/** A resolver that was silent is asked last for this long. */
const DISTRUST_MS = 30_000;

const INCONCLUSIVE: ReadonlySet<number> = new Set([
  Rcode.FormErr,
  Rcode.ServFail,
  Rcode.NotImp,
  Rcode.Refused,
]);

/** What was found out about a resolver. */
interface Server {
  readonly resolver: Resolver;
  silentAt: number;
  /** It answers FORMERR to OPT records (RFC 6891 §7). */
  plain: boolean;
}

export function createUpstream(options: UpstreamOptions): Upstream {
  return new Race(options);
}

class Race implements Upstream {
  readonly #servers: readonly Server[];
  readonly #timeoutMs: number;
  readonly #clock: Clock;
  readonly #exchanges: Exchanges;
  readonly #slots: Semaphore;

  constructor(options: UpstreamOptions) {
    this.#servers = options.resolvers.map((resolver) => ({
      resolver,
      silentAt: Number.NEGATIVE_INFINITY,
      plain: false,
    }));
    this.#timeoutMs = options.timeoutMs ?? DEFAULT_TIMEOUT_MS;
    this.#clock = options.clock ?? systemClock;
    this.#exchanges = options.exchanges ?? socketExchanges;
    this.#slots = new Semaphore(options.concurrency ?? DEFAULT_CONCURRENCY);
  }

  ask(ask: Ask): Promise<Message> {
    const deadline = this.#clock.now() + this.#timeoutMs;
    return this.#slots.run(() => {
      const leftMs = deadline - this.#clock.now();
      return leftMs > 0 ? this.#run(ask, leftMs) : Promise.reject(new NoAnswer("no slot in time"));
    });
  }

  #run(ask: Ask, leftMs: number): Promise<Message> {
    const { promise, resolve, reject } = Promise.withResolvers<Message>();
    const over = new AbortController();
    const plan = this.#plan();
    const unable = new Set<Server>();
    let fallback: Message | undefined;
    let open = 0;
    let cancelPatience = () => {};
    const giveUp = () =>
      fallback === undefined ? reject(new NoAnswer("no resolver answered")) : resolve(fallback);
    const cancelDeadline = this.#clock.after(leftMs, giveUp);

    const begin = () => {
      cancelPatience();
      const server = plan.shift();
      if (server === undefined) return open === 0 ? giveUp() : undefined;
      if (unable.has(server)) return begin();
      const patience = PATIENCE_MS[ATTEMPTS - plan.length - 1];
      if (patience !== undefined) {
        cancelPatience = this.#clock.after(patience, () => {
          server.silentAt = this.#clock.now();
          begin();
        });
      }
      open++;
      this.#attempt(server, ask, over.signal).then((message) => {
        open--;
        server.silentAt = Number.NEGATIVE_INFINITY;
        if (!INCONCLUSIVE.has(rcodeOf(message)) || isBogus(message)) return resolve(message);
        unable.add(server);
        fallback ??= message;
        begin();
      }, () => {
        open--;
        if (over.signal.aborted) return;
        server.silentAt = this.#clock.now();
        begin();
      });
    };
    begin();
    return promise.finally(() => {
      cancelPatience();
      cancelDeadline();
      over.abort();
    });
  }

  /** Whom to ask, attempt by attempt. */
  #plan(): Server[] {
    const trusted = this.#clock.now() - DISTRUST_MS;
    const order = [...this.#servers].sort((a, b) =>
      Number(a.silentAt > trusted) - Number(b.silentAt > trusted)
    );
    return Array.from({ length: ATTEMPTS }, (_, attempt) => order[attempt % order.length])
      .filter((server) => server !== undefined);
  }

  async #attempt(server: Server, ask: Ask, signal: AbortSignal): Promise<Message> {
    const answer = await this.#exchange(server.resolver, ask, !server.plain, signal);
    if (server.plain || rcodeOf(answer) !== Rcode.FormErr) return answer;
    const plain = await this.#exchange(server.resolver, ask, false, signal);
    server.plain = rcodeOf(plain) !== Rcode.FormErr;
    return plain;
  }

  async #exchange(
    resolver: Resolver,
    ask: Ask,
    edns: boolean,
    signal: AbortSignal,
  ): Promise<Message> {
    const exchange = (transport: Exchanges["udp"]) => {
      const id = randomInt(0x1_0000);
      const read = (bytes: Uint8Array) => answerTo(bytes, id, ask.question);
      return transport(resolver, queryBytes(id, ask, edns), read, signal);
    };
    try {
      const answer = await exchange(this.#exchanges.udp);
      if ((answer.flags & Flag.TC) === 0) return answer;
    } catch (error) {
      if (!(error instanceof UnderAttack)) throw error;
    }
    return await exchange(this.#exchanges.tcp);
  }
}

/**
 * A clean query. Nothing of the guest's but the question and one bit goes out: no options, no other
 * records, not even its spelling of the name, in which bits could be hidden as well.
 *
 * That bit is DO. CD stays here: answers make pins, and a guest that could tell the resolver to
 * leave its checks out would be given, and be allowed, the addresses that somebody forged.
 */
function queryBytes(id: number, ask: Ask, edns: boolean): Uint8Array {
  const { question, dnssecOk } = ask;
  const message = {
    id,
    // AD asks whether the resolver vouches for its answer, without the signatures (RFC 6840 §5.7).
    flags: Flag.RD | Flag.AD,
    questions: [{ ...question, name: loweredName(question.name) }],
    answers: [],
    authorities: [],
    additionals: [],
  };
  const opt = { size: OUR_UDP_SIZE, version: 0, rcodeHigh: 0, dnssecOk, options: [] };
  return encodeMessage(edns ? { ...message, edns: opt } : message);
}

/** The message if it answers this query (RFC 5452 §9.1); anything else is a stranger's. */
export function answerTo(bytes: Uint8Array, id: number, question: Question): Message | null {
  let message: Message;
  try {
    message = parseMessage(bytes);
  } catch (error) {
    if (error instanceof MalformedDns) return null;
    throw error;
  }
  const [echo] = message.questions;
  if (message.id !== id || (message.flags & Flag.QR) === 0 || opcodeOf(message) !== 0) return null;
  // A server that could not read the question has none to repeat.
  if (echo === undefined && rcodeOf(message) === Rcode.FormErr) return message;
  const same = message.questions.length === 1 && echo?.type === question.type &&
    echo.class === question.class && nameText(echo.name) === nameText(question.name);
  return same ? message : null;
}
