/**
 * One request that was sent on, and what has come of its answer: bytes in, the bytes to send out. Pure.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { BodyFlow } from "../body_flow.ts";
import type { Exchange, HttpLimits, Refusal } from "../exchange.ts";
import { GateRefusal, type Passed, passLate } from "../gate.ts";
import { MalformedHttp } from "../malformed.ts";
import type { HttpRequest } from "../request.ts";
import { type TunnelReader, UNREAD } from "../tunnel_reader.ts";
import { acceptsWebsocket } from "../websocket.ts";
import { type BodyReader, bodyReader, writeContent, writeEnd } from "./body.ts";
import { type Framing, responseFraming, sentFraming } from "./framing.ts";
import { type ResponseHead, writeRequestHead, writeResponseHead } from "./head.ts";
import { type H1Request, sentHead } from "./request.ts";
import {
  type H1Response,
  interimResponse,
  lateHead,
  readResponse,
  switchingResponse,
  tunnelResponse,
} from "./response.ts";

/** Of what waits until its length is known: content as it is. */
const WHOLE: Framing = { kind: "length", length: 0 };

/** What a piece of a connection means to one body. */
export interface BodyStep {
  readonly out: readonly Buffer[];
  /** Bytes of the piece that belong to the body. */
  readonly used: number;
}

export interface H1ExchangeSpec {
  readonly request: H1Request;
  readonly passed: Passed;
  readonly limits: HttpLimits;
  /** When its head was whole. */
  readonly since: number;
  /** Reads what is sent into a tunnel. Absent: nobody does. */
  readonly tunnel?: (() => TunnelReader) | undefined;
}

/** What a piece that the guest sends into a tunnel comes to. */
interface TunnelPart {
  readonly out: readonly Buffer[];
  /** The tunnel is over, and requests follow on the connection. */
  readonly requests: Buffer | null;
  /** It is not decided yet what becomes of it. */
  readonly waits: boolean;
}

export class H1Exchange {
  readonly request: H1Request;
  /** The request's head for the server; null: it waits until the body is whole. */
  readonly head: Buffer | null;
  readonly #spec: H1ExchangeSpec;
  readonly #requestBody: BodyReader;
  readonly #requestFraming: Framing;
  readonly #up: BodyFlow;
  /** What is sent of the request behind its head, while that waits. */
  #waiting: Buffer[] | null = null;
  #down: BodyFlow | null = null;
  #answer: { readonly head: H1Response; readonly body: BodyReader } | null = null;
  /** What is sent of an answer behind its head, while that waits. */
  #late: Buffer[] | null = null;
  #status: number | undefined;
  #interim = 0;
  /** The server asked for the body that was held back. */
  #continued = false;
  #unwanted = false;
  #left = false;
  #tunnel: TunnelReader = UNREAD;
  /** What the answer to CONNECT states as its content, which it should not (RFC 9110 9.3.6). */
  #content: BodyReader | null = null;
  #received = { up: 0, down: 0 };

