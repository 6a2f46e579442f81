/**
 * The streams of an HTTP/2 relay: each of the guest's becomes one of the server's, and what happens on
 * either happens on the other.
 *
 * A pair is known by the guest's number until the guest's stream is gone, and by the server's until
 * that one is. However a server's stream or connection ends, its guest is sent what was received before:
 * a whole answer ends as whole, and one that is cut short by a reset. A response may be complete before
 * its request is (RFC 9113 8.1): then the guest is asked to stop, by RST_STREAM once it was sent
 * everything. What a guest gives up is given up at once.
 *
 * @module
 */
import type { Buffer } from "node:buffer";
import { Deadline } from "../../base/deadline.ts";
import { BodyFlow } from "../body_flow.ts";
import type { Refusal } from "../exchange.ts";
import type { Field } from "../fields.ts";
import { GateRefusal, LULL_MS, type Passed } from "../gate.ts";
import { MalformedHttp } from "../malformed.ts";
import { deniedPage, type Page, relayPage } from "../refusal.ts";
import type { RelayContext } from "../relay_spec.ts";
import { Code, MAX_WINDOW } from "./frame.ts";
import { type H2Request, readH2Response, readH2Trailers, sentRequest } from "./message.ts";
import { Pair, type Sent } from "./pair.ts";
import { H2Requests, type Later } from "./requests.ts";
import type { H2Session } from "./session.ts";

/** Why a message goes no further: what is said of it, in a page, and to the peer that sent it. */
interface Broken {
  readonly refusal: Refusal;
  readonly page: Page;
  readonly code: number;
}

export class H2Streams {
  readonly #context: RelayContext;
  readonly #guest: H2Session;
  readonly #upstream: H2Session | null;
  readonly #requests: H2Requests;
  readonly #byGuest = new Map<number, Pair>();
  readonly #byUpstream = new Map<number, Pair>();
  /** Streams of the guest that the relay itself answers. */
  readonly #pages = new Set<number>();
  /** Streams that are reset, with this code, when the guest was sent everything. */
  readonly #stops = new Map<number, number>();
  /** The server takes no stream above this one. */
  #lastTaken = MAX_WINDOW;
  /** What lets go what a pair's bodies hold back. */
  readonly #lulls = new Map<Pair, Deadline>();
  readonly #later: Later;
  /** No new streams. */
  leaving = false;

