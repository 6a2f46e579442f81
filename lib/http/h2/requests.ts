/**
 * From the head of a guest's stream to what becomes of it: a stream of the server, a page, a reset, or
 * first a wait for the gate.
 *
 * @module
 */
import { repeating } from "../../base/recall.ts";
import { type Refusal, refusedExchange, type RequestLine } from "../exchange.ts";
import { type Field, isSameField } from "../fields.ts";
import { enter, type Entry, GateRefusal, type Passed, passLate } from "../gate.ts";
import { MalformedHttp } from "../malformed.ts";
import { type Page, relayPage } from "../refusal.ts";
import type { RelayContext } from "../relay_spec.ts";
import { Code } from "./frame.ts";
import { type H2Request, readH2Request } from "./message.ts";
import type { H2Session } from "./session.ts";
import { type Said, Waiting } from "./waiting.ts";

/** Does a step that no frame led to, as if one had; null: a fault of ours costs the connection. */
export type Later = (step: (() => void) | null) => void;

export interface H2RequestsSpec {
  readonly context: RelayContext;
  readonly guest: H2Session;
  /** Whether the server takes CONNECT with `:protocol`. */
  readonly tunnels: () => boolean;
  readonly later: Later;
  /** Sends the request on. @throws MalformedHttp */
  readonly open: (id: number, request: H2Request, since: number, passed: Passed) => void;
  readonly answer: (id: number, page: Page, method: string | undefined) => void;
  /** Whoever takes what a stream says behind its head. */
  readonly said: (id: number) => Said;
}

/** Of a body that its head waits for. All that a guest can send unasked (relay.ts), but for a frame. */
const MOST_WAITING = (512 << 10) - 16_384;

export class H2Requests {
  readonly #spec: H2RequestsSpec;
  readonly #same = repeating(isSameField);
  /** Those that the gate has not decided on. */
  readonly #waiting = new Map<number, Waiting>();
  /** What the guest was told that it may have open at the same time. */
  maxStreams: number;

  constructor(spec: H2RequestsSpec) {
    this.#spec = spec;
    this.maxStreams = spec.context.limits.streams;
  }

  /** Requests that wait. */
  get size(): number {
    return this.#waiting.size;
  }

  waiting(id: number): Waiting | undefined {
    return this.#waiting.get(id);
  }

  /** Takes a head. Null: more than the limits allow. */
  take(id: number, fields: readonly Field[] | null, end: boolean): void {
    if (this.#spec.guest.streams > this.maxStreams) return this.refuse(id);
    this.#attempt(id, () => {
      if (fields === null) throw new MalformedHttp("fields beyond the limit", "request-limit");
      const { tunnels, context: { destination, gate, upstream, clock } } = this.#spec;
      const request = readH2Request(fields, end, destination, tunnels(), this.#same);
      const since = clock.now();
      const unreachable = upstream.kind === "failed" ? upstream.refusal : null;
      const entry = enter(request.request, gate, unreachable);
      const waiting = new Waiting(request, since);
      if (entry instanceof Promise) this.#wait(id, waiting, entry);
      else this.#admit(id, waiting, entry);
    });
  }

  /** RFC 9113 8.7: a stream so refused may be sent again, here later or elsewhere. */
  refuse(id: number): void {
    this.#spec.guest.charge();
    this.#spec.guest.reset(id, Code.RefusedStream);
  }

  /** The guest gave the stream up; false when it does not wait. */
  leave(id: number): boolean {
    const waiting = this.#waiting.get(id);
    if (waiting === undefined) return false;
    this.#waiting.delete(id);
    const { guest, context: { clock, onExchange } } = this.#spec;
    guest.consumed(id, waiting.size);
    const { request: { line }, since } = waiting;
    onExchange({ request: line, up: 0, down: 0, ms: clock.now() - since });
    return true;
  }

  leaveAll(): void {
    for (const id of [...this.#waiting.keys()]) this.leave(id);
  }

  #wait(id: number, waiting: Waiting, entry: Promise<Entry>): void {
    const { later, said } = this.#spec;
    this.#waiting.set(id, waiting);
    const decide = (late: Entry) => {
      if (this.#waiting.get(id) !== waiting) return;
      this.#waiting.delete(id);
      this.#attempt(id, () => this.#admit(id, waiting, late));
      if (this.#waiting.get(id) !== waiting) waiting.repeat(said(id));
    };
    entry.then((late) => later(() => decide(late)), () => {
      if (this.#waiting.get(id) === waiting) later(null);
    });
  }

  #admit(id: number, waiting: Waiting, entry: Entry): void {
    const { request, since } = waiting;
    switch (entry.kind) {
      case "page":
        return this.#page(id, entry.page, entry.refusal, request.line);
      case "reset":
        return this.#reset(id, entry.refusal, request.line);
      case "pass": {
        const { passed } = entry;
        if (passed.late === undefined || request.request.body.kind === "none") {
          return this.#spec.open(id, request, since, passed);
        }
        this.#waiting.set(id, waiting);
        return waiting.await(() => this.#ripen(id, waiting, passed));
      }
    }
  }

  /** Sends a request on whose head waited for its body, when that is whole. */
  #ripen(id: number, waiting: Waiting, passed: Passed): void {
    if (this.#waiting.get(id) !== waiting) return;
    const { request, since, whole, size } = waiting;
    if (!whole && size < MOST_WAITING) return;
    this.#waiting.delete(id);
    this.#attempt(id, () => {
      if (!whole) throw new MalformedHttp("a body too large to wait for", "request-limit");
      const late = passLate(passed, waiting.content());
      this.#spec.open(id, request, since, { ...passed, request: late });
    }, request.line);
    waiting.repeat(this.#spec.said(id));
  }

  #attempt(id: number, step: () => void, of?: RequestLine): void {
    try {
      step();
    } catch (error) {
      if (error instanceof GateRefusal) return this.#reset(id, error.refusal, of);
      if (!(error instanceof MalformedHttp)) throw error;
      const { reason, message: detail, line = of } = error;
      const refusal = { reason, detail };
      if (reason !== "request-malformed") {
        return this.#page(id, relayPage(reason, detail), refusal, line);
      }
      this.#report(refusal);
      this.#spec.guest.charge();
      this.#spec.guest.reset(id, Code.Protocol);
    }
  }

  #reset(id: number, refusal: Refusal, line?: RequestLine): void {
    this.#report(refusal, line);
    this.#spec.guest.charge();
    this.#spec.guest.reset(id, Code.Cancel);
  }

  #page(id: number, page: Page, refusal: Refusal, line?: RequestLine): void {
    this.#report(refusal, line, page.status);
    this.#spec.answer(id, page, line?.method);
  }

  #report(refused: Refusal, line?: RequestLine, status?: number): void {
    this.#spec.context.onExchange(refusedExchange(refused, line, status));
  }
}
