/**
 * One stream of a guest and its counterpart at the server. Pure.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { BodyFlow } from "../body_flow.ts";
import type { Exchange, Refusal, RequestLine } from "../exchange.ts";
import { type Field, withLength } from "../fields.ts";
import type { AnswerGate } from "../gate.ts";
import { MalformedHttp } from "../malformed.ts";
import { NO_BODY } from "../request.ts";
import { Credit } from "./credit.ts";
import type { H2Response } from "./message.ts";

export interface PairSpec {
  /** The stream's number on either side. */
  readonly guest: number;
  readonly upstream: number;
  readonly line: RequestLine;
  /** Of the request's content, as stated; null where nothing is. */
  readonly length: number | null;
  readonly flow: BodyFlow;
  readonly answer: AnswerGate | undefined;
  /** When the request's head was whole. */
  readonly since: number;
}

export class Pair {
  readonly guest: number;
  readonly upstream: number;
  readonly line: RequestLine;
  readonly answer: AnswerGate | undefined;
  readonly up: Direction;
  down: Direction = new Direction(new BodyFlow(NO_BODY, null, undefined), null);
  /** Of the final response that the guest was sent. */
  status: number | undefined;
  interim = 0;
  responseEnded = false;
  /** What of the final response waits until it is whole: its head, and content. */
  #late: { readonly head: H2Response; readonly content: Buffer[] } | null = null;
  #answered = false;
  /** Why the guest gets no more of the answer than what was received of it. */
  refused: Refusal | undefined;
  readonly #since: number;

  constructor({ guest, upstream, line, length, flow, answer, since }: PairSpec) {
    this.guest = guest;
    this.upstream = upstream;
    this.line = line;
    this.answer = answer;
    this.up = new Direction(flow, length);
    this.#since = since;
  }

  /** The final response's head has come. */
  get answered(): boolean {
    return this.#answered;
  }

  /** Begins the final response. Its head, unless that waits. @throws MalformedHttp */
  beginResponse(response: H2Response, end: boolean): readonly Field[] | null {
    const { status, length, flow, outgoing, late } = response;
    this.down = new Direction(flow, length);
    this.#answered = true;
    if (end) this.down.count(0, true);
    this.responseEnded = end;
    if (late && !end) {
      this.#late = { head: response, content: [] };
      return null;
    }
    this.status = status;
    return outgoing;
  }

  /** Content of the final response, as it is sent on. @throws GateRefusal, MalformedHttp */
  takeResponse(bytes: Buffer, end: boolean): Sent {
    if (!this.#answered) throw new MalformedHttp("content before its head");
    const content = this.down.take(bytes, end);
    this.responseEnded = end;
    return this.#send(content);
  }

  /** The final response ends with these. @throws GateRefusal, MalformedHttp */
  takeResponseTrailers(fields: readonly Field[]): Sent & { readonly trailers: readonly Field[] } {
    const { rest, trailers } = this.down.takeTrailers(fields);
    this.responseEnded = true;
    return { ...this.#send(rest), trailers };
  }

  /** Something is held back although both sides may wait for each other. */
  get holds(): boolean {
    return this.#answered && this.#late === null && (this.up.holds || this.down.holds);
  }

  /** It is over, whatever became of it. */
  close(): void {
    this.up.close();
    this.down.close();
  }

  #send(content: readonly Buffer[]): Sent {
    if (this.#late === null) return { head: null, content };
    const { head: { status, outgoing }, content: waited } = this.#late;
    waited.push(...content);
    if (!this.responseEnded) return { head: null, content: [] };
    this.#late = null;
    this.status = status;
    const length = waited.reduce((sum, part) => sum + part.length, 0);
    return { head: withLength(outgoing, length), content: waited };
  }

  toExchange(now: number, refused = this.refused, status = this.status): Exchange {
    return {
      request: this.line,
      ...(status === undefined ? {} : { status }),
      up: this.up.received,
      down: this.down.received,
      ms: now - this.#since,
      ...(refused === undefined ? {} : { refused }),
    };
  }
}

/** What the guest is sent of a response. */
export interface Sent {
  /** Null: it was sent before, or waits. */
  readonly head: readonly Field[] | null;
  readonly content: readonly Buffer[];
}

/** The content of one of the two messages. */
export class Direction {
  readonly #flow: BodyFlow;
  readonly #credit: Credit | null;
  /** Still to come of what Content-Length states; null when nothing is stated. */
  #left: number | null;
  #received = 0;
  #ended = false;

  constructor(flow: BodyFlow, length: number | null) {
    this.#flow = flow;
    this.#credit = flow.isPlain ? null : new Credit();
    this.#left = length;
  }

  /** Bytes of content that have come. */
  get received(): number {
    return this.#received;
  }

  /** RFC 9113 8.1.1: content that is longer or shorter than stated is malformed. @throws MalformedHttp */
  count(bytes: number, end: boolean): void {
    this.#received += bytes;
    this.#ended ||= end;
    if (this.#left === null) return;
    this.#left -= bytes;
    if (this.#left < 0 || (end && this.#left > 0)) {
      throw new MalformedHttp("a body of another length");
    }
  }

  /** Content as it is sent on, and what was held back when it is the last. @throws GateRefusal, MalformedHttp */
  take(bytes: Buffer, end: boolean): readonly Buffer[] {
    this.count(bytes.length, end);
    if (this.#credit === null) return [bytes];
    const out = [this.#flow.push(bytes)];
    if (end) out.push(this.#flow.end());
    this.#credit.took(bytes.length, out.reduce((sum, { length }) => sum + length, 0));
    return out;
  }

  /** The message ends with these. @throws GateRefusal, MalformedHttp */
  takeTrailers(fields: readonly Field[]): { rest: readonly Buffer[]; trailers: readonly Field[] } {
    return { rest: this.take(NOTHING, true), trailers: this.#flow.trailers(fields) };
  }

  get holds(): boolean {
    return !this.#ended && this.#flow.holds;
  }

  /**
   * What is held back although nothing more came. Null as long as something waits for its recipient: then
   * the sender may not be able to say more. @throws GateRefusal, MalformedHttp
   */
  letGo(): readonly Buffer[] | null {
    if (!this.holds) return [];
    if (this.#credit?.settled === false) return null;
    const out = this.#flow.letGo();
    this.#credit?.took(0, out.length);
    return [out];
  }

  close(): void {
    this.#flow.close();
  }

  /** So much of what is sent on has left; how much more its sender may send. */
  sent(bytes: number): number {
    return this.#credit === null ? bytes : this.#credit.sent(bytes);
  }
}

const NOTHING = Buffer.alloc(0);