  constructor(
    context: RelayContext,
    guest: H2Session,
    upstream: H2Session | null,
    later: Later,
  ) {
    this.#context = context;
    this.#guest = guest;
    this.#upstream = upstream;
    this.#later = later;
    this.#requests = new H2Requests({
      context,
      guest,
      tunnels: () => upstream?.peer.connectProtocol === true,
      later,
      open: (id, request, since, passed) => this.#open(id, request, since, passed),
      answer: (id, page, method) => this.#answer(id, page, method),
      said: (id) => ({
        data: (bytes, end) => this.guestData(id, bytes, end),
        trailers: (fields, end) => {
          const pair = this.#byGuest.get(id);
          if (pair !== undefined) this.#guestTrailers(pair, fields, end);
        },
      }),
    });
  }

  /** What the guest was told that it may have open at the same time. */
  set maxStreams(streams: number) {
    this.#requests.maxStreams = streams;
  }

  /** Whether a stream is open on either side. */
  get busy(): boolean {
    const { size } = this.#requests;
    return this.#byGuest.size + this.#byUpstream.size + this.#pages.size + size > 0;
  }

  /** Whether an answer of the server is not whole yet. */
  get awaiting(): boolean {
    return [...this.#byUpstream.values()].some(({ responseEnded }) => !responseEnded);
  }

  guestHeaders(id: number, fields: readonly Field[] | null, end: boolean): void {
    const pair = this.#byGuest.get(id);
    if (pair !== undefined) return this.#guestTrailers(pair, fields, end);
    const waiting = this.#requests.waiting(id);
    if (waiting !== undefined) return waiting.trailers(fields, end);
    if (!this.#pages.has(id)) this.#requests.take(id, fields, end);
  }

  guestData(id: number, bytes: Buffer, end: boolean): void {
    const waiting = this.#requests.waiting(id);
    if (waiting !== undefined) return waiting.data(bytes, end);
    const pair = this.#byGuest.get(id);
    if (pair === undefined) return this.#guest.consumed(id, bytes.length);
    this.#attempt("request-malformed", () => {
      if (!this.#byUpstream.has(pair.upstream)) { // whose guest is being told to stop
        this.#guest.consumed(0, bytes.length);
        return pair.up.count(bytes.length, end);
      }
      const out = pair.up.take(bytes, end);
      this.#send(this.#upstream, pair.upstream, out);
      this.sentToUpstream(pair.upstream, 0);
      if (end) this.#upstream?.end(pair.upstream);
      this.#await(pair);
    }, (broken) => {
      this.#guest.consumed(id, bytes.length);
      this.#giveUp(pair, broken);
    });
  }

  guestReset(id: number, code: number): void {
    this.#pages.delete(id);
    this.#stops.delete(id);
    if (this.#requests.leave(id)) return;
    const pair = this.#byGuest.get(id);
    if (pair === undefined) return;
    // Some servers take a reset without an error for the end of a request (RFC 9113 8.1 has it for
    // answers alone).
    this.#upstream?.reset(pair.upstream, code === Code.None ? Code.Cancel : code);
    this.#forget(pair);
  }

  /** Answers whether that was of an answer of the server. */
  sentToGuest(id: number, bytes: number): boolean {
    const pair = this.#byGuest.get(id);
    if (pair === undefined) return false;
    const due = pair.down.sent(bytes);
    if (due > 0) this.#upstream?.consumed(pair.upstream, due);
    return true;
  }

  /** Everything was sent to the guest. */
  guestFinished(id: number): void {
    const code = this.#stops.get(id);
    if (code === undefined) return;
    this.#guest.reset(id, code); // does nothing where the guest has ended meanwhile
    this.guestClosed(id);
  }

  /** The guest's stream is gone, in order. */
  guestClosed(id: number): void {
    this.#pages.delete(id);
    this.#stops.delete(id);
    const pair = this.#byGuest.get(id);
    if (pair !== undefined) this.#report(pair);
  }

  upstreamHeaders(id: number, fields: readonly Field[] | null, end: boolean): void {
    const pair = this.#byUpstream.get(id);
    if (pair === undefined) return;
    this.#attempt("upstream-malformed", () => {
      if (fields === null) throw new MalformedHttp("fields beyond the limit");
      if (!pair.answered) return this.#response(pair, fields, end);
      if (!end) throw new MalformedHttp("a second head");
      const sent = pair.takeResponseTrailers(readH2Trailers(fields));
      this.#sendAnswer(pair.guest, sent);
      this.#guest.end(pair.guest, sent.trailers);
    }, (broken) => this.#fail(pair, broken));
  }

  upstreamData(id: number, bytes: Buffer, end: boolean): void {
    const pair = this.#byUpstream.get(id);
    if (pair === undefined) return this.#upstream?.consumed(id, bytes.length);
    this.#attempt("upstream-malformed", () => {
      this.#sendAnswer(pair.guest, pair.takeResponse(bytes, end));
      this.sentToGuest(pair.guest, 0);
      if (end) this.#guest.end(pair.guest);
      this.#await(pair);
    }, (broken) => {
      this.#fail(pair, broken);
      this.#upstream?.consumed(id, bytes.length);
    });
  }

  upstreamReset(id: number, code: number): void {
    const pair = this.#byUpstream.get(id);
    if (pair === undefined) return;
    this.#byUpstream.delete(id);
    this.#part(pair, code);
  }

  /** The server's stream is gone: the guest gets what came before, and learns if that is not all. */
  #part(pair: Pair, code: number, refused?: Refusal): void {
    if (!pair.responseEnded) {
      pair.refused ??= refused;
      // Clients take a reset without an error for an end in order.
      return this.#guest.resetAfter(pair.guest, code === Code.None ? Code.Internal : code);
    }
    this.#stops.set(pair.guest, code);
    if (!this.#guest.isSending(pair.guest)) this.guestFinished(pair.guest);
  }

  sentToUpstream(id: number, bytes: number): void {
    const pair = this.#byUpstream.get(id);
    if (pair === undefined) return;
    const due = pair.up.sent(bytes);
    if (due > 0) this.#guest.consumed(pair.guest, due);
  }

  upstreamClosed(id: number): void {
    this.#byUpstream.delete(id);
  }

  /** The server takes streams up to this one (RFC 9113 6.8); the others may be sent again elsewhere. */
  upstreamTakesUpTo(last: number): void {
    this.#lastTaken = Math.min(this.#lastTaken, last);
    for (const pair of [...this.#byUpstream.values()]) {
      if (pair.upstream <= last) continue;
      this.#upstream?.reset(pair.upstream, Code.Cancel);
      this.upstreamReset(pair.upstream, pair.responseEnded ? Code.None : Code.RefusedStream);
    }
  }

  /** The server cannot be followed any further: it broke the rules of its connection, or left. */
  failAll(reason: "upstream-malformed" | "upstream-closed", detail: string): void {
    this.leaving = true;
    for (const pair of [...this.#byUpstream.values()]) {
      if (reason === "upstream-malformed" && !pair.responseEnded) {
        this.#fail(pair, brokenBy(reason, detail, Code.Protocol));
      } else {
        this.#byUpstream.delete(pair.upstream);
        this.#part(pair, Code.None, { reason, detail });
      }
    }
  }

  /** The connections are gone. */
  reportAll(): void {
    for (const pair of [...this.#byGuest.values()]) this.#report(pair);
    this.#requests.leaveAll();
  }

  #open(guest: number, read: H2Request, since: number, { request, body, answer }: Passed): void {
    const session = this.#upstream;
    if (session === null || this.leaving || session.nextStream > this.#lastTaken) {
      return this.#requests.refuse(guest);
    }
    if (this.#byUpstream.size >= session.peer.maxConcurrentStreams) {
      return this.#requests.refuse(guest);
    }
    const { line, length } = read;
    const end = request.body.kind === "none";
    if (end && length !== null && length > 0) throw new MalformedHttp("a body that is missing");
    const flow = new BodyFlow(request.body, length, body);
    const upstream = session.request(sentRequest(read, request, flow), end);
    const pair = new Pair({ guest, upstream, line, length, flow, answer, since });
    this.#byGuest.set(guest, pair);
    this.#byUpstream.set(upstream, pair);
  }

  #guestTrailers(pair: Pair, fields: readonly Field[] | null, end: boolean): void {
    this.#attempt("request-malformed", () => {
      if (!end || fields === null) throw new MalformedHttp("a second head");
      const { rest, trailers } = pair.up.takeTrailers(readH2Trailers(fields));
      this.#send(this.#upstream, pair.upstream, rest);
      this.#upstream?.end(pair.upstream, trailers);
    }, (broken) => this.#giveUp(pair, broken));
  }

  #response(pair: Pair, fields: readonly Field[], end: boolean): void {
    const response = readH2Response(fields, end, pair.line.method, pair.answer);
    if (response.status >= 200) {
      const head = pair.beginResponse(response, end);
      if (head !== null) this.#guest.headers(pair.guest, head, end);
      return;
    }
    if (end) throw new MalformedHttp("an interim response that is the last");
    if (++pair.interim > this.#context.limits.interim) throw new MalformedHttp("endless interims");
    this.#guest.headers(pair.guest, response.outgoing, end);
  }

  #sendAnswer(id: number, { head, content }: Sent): void {
    if (head !== null) this.#guest.headers(id, head, false);
    this.#send(this.#guest, id, content);
  }

  #send(to: H2Session | null, id: number, content: readonly Buffer[]): void {
    for (const part of content) if (part.length > 0) to?.data(id, part);
  }

  /** What is held back goes on once nothing has come for a while. */
  #await(pair: Pair): void {
    const known = this.#lulls.get(pair);
    if (!pair.holds) return known?.clear();
    const lull = known ??
      new Deadline(this.#context.clock, () => this.#later(() => this.#letGo(pair)));
    this.#lulls.set(pair, lull);
    lull.set(LULL_MS);
  }

  #letGo(pair: Pair): void {
    if (!this.#byUpstream.has(pair.upstream)) return;
    this.#attempt("upstream-malformed", () => {
      const [up, down] = [pair.up.letGo(), pair.down.letGo()];
      this.#send(this.#upstream, pair.upstream, up ?? []);
      this.#send(this.#guest, pair.guest, down ?? []);
      if (up === null || down === null) this.#await(pair);
    }, (broken) => this.#fail(pair, broken));
  }

  /** A request that was sent on already goes no further. */
  #giveUp(pair: Pair, { refusal, code }: Broken): void {
    this.#guest.charge();
    this.#upstream?.reset(pair.upstream, Code.Cancel);
    this.#guest.reset(pair.guest, code);
    this.#forget(pair, refusal);
  }

  /** An answer goes no further. */
  #fail(pair: Pair, { refusal, page, code }: Broken): void {
    this.#upstream?.reset(pair.upstream, code);
    this.#byUpstream.delete(pair.upstream);
    if (pair.status !== undefined) return this.#part(pair, Code.None, refusal);
    this.#report(pair, refusal, page.status);
    this.#answer(pair.guest, page, pair.line.method);
  }

  #answer(id: number, { status, fields, body }: Page, method: string | undefined): void {
    this.#pages.add(id);
    this.#stops.set(id, Code.None);
    const head = [{ name: ":status", key: ":status", value: String(status) }, ...fields];
    this.#guest.headers(id, head, method === "HEAD");
    if (method === "HEAD") return;
    this.#guest.data(id, body);
    this.#guest.end(id);
  }

  #attempt(
    reason: "request-malformed" | "upstream-malformed",
    step: () => void,
    failed: (broken: Broken) => void,
  ): void {
    try {
      step();
    } catch (error) {
      if (error instanceof GateRefusal) {
        const { refusal } = error;
        failed({ refusal, page: deniedPage(refusal), code: Code.Cancel });
      } else if (error instanceof MalformedHttp) {
        failed(brokenBy(reason, error.message, Code.Protocol));
      } else throw error;
    }
  }

  #forget(pair: Pair, refused?: Refusal, status?: number): void {
    this.#byUpstream.delete(pair.upstream);
    this.#report(pair, refused, status);
  }

  #report(pair: Pair, refused?: Refusal, status?: number): void {
    if (!this.#byGuest.delete(pair.guest)) return;
    this.#lulls.get(pair)?.clear();
    this.#lulls.delete(pair);
    pair.close();
    this.#context.onExchange(pair.toExchange(this.#context.clock.now(), refused, status));
  }
}

function brokenBy(
  reason: "request-malformed" | "upstream-malformed",
  detail: string,
  code: number,
): Broken {
  return { refusal: { reason, detail }, page: relayPage(reason, detail), code };
}