  constructor(spec: H1ExchangeSpec) {
    const { request, passed: { request: passed, body, whole, late }, limits } = spec;
    const { framing } = request;
    this.#spec = spec;
    this.request = request;
    this.#requestBody = bodyReader(framing, limits);
    const stated = framing.kind === "length" ? framing.length : null;
    this.#up = new BodyFlow(passed.body, stated, body);
    const waits = late !== undefined || whole && framing.kind === "length";
    if (waits && !this.#up.isPlain && !request.expects) this.#waiting = [];
    this.#requestFraming = this.#waiting === null ? sentFraming(framing, this.#up, true) : WHOLE;
    this.head = this.#waiting === null ? this.#requestHead(passed, this.#requestFraming) : null;
  }

  /** The server has part of the request, so that what it says may answer it. */
  get begun(): boolean {
    return this.#waiting === null;
  }

  /** The request has come in full. */
  get requestDone(): boolean {
    return this.#requestBody.done;
  }

  /** The server answered without the body that it was to ask for; it may take that for another request. */
  get unwanted(): boolean {
    return this.#unwanted;
  }

  /** Of the final answer, whose head was sent to the guest; undefined before. */
  get status(): number | undefined {
    return this.#status;
  }

  /** The final answer's head has come. */
  get answered(): boolean {
    return this.#answer !== null;
  }

  /** Server and guest agreed to leave HTTP behind the answer's head. */
  get left(): boolean {
    return this.#left;
  }

  get answerDone(): boolean {
    return this.#answer?.body.done === true;
  }

  /** Whether both connections can carry another exchange. */
  get persists(): boolean {
    return this.#answer?.head.persists === true;
  }

  /** The end of the connection is how the guest is to know that the answer ends. */
  get endsSilently(): boolean {
    return this.#answer?.head.outgoingFraming.kind === "close";
  }

  /** Content of the guest. @throws GateRefusal, MalformedHttp */
  sendBody(bytes: Buffer): BodyStep {
    const body = this.#requestBody;
    const { content, used } = body.read(bytes);
    if (this.#unwanted) return { out: [], used };
    this.#received.up += size(content);
    const out = sent(this.#up, this.#requestFraming, body, content);
    return { out: this.#waiting === null ? out : this.#takeWaiting(this.#waiting, out), used };
  }

  /** A head of the server, as the guest gets it; null where that knows none such, or gets it later. @throws GateRefusal, MalformedHttp */
  takeHead(head: ResponseHead): Buffer | null {
    const { request, limits, passed: { answer: gate } } = this.#spec;
    if (head.status === 101) return this.#switch(head);
    if (request.tunnel && isSuccess(head)) {
      this.#tunnel = this.#spec.tunnel?.() ?? UNREAD;
      const framing = responseFraming(head, "GET");
      if (framing.kind !== "close") this.#content = bodyReader(framing, limits);
      return this.#leave(head, tunnelResponse(head, gate));
    }
    if (head.status < 200) {
      this.#continued ||= head.status === 100;
      if (++this.#interim > limits.interim) throw new MalformedHttp("endless interim responses");
      if (request.minor === 0) return null; // RFC 9110 15.2: HTTP/1.0 has none
      return writeResponseHead(interimResponse(head, gate));
    }
    this.#unwanted = request.expects && !this.#continued && !this.requestDone;
    const response = readResponse(head, request, gate, this.#unwanted);
    this.#answer = { head: response, body: bodyReader(response.framing, limits) };
    this.#down = response.flow;
    if (response.late) this.#late = [];
    else this.#status = head.status;
    return response.late ? null : writeResponseHead(response.outgoing);
  }

  /** Content of the server. @throws GateRefusal, MalformedHttp */
  takeBody(bytes: Buffer): BodyStep {
    if (this.#answer === null) return { out: [], used: 0 };
    const { head, body } = this.#answer;
    const { content, used } = body.read(bytes);
    this.#received.down += size(content);
    const out = sent(head.flow, head.outgoingFraming, body, content);
    return { out: this.#late === null ? out : this.#takeLate(this.#late, out), used };
  }

  /** Something is held back although both sides may wait for each other. */
  get holds(): boolean {
    if (this.#answer === null || this.#late !== null) return false;
    return this.#holdsUp || this.#holdsDown;
  }

  get #holdsUp(): boolean {
    return this.begun && !this.requestDone && this.#up.holds;
  }

  get #holdsDown(): boolean {
    return !this.answerDone && this.#down?.holds === true;
  }

  /** That, for the server and for the guest. @throws GateRefusal, MalformedHttp */
  letGo(): { readonly up: readonly Buffer[]; readonly down: readonly Buffer[] } {
    const { outgoingFraming = WHOLE } = this.#answer?.head ?? {};
    return {
      up: this.#holdsUp ? contentOf(this.#requestFraming, this.#up.letGo()) : [],
      down: this.#holdsDown ? contentOf(outgoingFraming, this.#down?.letGo()) : [],
    };
  }

  /** The server closed: an answer without a length is whole. @throws GateRefusal, MalformedHttp */
  takeEnd(): readonly Buffer[] {
    if (this.#answer === null) return [];
    const { head, body } = this.#answer;
    body.close();
    return sent(head.flow, head.outgoingFraming, body, []);
  }

  /** Bytes of a tunnel. @throws GateRefusal */
  carryUp(bytes: Buffer): TunnelPart {
    const step = this.#tunnel.push(bytes);
    if (step.kind === "refused") throw new GateRefusal(step.refusal);
    if (step.kind === "held") return { out: [], requests: null, waits: true };
    if (step.kind === "requests") return { out: [], requests: step.bytes, waits: false };
    this.#received.up += step.bytes.length;
    return { out: unlessEmpty(this.#up.push(step.bytes)), requests: null, waits: false };
  }

  /** As {@link carryUp}. `released`: so that what waited of the guest's is to be looked at again. */
  carryDown(bytes: Buffer): { readonly out: readonly Buffer[]; readonly released: boolean } {
    const released = this.#tunnel.heard(bytes, this.#isSpoken(bytes));
    this.#received.down += bytes.length;
    return { out: unlessEmpty(this.#down?.push(bytes) ?? bytes), released };
  }

  /** Whether there is more than the content that was stated. Chunks that are none are no content. */
  #isSpoken(bytes: Buffer): boolean {
    const content = this.#content;
    if (content === null || content.done) return true;
    try {
      return content.read(bytes).used < bytes.length;
    } catch (error) {
      if (!(error instanceof MalformedHttp)) throw error;
      this.#content = null;
      return true;
    }
  }

  /** One direction of a tunnel ended; what was held back. @throws GateRefusal */
  endTunnel(direction: "up" | "down"): readonly Buffer[] {
    const refusal = direction === "up" ? this.#tunnel.end() : null;
    if (refusal !== null) throw new GateRefusal(refusal);
    return unlessEmpty((direction === "up" ? this.#up : this.#down)?.end());
  }

  /** It is over, whatever became of it. */
  close(): void {
    this.#up.close();
    this.#down?.close();
  }

  toExchange(now: number, refused?: Refusal, status = this.#status): Exchange {
    return {
      request: this.request.line,
      ...(status === undefined ? {} : { status }),
      ...this.#received,
      ms: now - this.#spec.since,
      ...(refused === undefined ? {} : { refused }),
    };
  }

  #takeWaiting(waiting: Buffer[], out: readonly Buffer[]): readonly Buffer[] {
    waiting.push(...out);
    if (!this.requestDone) return [];
    const { passed } = this.#spec;
    const whole = { kind: "length", length: size(waiting) } as const;
    const request = passed.late === undefined
      ? passed.request
      : passLate(passed, Buffer.concat(waiting));
    this.#waiting = null;
    return [this.#requestHead(request, whole), ...waiting];
  }

  #requestHead(passed: HttpRequest, framing: Framing): Buffer {
    return writeRequestHead(sentHead(this.#spec.request, passed, framing));
  }

  #takeLate(late: Buffer[], out: readonly Buffer[]): readonly Buffer[] {
    late.push(...out);
    if (!this.answerDone || this.#answer === null) return [];
    const head = lateHead(this.#answer.head, size(late));
    this.#status = head.status;
    this.#late = null;
    return [writeResponseHead(head), ...late];
  }

  #switch(head: ResponseHead): Buffer {
    const key = this.request.websocketKey;
    if (key === null || !acceptsWebsocket(head, key)) throw new MalformedHttp("an unasked 101");
    return this.#leave(head, switchingResponse(head, this.#spec.passed.answer));
  }

  /** What follows on the connection is no HTTP. */
  #leave({ status }: ResponseHead, { outgoing, flow }: ReturnType<typeof tunnelResponse>): Buffer {
    this.#status = status;
    this.#down = flow;
    this.#left = true;
    return writeResponseHead(outgoing);
  }
}

/** Content as it is framed for the next recipient, with the end of the body when that has come. */
function sent(
  flow: BodyFlow,
  framing: Framing,
  body: BodyReader,
  content: readonly Buffer[],
): readonly Buffer[] {
  if (flow.isPlain) {
    const out = writeContent(framing, content);
    return body.done ? [...out, ...writeEnd(framing, body.trailers)] : out;
  }
  const changed = content.map((part) => flow.push(part));
  if (body.done) changed.push(flow.end());
  const out = writeContent(framing, changed.filter(({ length }) => length > 0));
  return body.done ? [...out, ...writeEnd(framing, flow.trailers(body.trailers))] : out;
}

function contentOf(framing: Framing, bytes: Buffer | undefined): readonly Buffer[] {
  return writeContent(framing, unlessEmpty(bytes));
}

function isSuccess({ status }: ResponseHead): boolean {
  return status >= 200 && status < 300;
}

function unlessEmpty(bytes: Buffer | undefined): readonly Buffer[] {
  return bytes === undefined || bytes.length === 0 ? [] : [bytes];
}

function size(parts: readonly Buffer[]): number {
  let bytes = 0;
  for (const part of parts) bytes += part.length;
  return bytes;
}
