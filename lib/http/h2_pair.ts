/**
 * One stream of a guest and its counterpart at the server. Pure.
 *
 * @module
 */
import type { Exchange, Refusal, RequestLine } from "./exchange.ts";
import type { H2Response } from "./h2_message.ts";
import { MalformedHttp } from "./malformed.ts";

export class Pair {
  /** The stream's number on either side. */
  readonly guest: number;
  readonly upstream: number;
  readonly line: RequestLine;
  /** Of the final response that the guest was sent. */
  status: number | undefined;
  interim = 0;
  responseEnded = false;
  #up = 0;
  #down = 0;
  /** Content still to come of what Content-Length states; null when nothing is stated. */
  #requestLeft: number | null;
  #responseLeft: number | null = null;
  readonly #since: number;

  constructor(
    numbers: { readonly guest: number; readonly upstream: number },
    line: RequestLine,
    length: number | null,
    now: number,
  ) {
    this.guest = numbers.guest;
    this.upstream = numbers.upstream;
    this.line = line;
    this.#requestLeft = length;
    this.#since = now;
  }

  /** Counts content of the request. @throws MalformedHttp when it is not as long as was stated. */
  takeRequest(bytes: number, end: boolean): void {
    this.#up += bytes;
    this.#requestLeft = count(this.#requestLeft, bytes, end);
  }

  /** Begins the final response. @throws MalformedHttp */
  beginResponse({ status, length }: H2Response, end: boolean): void {
    this.#responseLeft = count(length, 0, end);
    this.status = status;
    this.responseEnded = end;
  }

  /** As {@link takeRequest}. */
  takeResponse(bytes: number, end: boolean): void {
    if (this.status === undefined) throw new MalformedHttp("content before its head");
    this.#responseLeft = count(this.#responseLeft, bytes, end);
    this.#down += bytes;
    this.responseEnded = end;
  }

  toExchange(now: number, refused?: Refusal, status = this.status): Exchange {
    return {
      request: this.line,
      ...(status === undefined ? {} : { status }),
      up: this.#up,
      down: this.#down,
      ms: now - this.#since,
      ...(refused === undefined ? {} : { refused }),
    };
  }
}

/** RFC 9113 8.1.1: content that is longer or shorter than stated is malformed. */
function count(left: number | null, bytes: number, end: boolean): number | null {
  if (left === null) return null;
  const rest = left - bytes;
  if (rest < 0 || (end && rest > 0)) throw new MalformedHttp("a body of another length");
  return rest;
}
