/**
 * The streams of an HTTP/2 relay: each of the guest's becomes one of the server's, and what happens on
 * either happens on the other.
 *
 * A pair is known by the guest's number until the guest's stream is gone, and by the server's until
 * that one is. A response may be complete before its request is (RFC 9113 8.1): then the guest is
 * asked to stop, by RST_STREAM with NO_ERROR once it was sent everything.
 *
 * @module
 */
import type { Buffer } from "node:buffer";
import type { HttpReason, Refusal, RequestLine } from "./exchange.ts";
import type { Field } from "./fields.ts";
import { Code, MAX_WINDOW } from "./h2_frame.ts";
import { readH2Request, readH2Response, readH2Trailers } from "./h2_message.ts";
import { Pair } from "./h2_pair.ts";
import type { H2Session } from "./h2_session.ts";
import { MalformedHttp } from "./malformed.ts";
import { deniedPage, type Page, relayPage, unreachablePage } from "./refusal.ts";
import type { RelayContext } from "./relay.ts";

export class H2Streams {
  readonly #context: RelayContext;
  readonly #guest: H2Session;
  readonly #upstream: H2Session | null;
  readonly #byGuest = new Map<number, Pair>();
  readonly #byUpstream = new Map<number, Pair>();
  /** Streams of the guest that the relay itself answers. */
  readonly #pages = new Set<number>();
  readonly #stops = new Set<number>();
  /** The server takes no stream above this one. */
  #lastTaken = MAX_WINDOW;
  /** No new streams. */
  leaving = false;

  constructor(context: RelayContext, guest: H2Session, upstream: H2Session | null) {
    this.#context = context;
    this.#guest = guest;
    this.#upstream = upstream;
  }

  /** Whether a stream is open on either side. */
  get busy(): boolean {
    return this.#byGuest.size + this.#byUpstream.size + this.#pages.size > 0;
  }

