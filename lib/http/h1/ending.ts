/**
 * How a relay ends when one of its sides cannot be followed any further: what the guest gets in place of an
 * answer, or of the rest of one.
 *
 * @module
 */
import type { SessionFault } from "../../tls/session/session.ts";
import type { Conduit } from "../conduit.ts";
import type { HttpReason, Refusal, RelayEnd, RequestLine } from "../exchange.ts";
import { type Page, relayPage } from "../refusal.ts";
import type { H1Exchange } from "./exchange.ts";
import { pageResponse } from "./response.ts";

export interface H1EndingSpec {
  readonly conduit: Conduit;
  /** The one that is under way. */
  readonly exchange: () => H1Exchange | undefined;
  /** Relays nothing more, and tells why; `line` is of a request that was never relayed. */
  readonly close: (refusal: Refusal, line?: RequestLine, status?: number) => void;
}

export class H1Ending {
  readonly #spec: H1EndingSpec;

  constructor(spec: H1EndingSpec) {
    this.#spec = spec;
  }

  /** The server left without a word. On a used connection that is how it says "try again". */
  unanswered(isUsed: boolean): void {
    if (isUsed) this.#spec.conduit.close("reset-upstream");
    else this.fail("upstream-closed");
  }

  /** The server cannot be followed. `fault`: how its connection broke. */
  fail(reason: HttpReason, detail?: string, fault: SessionFault | null = null): void {
    const refusal = { reason, ...(detail === undefined ? {} : { detail }) };
    this.giveUp(relayPage(reason, detail), refusal, "reset-upstream", fault);
  }

  /**
   * Answers with the page, or ends an answer that has begun and is not whole, as its server did and after
   * all that came of it. Where the answer's framing does not tell that it is cut, nor TLS, only a reset does.
   */
  giveUp(page: Page, refusal: Refusal, end: RelayEnd, fault: SessionFault | null = null): void {
    const { conduit, close } = this.#spec;
    const exchange = this.#spec.exchange();
    if (exchange?.status === undefined) return this.#answer(page, refusal, undefined, end);
    close(refusal);
    const lost = fault !== null && fault !== "cut";
    const tells = !exchange.endsSilently || (conduit.guestSeesCuts && !lost);
    conduit[tells ? "closeCut" : "abortAfter"]("reset-upstream");
  }

  /** The guest cannot be followed: it gets the page, unless an answer has begun. */
  refuse(page: Page, refusal: Refusal, line?: RequestLine): void {
    if (this.#spec.exchange()?.status === undefined) {
      return this.#answer(page, refusal, line, "eof");
    }
    this.#spec.close(refusal);
    this.#spec.conduit.abort("reset-guest");
  }

  /** Lets the guest see a reset, behind what it was sent before. */
  reset(refusal: Refusal, line?: RequestLine): void {
    this.#spec.close(refusal, line);
    this.#spec.conduit.abortAfter("reset-guest");
  }

  /** Answers in the server's stead and closes. */
  #answer(page: Page, refusal: Refusal, line: RequestLine | undefined, end: RelayEnd): void {
    const { conduit, close } = this.#spec;
    const method = line?.method ?? this.#spec.exchange()?.request.line.method;
    close(refusal, line, page.status);
    conduit.toGuest(...pageResponse(page, method));
    conduit.closeAbandoningUpstream(end);
  }
}
