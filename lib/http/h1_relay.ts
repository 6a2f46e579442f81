/**
 * HTTP/1 between one guest connection and one server connection.
 *
 * IDLE      no request; a part of a head may have come. → UNDERWAY, CLOSING
 * UNDERWAY  one request was sent on; its body and the response move at the same time, each as fast as
 *           its recipient. Over when both are complete. → IDLE, TUNNEL, CLOSING
 * TUNNEL    after a proven 101: bytes both ways, half-closed either way. → CLOSING
 * CLOSING   see conduit.ts
 *
 * Requests that the guest sends ahead wait, unread beyond one piece, until it is their turn: the
 * server has one request at a time, so bytes from it always belong to that one. Bytes that belong to
 * none end both connections.
 *
 * @module
 */
import type { Buffer } from "node:buffer";
import { Conduit, type ConduitSink } from "./conduit.ts";
import type { HttpReason, Refusal, RelayEnd, RequestLine } from "./exchange.ts";
import { type BodyReader, bodyReader, writeContent, writeEnd } from "./h1_body.ts";
import { HeadReader } from "./h1_head_reader.ts";
import {
  parseRequestHead,
  parseResponseHead,
  type ResponseHead,
  writeRequestHead,
  writeResponseHead,
} from "./h1_head.ts";
import { type H1Request, readRequest } from "./h1_request.ts";
import {
  type H1Response,
  interimResponse,
  readResponse,
  switchingResponse,
} from "./h1_response.ts";
import { MalformedHttp } from "./malformed.ts";
import { deniedPage, type Page, relayPage, unreachablePage } from "./refusal.ts";
import type { RelayContext } from "./relay.ts";
import { acceptsWebsocket } from "./websocket.ts";

/** The request whose turn it is. */
interface Underway {
  readonly request: H1Request;
  readonly body: BodyReader;
  readonly since: number;
  response: { readonly head: H1Response; readonly body: BodyReader } | null;
  status: number | undefined;
  interim: number;
  /** The server asked for the body that was held back. */
  continued: boolean;
  /**
   * The server answered without that body. It may take what follows for another request, so nothing
   * does.
   */
  unwanted: boolean;
  up: number;
  down: number;
}

export class H1Relay implements ConduitSink {
  readonly #context: RelayContext;
  readonly #conduit: Conduit;
  readonly #requests: HeadReader;
  readonly #responses: HeadReader;
  #underway: Underway | null = null;
  #tunnel = false;
  /** A part of a request's head has come. */
  #reading = false;
  /** Requests sent ahead. */
  #ahead: Buffer | null = null;
  #guestEnded = false;
  #answered = 0;

