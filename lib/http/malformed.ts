/**
 * @module
 */
import type { HttpReason, RequestLine } from "./exchange.ts";

/** A peer sent bytes that cannot be passed on; the only error that the parsers here throw. */
export class MalformedHttp extends Error {
  override readonly name = "MalformedHttp";
  readonly reason: HttpReason;
  /** The request, where it can be told and is refused all the same. */
  readonly line: RequestLine | undefined;

  /** `what` is said behind the reason, on a page that the guest may read. */
  constructor(what: string, reason: HttpReason = "request-malformed", line?: RequestLine) {
    super(what);
    this.reason = reason;
    this.line = line;
  }
}