  guestHeaders(id: number, fields: readonly Field[] | null, end: boolean): void {
    const pair = this.#byGuest.get(id);
    if (pair !== undefined) return this.#guestTrailers(pair, fields, end);
    if (this.#pages.has(id)) return;
    try {
      this.#request(id, fields, end);
    } catch (error) {
      if (!(error instanceof MalformedHttp)) throw error;
      const { reason, message: detail, line } = error;
      const refusal = { reason, detail };
      if (reason !== "request-malformed") {
        return this.#page(id, relayPage(reason, detail), refusal, line);
      }
      this.#context.onExchange({ up: 0, down: 0, ms: 0, refused: refusal });
      this.#guest.charge();
      this.#guest.reset(id, Code.Protocol);
    }
  }

  guestData(id: number, bytes: Buffer, end: boolean): void {
    const pair = this.#byGuest.get(id);
    if (pair === undefined) return this.#guest.consumed(id, bytes.length);
    this.#upstream?.data(pair.upstream, bytes);
    this.#attempt(() => pair.takeRequest(bytes.length, end), (why) => this.#giveUp(pair, why));
    if (end) this.#upstream?.end(pair.upstream);
  }

  guestReset(id: number, code: number): void {
    this.#pages.delete(id);
    this.#stops.delete(id);
    const pair = this.#byGuest.get(id);
    if (pair === undefined) return;
    this.#upstream?.reset(pair.upstream, code);
    this.#forget(pair);
  }

  sentToGuest(id: number, bytes: number): void {
    if (this.#pages.has(id)) return;
    this.#upstream?.consumed(this.#byGuest.get(id)?.upstream ?? 0, bytes);
  }

  /** Everything was sent to the guest. */
  guestFinished(id: number): void {
    if (!this.#stops.delete(id)) return;
    this.#guest.reset(id, Code.None);
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
    this.#attempt(() => {
      if (fields === null) throw new MalformedHttp("fields beyond the limit");
      if (pair.status === undefined) this.#response(pair, fields, end);
      else {
        if (!end) throw new MalformedHttp("a second head");
        pair.takeResponse(0, true);
        this.#guest.end(pair.guest, readH2Trailers(fields));
      }
    }, (why) => this.#fail(pair, why));
  }

  upstreamData(id: number, bytes: Buffer, end: boolean): void {
    const pair = this.#byUpstream.get(id);
    if (pair === undefined) return this.#upstream?.consumed(id, bytes.length);
    const taken = this.#attempt(
      () => pair.takeResponse(bytes.length, end),
      (why) => this.#fail(pair, why),
    );
    if (!taken) return this.#upstream?.consumed(id, bytes.length);
    this.#guest.data(pair.guest, bytes);
    if (end) this.#guest.end(pair.guest);
  }

  upstreamReset(id: number, code: number): void {
    const pair = this.#byUpstream.get(id);
    if (pair === undefined) return;
    this.#byUpstream.delete(id);
    if (!pair.responseEnded) {
      this.#guest.reset(pair.guest, code);
      this.#report(pair);
    } else if (this.#guest.isSending(pair.guest)) this.#stops.add(pair.guest);
    else {
      this.#guest.reset(pair.guest, Code.None);
      this.#report(pair);
    }
  }

  sentToUpstream(id: number, bytes: number): void {
    this.#guest.consumed(this.#byUpstream.get(id)?.guest ?? 0, bytes);
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
      this.#guest.reset(pair.guest, Code.RefusedStream);
      this.#forget(pair);
    }
  }

  /** The server cannot be followed any further. */
  failAll(why: string): void {
    for (const pair of [...this.#byGuest.values()]) this.#fail(pair, why);
  }

  /** The connections are gone. */
  reportAll(): void {
    for (const pair of [...this.#byGuest.values()]) this.#report(pair);
  }

  #request(id: number, fields: readonly Field[] | null, end: boolean): void {
    const { limits, destination, judge, upstream, clock } = this.#context;
    if (this.#guest.streams > limits.streams) return this.#refuse(id);
    if (fields === null) throw new MalformedHttp("fields beyond the limit", "request-limit");
    const tunnels = this.#upstream?.peer.connectProtocol === true;
    const { line, length, outgoing } = readH2Request(fields, destination, tunnels);
    const refusal = judge(line);
    if (refusal !== null) return this.#page(id, deniedPage(refusal), refusal, line);
    if (upstream.kind === "failed") {
      return this.#page(id, unreachablePage(upstream.refusal), upstream.refusal, line);
    }
    const session = this.#upstream;
    if (session === null || this.leaving || session.lastStream + 2 > this.#lastTaken) {
      return this.#refuse(id);
    }
    if (this.#byUpstream.size >= session.peer.maxConcurrentStreams) return this.#refuse(id);
    if (end && length !== null && length > 0) throw new MalformedHttp("a body that is missing");
    const number = session.request(outgoing, end);
    const pair = new Pair({ guest: id, upstream: number }, line, length, clock.now());
    this.#byGuest.set(id, pair);
    this.#byUpstream.set(number, pair);
  }

  /** RFC 9113 8.7: a stream so refused may be sent again, here later or elsewhere. */
  #refuse(id: number): void {
    this.#guest.charge();
    this.#guest.reset(id, Code.RefusedStream);
  }

  #guestTrailers(pair: Pair, fields: readonly Field[] | null, end: boolean): void {
    this.#attempt(() => {
      if (!end || fields === null) throw new MalformedHttp("a second head");
      pair.takeRequest(0, true);
      this.#upstream?.end(pair.upstream, readH2Trailers(fields));
    }, (why) => this.#giveUp(pair, why));
  }

  #response(pair: Pair, fields: readonly Field[], end: boolean): void {
    const response = readH2Response(fields, pair.line.method);
    if (response.status < 200) {
      if (end) throw new MalformedHttp("an interim response that is the last");
      if (++pair.interim > this.#context.limits.interim) {
        throw new MalformedHttp("endless interims");
      }
    } else pair.beginResponse(response, end);
    this.#guest.headers(pair.guest, response.outgoing, end);
  }

  /** The guest broke the rules of a request that was sent on already. */
  #giveUp(pair: Pair, detail: string): void {
    this.#guest.charge();
    this.#upstream?.reset(pair.upstream, Code.Cancel);
    this.#guest.reset(pair.guest, Code.Protocol);
    this.#forget(pair, { reason: "request-malformed", detail });
  }

  /** The server broke the rules of its answer. */
  #fail(pair: Pair, detail: string): void {
    const reason: HttpReason = "upstream-malformed";
    this.#upstream?.reset(pair.upstream, Code.Protocol);
    if (pair.status !== undefined) {
      this.#guest.reset(pair.guest, Code.Internal);
      return this.#forget(pair, { reason, detail });
    }
    const page = relayPage(reason, detail);
    this.#forget(pair, { reason, detail }, page.status);
    this.#answer(pair.guest, page, pair.line.method);
  }

  #page(id: number, page: Page, refused: Refusal, line?: RequestLine): void {
    const request = line === undefined ? {} : { request: line };
    this.#context.onExchange({ ...request, status: page.status, up: 0, down: 0, ms: 0, refused });
    this.#answer(id, page, line?.method);
  }

  #answer(id: number, { status, fields, body }: Page, method: string | undefined): void {
    this.#pages.add(id);
    if (!this.#guest.hasReceived(id)) this.#stops.add(id);
    const head = [{ name: ":status", key: ":status", value: String(status) }, ...fields];
    this.#guest.headers(id, head, method === "HEAD");
    if (method === "HEAD") return;
    this.#guest.data(id, body);
    this.#guest.end(id);
  }

  #attempt(step: () => void, failed: (why: string) => void): boolean {
    try {
      step();
      return true;
    } catch (error) {
      if (!(error instanceof MalformedHttp)) throw error;
      failed(error.message);
      return false;
    }
  }

  #forget(pair: Pair, refused?: Refusal, status?: number): void {
    this.#byUpstream.delete(pair.upstream);
    this.#report(pair, refused, status);
  }

  #report(pair: Pair, refused?: Refusal, status?: number): void {
    if (!this.#byGuest.delete(pair.guest)) return;
    this.#context.onExchange(pair.toExchange(this.#context.clock.now(), refused, status));
  }
}