  constructor(context: RelayContext) {
    const { guest, upstream, clock, limits } = context;
    this.#context = context;
    this.#requests = new HeadReader(limits.headBytes, true);
    this.#responses = new HeadReader(limits.headBytes, false);
    this.#conduit = new Conduit(
      guest,
      upstream.kind === "open" ? upstream.stream : null,
      clock,
      this,
    );
    this.#conduit.deadline.set(limits.idleMs);
  }

  /** Resolves when both connections are closed. */
  get closed(): Promise<void> {
    return this.#conduit.closed;
  }

  get busy(): boolean {
    return this.#underway !== null || this.#reading;
  }

  fromGuest(bytes: Buffer): void {
    if (this.#underway !== null) this.#conduit.deadline.touch();
    try {
      this.#takeFromGuest(bytes);
    } catch (error) {
      if (!(error instanceof MalformedHttp)) throw error;
      const { reason, message: detail, line } = error;
      this.#refuse(relayPage(reason, detail), { reason, detail }, line);
    }
  }

  fromUpstream(bytes: Buffer): void {
    this.#conduit.deadline.touch();
    try {
      this.#takeFromUpstream(bytes);
    } catch (error) {
      if (!(error instanceof MalformedHttp)) throw error;
      this.#fail("upstream-malformed", error.message);
    }
    this.#takeAhead();
  }

  guestEnded(): void {
    this.#guestEnded = true;
    const underway = this.#underway;
    if (this.#tunnel) this.#conduit.endUpstream();
    else if (underway === null && !this.#reading) this.#conduit.close();
    else if (underway === null || !underway.body.done) this.#conduit.abort("reset-guest");
  }

  upstreamEnded(whole: boolean): void {
    const underway = this.#underway;
    if (this.#tunnel) {
      return whole ? this.#conduit.endGuest() : this.#conduit.abort("reset-upstream");
    }
    if (underway === null) return this.#conduit.close();
    if (underway.response === null) return this.#unanswered();
    // RFC 9112 9.8: without close_notify, the end may be somebody else's doing.
    if (!whole) return this.#fail("upstream-closed", "cut off in the middle of its answer");
    try {
      underway.response.body.close();
      this.#finish(underway);
      this.#conduit.close();
    } catch (error) {
      if (!(error instanceof MalformedHttp)) throw error;
      this.#fail("upstream-malformed", error.message);
    }
  }

  expired(): void {
    if (this.#underway !== null) return this.#conduit.abort("idle");
    if (!this.#reading) return this.#conduit.close("idle");
    this.#refuse(relayPage("request-slow"), { reason: "request-slow" });
  }

  over(end: RelayEnd): void {
    if (this.#underway !== null) this.#finish(this.#underway);
    this.#context.onEnd?.(end);
  }

  #takeFromGuest(bytes: Buffer): void {
    let rest = bytes;
    while (rest.length > 0 && !this.#conduit.closing) {
      const underway = this.#underway;
      if (underway === null) rest = this.#readRequest(rest);
      else if (this.#tunnel) rest = this.#carryUp(underway, rest);
      else if (!underway.body.done) rest = this.#passRequestBody(underway, rest);
      else {
        this.#ahead = rest;
        return this.#conduit.holdGuest();
      }
    }
  }

  #readRequest(bytes: Buffer): Buffer {
    const { limits, destination, judge, upstream, clock } = this.#context;
    if (!this.#reading) this.#conduit.deadline.set(limits.headMs);
    this.#reading = true;
    const head = this.#requests.push(bytes);
    if (head === null) return bytes.subarray(bytes.length);
    this.#reading = false;
    const request = readRequest(parseRequestHead(head.text, limits), destination);
    const refusal = judge(request.line);
    if (refusal !== null) this.#refuse(deniedPage(refusal), refusal, request.line);
    else if (upstream.kind === "failed") {
      this.#refuse(unreachablePage(upstream.refusal), upstream.refusal, request.line);
    } else {
      const body = bodyReader(request.framing, limits);
      const nothing = {
        response: null,
        status: undefined,
        interim: 0,
        continued: false,
        unwanted: false,
      };
      this.#underway = { request, body, since: clock.now(), ...nothing, up: 0, down: 0 };
      this.#conduit.deadline.set(limits.silenceMs);
      this.#conduit.toUpstream(writeRequestHead(request.outgoing));
    }
    return head.rest;
  }

  #passRequestBody(underway: Underway, bytes: Buffer): Buffer {
    const { request: { framing }, body } = underway;
    const { content, used } = body.read(bytes);
    if (underway.unwanted) return bytes.subarray(used);
    underway.up += size(content);
    this.#conduit.toUpstream(...writeContent(framing, content));
    if (body.done) this.#conduit.toUpstream(...writeEnd(framing, body.trailers));
    this.#settle(underway);
    return bytes.subarray(used);
  }

  #takeFromUpstream(bytes: Buffer): void {
    let rest = bytes;
    while (rest.length > 0 && !this.#conduit.closing) {
      const underway = this.#underway;
      // Bytes that answer nothing. Some servers say farewell to an idle connection this way.
      if (underway === null) return this.#conduit.close();
      if (this.#tunnel) rest = this.#carryDown(underway, rest);
      else if (underway.response === null) {
        const head = this.#responses.push(rest);
        if (head === null) return;
        rest = head.rest;
        this.#takeResponse(underway, parseResponseHead(head.text, this.#context.limits));
      } else rest = this.#passResponseBody(underway, underway.response, rest);
    }
  }

  #takeResponse(underway: Underway, head: ResponseHead): void {
    const { request } = underway;
    const { limits } = this.#context;
    if (head.status === 101) return this.#switch(underway, head);
    if (head.status < 200) {
      underway.continued ||= head.status === 100;
      if (++underway.interim > limits.interim) throw new MalformedHttp("endless interim responses");
      if (request.minor === 0) return; // RFC 9110 15.2: HTTP/1.0 has none
      return this.#conduit.toGuest(writeResponseHead(interimResponse(head)));
    }
    underway.unwanted = request.expects && !underway.continued && !underway.body.done;
    const response = readResponse(head, request, underway.unwanted);
    underway.status = head.status;
    underway.response = { head: response, body: bodyReader(response.framing, limits) };
    this.#conduit.toGuest(writeResponseHead(response.outgoing));
    this.#settle(underway);
  }

  #passResponseBody(
    underway: Underway,
    { head, body }: NonNullable<Underway["response"]>,
    bytes: Buffer,
  ): Buffer {
    if (body.done) throw new MalformedHttp("bytes after its body");
    const { content, used } = body.read(bytes);
    underway.down += size(content);
    this.#conduit.toGuest(...writeContent(head.outgoingFraming, content));
    if (body.done) this.#conduit.toGuest(...writeEnd(head.outgoingFraming, body.trailers));
    this.#settle(underway);
    return bytes.subarray(used);
  }

  /** Ends the exchange when both of its messages are complete, or the rest of one is of no use. */
  #settle(underway: Underway): void {
    const { response, body } = underway;
    if (response === null || !response.body.done) return;
    if (!body.done && response.head.persists) return;
    this.#finish(underway);
    if (!body.done || underway.unwanted) this.#conduit.closeAbandoningUpstream();
    else if (!response.head.persists || this.#guestEnded) this.#conduit.close();
    else this.#conduit.deadline.set(this.#context.limits.idleMs);
  }

  /** Only between pieces from the server: what it sent before a request cannot answer it. */
  #takeAhead(): void {
    const ahead = this.#ahead;
    if (ahead === null || this.#underway !== null || this.#conduit.closing) return;
    this.#ahead = null;
    this.#conduit.releaseGuest();
    this.fromGuest(ahead);
  }

  #switch(underway: Underway, head: ResponseHead): void {
    const key = underway.request.websocketKey;
    if (key === null || !acceptsWebsocket(head, key)) throw new MalformedHttp("an unasked 101");
    underway.status = 101;
    this.#tunnel = true;
    this.#conduit.toGuest(writeResponseHead(switchingResponse(head)));
    const ahead = this.#ahead;
    if (ahead === null) return;
    this.#ahead = null;
    this.#conduit.releaseGuest();
    this.#carryUp(underway, ahead);
  }

  #carryUp(underway: Underway, bytes: Buffer): Buffer {
    underway.up += bytes.length;
    this.#conduit.toUpstream(bytes);
    return bytes.subarray(bytes.length);
  }

  #carryDown(underway: Underway, bytes: Buffer): Buffer {
    underway.down += bytes.length;
    this.#conduit.toGuest(bytes);
    return bytes.subarray(bytes.length);
  }

  /** The server left without a word. On a used connection that is how it says "try again". */
  #unanswered(): void {
    if (this.#answered === 0 || this.#responses.started) return this.#fail("upstream-closed");
    this.#conduit.close("reset-upstream");
  }

  /** The server cannot be followed any further. */
  #fail(reason: HttpReason, detail?: string): void {
    const refusal = { reason, ...(detail === undefined ? {} : { detail }) };
    this.#refuse(relayPage(reason, detail), refusal);
  }

  /** Answers in the server's stead and closes; a response that has begun is cut off instead. */
  #refuse(page: Page, refusal: Refusal, line?: RequestLine): void {
    const underway = this.#underway;
    const begun = underway !== null && underway.status !== undefined;
    if (underway !== null) this.#finish(underway, refusal, begun ? underway.status : page.status);
    else {
      const request = line === undefined ? {} : { request: line };
      const { status } = page;
      this.#context.onExchange({ ...request, status, up: 0, down: 0, ms: 0, refused: refusal });
    }
    const end = endAfter(refusal.reason);
    if (begun) return this.#conduit.abort(end === "eof" ? "reset-guest" : end);
    const { status, phrase, fields, body } = page;
    const method = line?.method ?? underway?.request.line.method;
    const close = { name: "Connection", key: "connection", value: "close" };
    this.#conduit.toGuest(
      writeResponseHead({ status, reason: phrase, fields: [...fields, close] }),
    );
    if (method !== "HEAD") this.#conduit.toGuest(body);
    this.#conduit.closeAbandoningUpstream(end);
  }

  #finish(underway: Underway, refused?: Refusal, status = underway.status): void {
    this.#underway = null;
    this.#answered++;
    const { request, since, up, down } = underway;
    this.#context.onExchange({
      request: request.line,
      ...(status === undefined ? {} : { status }),
      up,
      down,
      ms: this.#context.clock.now() - since,
      ...(refused === undefined ? {} : { refused }),
    });
  }
}

/** A guest that was refused has its answer, and with it an end in order. */
function endAfter(reason: Refusal["reason"]): RelayEnd {
  return reason === "upstream-malformed" || reason === "upstream-closed" ? "reset-upstream" : "eof";
}

function size(parts: readonly Buffer[]): number {
  let bytes = 0;
  for (const part of parts) bytes += part.length;
  return bytes;
}
