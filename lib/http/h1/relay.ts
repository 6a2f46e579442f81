/**
 * HTTP/1 between one guest connection and one server connection; relay_state.ts has its states.
 *
 * The server has one request at a time, so bytes from it always belong to that one; bytes that belong
 * to none end both connections. A request's body and its answer move at the same time, each as fast as
 * its recipient. Requests that the guest sends ahead wait, unread beyond one piece, until it is their
 * turn; so does what follows a head while the gate judges that.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { Deadline } from "../../base/deadline.ts";
import { repeating } from "../../base/recall.ts";
import { isTraced, trace } from "../../base/trace.ts";
import type { SessionFault } from "../../tls/session/session.ts";
import { Conduit, type ConduitSink } from "../conduit.ts";
import { type Refusal, refusedExchange, type RelayEnd, type RequestLine } from "../exchange.ts";
import { isSameField } from "../fields.ts";
import { enter, type Entry, GateRefusal, LULL_MS } from "../gate.ts";
import { MalformedHttp } from "../malformed.ts";
import { deniedPage, relayPage } from "../refusal.ts";
import type { RelayContext } from "../relay_spec.ts";
import { H1Ending } from "./ending.ts";
import { H1Exchange } from "./exchange.ts";
import { parseRequestHead, parseResponseHead } from "./head.ts";
import { HeadReader } from "./head_reader.ts";
import { FIRST, type H1Event, type H1State, next, underway } from "./relay_state.ts";
import { readRequest } from "./request.ts";

export class H1Relay implements ConduitSink {
  readonly #context: RelayContext;
  readonly #conduit: Conduit;
  readonly #requests: HeadReader;
  readonly #responses: HeadReader;
  readonly #same = repeating(isSameField);
  #state: H1State = FIRST;
  readonly #lull: Deadline;
  readonly #ending: H1Ending;
  /** What the guest sent ahead of its turn. While there is any, the guest is not read. */
  #ahead: Buffer | null = null;

  constructor(context: RelayContext) {
    const { guest, upstream, clock, limits } = context;
    this.#context = context;
    this.#requests = new HeadReader(limits.headBytes, true);
    this.#responses = new HeadReader(limits.headBytes, false);
    const server = upstream.kind === "open" ? upstream.stream : null;
    this.#conduit = new Conduit(guest, server, clock, this);
    this.#lull = new Deadline(clock, () => this.#upstreamStep(() => this.#letGo()));
    this.#conduit.deadline.set(limits.idleMs);
    this.#ending = new H1Ending({
      conduit: this.#conduit,
      exchange: () => underway(this.#state)?.exchange,
      close: (...why) => this.#close(...why),
    });
  }

  /** Resolves when both connections are closed. */
  get closed(): Promise<void> {
    return this.#conduit.closed;
  }

  get busy(): boolean {
    return this.#state.name !== "idle" && this.#state.name !== "closing";
  }

  fromGuest(bytes: Buffer): void {
    if (this.#context.admit?.(bytes) === false) return this.#conduit.abort("reset-guest");
    this.#read(bytes);
  }

  #read(bytes: Buffer): void {
    if (underway(this.#state) !== null) this.#conduit.deadline.touch();
    this.#guestStep(() => this.#takeFromGuest(bytes));
  }

  fromUpstream(bytes: Buffer): void {
    this.#conduit.deadline.touch();
    this.#upstreamStep(() => this.#takeFromUpstream(bytes));
    // Only between pieces from the server: what it sent before a request cannot answer it.
    if (this.#state.name === "idle") this.#takeAhead();
  }

  guestEnded(): void {
    switch (this.#state.name) {
      case "idle":
        return this.#conduit.close();
      case "answering":
        return this.#become({ kind: "guest ends" });
      case "tunnel":
        return this.#guestStep(() => this.#endTunnel("up"));
      case "reading":
      case "sending":
      case "answered":
      case "judging": // whose guest is not read
        return this.#conduit.abort("reset-guest");
    }
  }

  upstreamEnded(fault: SessionFault | null): void {
    const current = underway(this.#state);
    if (current === null) return this.#conduit.close();
    const { exchange } = current;
    if (current.name === "tunnel") {
      if (fault === null) return this.#upstreamStep(() => this.#endTunnel("down"));
      return this.#conduit[fault === "cut" ? "closeCut" : "abortAfter"]("reset-upstream");
    }
    if (!exchange.answered) {
      return this.#ending.unanswered(current.served && !this.#responses.started);
    }
    if (exchange.answerDone) return this.#abandon(exchange);
    // RFC 9112 9.8: without close_notify, the end may be somebody else's doing.
    if (fault !== null) {
      return this.#ending.fail("upstream-closed", "cut off in the middle of its answer", fault);
    }
    this.#upstreamStep(() => {
      this.#conduit.toGuest(...exchange.takeEnd());
      this.#report(exchange);
      this.#become({ kind: "relay closes" });
      this.#conduit.close();
    });
  }

  expired(): void {
    if (this.#state.name === "idle") return this.#conduit.close("idle");
    if (this.#state.name !== "reading") return this.#conduit.abort("idle");
    this.#ending.refuse(relayPage("request-slow"), { reason: "request-slow" });
  }

  over(end: RelayEnd): void {
    this.#lull.clear();
    const state = this.#state;
    this.#become({ kind: "relay closes" });
    if (state.name === "judging") {
      const ms = this.#context.clock.now() - state.since;
      this.#context.onExchange({ request: state.request.line, up: 0, down: 0, ms });
    }
    const current = underway(state);
    if (current !== null) this.#report(current.exchange);
    this.#context.onEnd?.(end);
  }

  #become(event: H1Event): void {
    const from = this.#state;
    this.#state = next(from, event);
    if (this.#state === from || !isTraced("http")) return;
    const { id = "-" } = this.#context;
    trace("http", { id, from: from.name, to: this.#state.name, event: event.kind });
  }

  #guestStep(step: () => void): void {
    try {
      step();
    } catch (error) {
      if (error instanceof GateRefusal) this.#ending.reset(error.refusal);
      else if (error instanceof MalformedHttp) {
        const { reason, message: detail, line } = error;
        this.#ending.refuse(relayPage(reason, detail), { reason, detail }, line);
      } else throw error;
    }
  }

  #upstreamStep(step: () => void): void {
    try {
      step();
    } catch (error) {
      if (error instanceof GateRefusal) {
        this.#ending.giveUp(deniedPage(error.refusal), error.refusal, "eof");
      } else if (error instanceof MalformedHttp) {
        this.#ending.fail("upstream-malformed", error.message);
      } else throw error;
    }
  }

  #takeFromGuest(bytes: Buffer): void {
    let rest = bytes;
    while (rest.length > 0 && !this.#conduit.closing) {
      const state = this.#state;
      switch (state.name) {
        case "idle":
        case "reading":
          rest = this.#readRequest(rest);
          break;
        case "sending":
        case "answered":
          rest = this.#sendBody(state.exchange, rest);
          break;
        case "tunnel":
          rest = this.#carry(state.exchange, rest);
          break;
        default:
          this.#ahead = rest;
          return this.#conduit.holdGuest();
      }
    }
  }

  /** Takes up what was sent ahead, now that it is read again. */
  #takeAhead(): void {
    const ahead = this.#ahead;
    if (ahead === null || this.#conduit.closing) return;
    this.#ahead = null;
    this.#conduit.releaseGuest();
    this.#read(ahead);
  }

  #readRequest(bytes: Buffer): Buffer {
    const { limits, destination, gate, upstream, clock } = this.#context;
    const head = this.#requests.push(bytes);
    if (head === null) {
      const begun = this.#requests.started;
      if (begun !== (this.#state.name === "reading")) {
        this.#conduit.deadline.set(begun ? limits.headMs : limits.idleMs);
        this.#become({ kind: begun ? "head begins" : "head vanishes" });
      }
      return bytes.subarray(bytes.length);
    }
    const request = readRequest(parseRequestHead(head.text, limits), destination, this.#same);
    this.#become({ kind: "head ends", request, since: clock.now() });
    this.#conduit.deadline.set(limits.silenceMs);
    const unreachable = upstream.kind === "failed" ? upstream.refusal : null;
    const entry = enter(request.request, gate, unreachable);
    if (entry instanceof Promise) this.#wait(entry);
    else this.#admit(entry);
    return head.rest;
  }

  /** What follows the head waits, the guest's end as well. */
  #wait(entry: Promise<Entry>): void {
    this.#conduit.holdGuest();
    entry.then((late) => {
      if (this.#state.name !== "judging") return;
      this.#admit(late);
      if (this.#ahead === null) this.#conduit.releaseGuest();
      else this.#takeAhead();
      this.#conduit.flush();
    }, () => { // a fault of the gate lets nothing pass
      if (this.#state.name === "judging") this.#conduit.abort("reset-guest");
    });
  }

  #admit(entry: Entry): void {
    if (this.#state.name !== "judging") return;
    const { request, since } = this.#state;
    switch (entry.kind) {
      case "page":
        return this.#ending.refuse(entry.page, entry.refusal, request.line);
      case "reset":
        return this.#ending.reset(entry.refusal, request.line);
      case "pass": {
        const { limits, tunnel } = this.#context;
        const exchange = new H1Exchange({ request, passed: entry.passed, limits, since, tunnel });
        this.#become({ kind: "request passes", exchange });
        if (exchange.head !== null) this.#conduit.toUpstream(exchange.head);
      }
    }
  }

  #sendBody(exchange: H1Exchange, bytes: Buffer): Buffer {
    const { out, used } = exchange.sendBody(bytes);
    this.#conduit.toUpstream(...out);
    this.#settle(exchange);
    return bytes.subarray(used);
  }

  #takeFromUpstream(bytes: Buffer): void {
    let rest = bytes;
    while (rest.length > 0 && !this.#conduit.closing) {
      const current = underway(this.#state);
      // Bytes that answer nothing. Some servers say farewell to an idle connection this way.
      if (current === null) return this.#conduit.close();
      const { exchange } = current;
      if (!exchange.begun) {
        return this.#ending.unanswered(current.served && !this.#responses.started);
      }
      if (current.name === "tunnel") return this.#carryDown(exchange, rest);
      rest = exchange.answered ? this.#takeBody(exchange, rest) : this.#takeHead(exchange, rest);
    }
  }

  #takeHead(exchange: H1Exchange, bytes: Buffer): Buffer {
    const head = this.#responses.push(bytes);
    if (head === null) return bytes.subarray(bytes.length);
    const response = parseResponseHead(head.text, this.#context.limits);
    const out = exchange.takeHead(response);
    if (out !== null) this.#conduit.toGuest(out);
    if (exchange.left) this.#switch();
    else this.#settle(exchange);
    return head.rest;
  }

  #takeBody(exchange: H1Exchange, bytes: Buffer): Buffer {
    if (exchange.answerDone) { // what follows answers nothing, and the answer is whole
      this.#abandon(exchange);
      return bytes.subarray(bytes.length);
    }
    const { out, used } = exchange.takeBody(bytes);
    this.#conduit.toGuest(...out);
    this.#settle(exchange);
    return bytes.subarray(used);
  }

  /** The server cannot say more as long as the guest does not take what it said. */
  #letGo(): void {
    if (!this.#conduit.guestHasRoom) return this.#lull.touch();
    const { up = [], down = [] } = underway(this.#state)?.exchange.letGo() ?? {};
    this.#conduit.toUpstream(...up);
    this.#conduit.toGuest(...down);
    this.#conduit.flush();
  }

  /** Ends the exchange when both of its messages are complete, or the rest of one is of no use. */
  #settle(exchange: H1Exchange): void {
    const { requestDone, answerDone, persists, unwanted } = exchange;
    if (requestDone) this.#become({ kind: "request ends" });
    this.#lull.set(exchange.holds ? LULL_MS : Infinity);
    if (!answerDone) return;
    if (!requestDone && persists) return this.#become({ kind: "answer ends" });
    const last = this.#state.name === "half-closed";
    this.#report(exchange);
    this.#become({ kind: requestDone ? "answer ends" : "relay closes" });
    if (!requestDone || unwanted) this.#conduit.closeAbandoningUpstream();
    else if (!persists || last) this.#conduit.close();
    else this.#conduit.deadline.set(this.#context.limits.idleMs);
  }

  /** The answer is whole and the request is not, and nothing more can come of it. */
  #abandon(exchange: H1Exchange): void {
    this.#report(exchange);
    this.#become({ kind: "relay closes" });
    this.#conduit.closeAbandoningUpstream();
  }

  #switch(): void {
    const ended = this.#state.name === "half-closed";
    this.#become({ kind: "protocol switches" });
    if (ended) this.#guestStep(() => this.#endTunnel("up"));
    else this.#takeAhead();
  }

  #carry(exchange: H1Exchange, bytes: Buffer): Buffer {
    const { headMs, silenceMs } = this.#context.limits;
    const { out, requests, waits } = exchange.carryUp(bytes);
    this.#conduit.toUpstream(...out);
    this.#conduit.deadline.set(waits ? headMs : silenceMs);
    if (requests === null) return bytes.subarray(bytes.length);
    this.#report(exchange);
    this.#become({ kind: "requests follow" });
    return requests;
  }

  #carryDown(exchange: H1Exchange, bytes: Buffer): void {
    const { out, released } = exchange.carryDown(bytes);
    this.#conduit.toGuest(...out);
    if (released) this.#guestStep(() => this.#carry(exchange, NOTHING));
  }

  #endTunnel(direction: "up" | "down"): void {
    const rest = underway(this.#state)?.exchange.endTunnel(direction) ?? [];
    const up = direction === "up";
    this.#conduit[up ? "toUpstream" : "toGuest"](...rest);
    this.#conduit[up ? "endUpstream" : "endGuest"]();
  }

  /** Nothing more is relayed, and whoever listens is told why; `line` is of a request that was never relayed. */
  #close(refusal: Refusal, line?: RequestLine, status?: number): void {
    const exchange = underway(this.#state)?.exchange;
    this.#become({ kind: "relay closes" });
    if (exchange !== undefined) this.#report(exchange, refusal, status);
    else this.#context.onExchange(refusedExchange(refusal, line, status));
  }

  #report(exchange: H1Exchange, refused?: Refusal, status?: number): void {
    exchange.close();
    this.#context.onExchange(exchange.toExchange(this.#context.clock.now(), refused, status));
  }
}

const NOTHING = Buffer.alloc(0);
