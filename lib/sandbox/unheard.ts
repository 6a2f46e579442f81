/**
 * Connections to published ports for which the guest's kernel knows no server. Its server may listen on
 * the guest's loopback, as most do that are meant for one developer: the agent looks, and leads there.
 *
 * A server on a loopback trusts whoever comes for being on its machine. The published port's peers are
 * that as far as they are on this one, so only what came in by a loopback address of this machine is led
 * on. Whom policy refuses never gets as far as here.
 *
 * @module
 */
import { isLoopback, parseAddress } from "../base/address.ts";
import { type Clock, systemClock } from "../base/clock.ts";
import type { Control } from "../flow/control.ts";
import type { FlowTable } from "../flow/flow_table.ts";
import type { LoopbackServer } from "../guest/agent/result.ts";
import type { ReachQuestion } from "../guest/guest.ts";
import { LoopbackQuestion } from "./loopback_question.ts";
import type { PublishedPort } from "./options.ts";
import type { Publisher } from "./publisher.ts";
import type { Unanswered } from "./unanswered.ts";

/** Asks the guest, which may never answer; see `Guest.reach`. */
export type AskGuest = (question: ReachQuestion) => Promise<LoopbackServer | null>;

/** How long a connection waits for the guest's answer; netstack gives up after ten seconds in all. */
const PATIENCE_MS = 5_000;

export interface UnheardSpec {
  readonly control: Pick<Control, "send">;
  readonly table: Pick<FlowTable, "inbound">;
  readonly publisher: Pick<Publisher, "listening">;
  readonly unanswered: Pick<Unanswered, "datagram" | "onlyLocal">;
  readonly askGuest: AskGuest;
  readonly clock?: Clock;
}

export class Unheard {
  readonly #spec: UnheardSpec;
  readonly #clock: Clock;
  readonly #questions = new Map<string, LoopbackQuestion>();

  constructor(spec: UnheardSpec) {
    this.#spec = spec;
    this.#clock = spec.clock ?? systemClock;
  }

  /** Takes netstack's word that a flow finds nobody, and answers. */
  async take(id: number): Promise<void> {
    const published = this.#publishedFor(id);
    if (published?.protocol === "udp") return this.#spec.unanswered.datagram(published);
    const port = published === undefined ? 0 : await this.#portFor(id, published);
    this.#spec.control.send({ t: "reach", id, port });
  }

  /** The port through which a flow came; undefined when it is over, or was never let in. */
  #publishedFor(id: number): PublishedPort | undefined {
    const ref = this.#spec.table.inbound(id)?.ref;
    return ref === undefined ? undefined : this.#spec.publisher.listening.get(ref);
  }

  /** The port of the guest that leads to the server, or 0. */
  async #portFor(id: number, published: PublishedPort): Promise<number> {
    const forward = isLocal(published);
    const server = await this.#inTime(this.#question(published.guestPort, forward).answer());
    if (server === null || this.#publishedFor(id) === undefined) return 0;
    if (!forward) this.#spec.unanswered.onlyLocal(id, published, server.at);
    const { port = 0 } = server;
    // A port that is published itself may have been opened to others than these.
    return forward && !this.#taken().includes(port) ? port : 0;
  }

  /** There are as many as ports were published. */
  #question(port: number, forward: boolean): LoopbackQuestion {
    const key = `${port} ${forward}`;
    const known = this.#questions.get(key);
    if (known !== undefined) return known;
    const ask = () => this.#spec.askGuest({ port, forward, avoid: this.#taken() });
    const question = new LoopbackQuestion(ask, this.#clock);
    this.#questions.set(key, question);
    return question;
  }

  /** Ports of the guest to which others may have a way of their own. */
  #taken(): readonly number[] {
    const published = this.#spec.publisher.listening.values();
    return [...new Set(published.map(({ guestPort }) => guestPort))];
  }

  #inTime(answer: Promise<LoopbackServer | null>): Promise<LoopbackServer | null> {
    return new Promise((resolve) => {
      const stop = this.#clock.after(PATIENCE_MS, () => resolve(null));
      void answer.then((server) => {
        stop();
        resolve(server);
      });
    });
  }
}

function isLocal({ address }: PublishedPort): boolean {
  const parsed = parseAddress(address);
  return parsed !== null && isLoopback(parsed);
}
