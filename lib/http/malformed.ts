/**
 * @module
 */
import type { HttpReason } from "./exchange.ts";

/** A peer sent bytes that cannot be passed on; the only error that the parsers here throw. */
export class MalformedHttp extends Error {
  override readonly name = "MalformedHttp";
  readonly reason: HttpReason;

  /** `what` completes "the request has …" for a page that the guest may read. */
  constructor(what: string, reason: HttpReason = "request-malformed") {
    super(what);
    this.reason = reason;
  }
}
