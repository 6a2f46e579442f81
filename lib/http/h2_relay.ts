/**
 * HTTP/2 between one guest connection and one server connection.
 *
 * WAITING   for the server's settings, of which the guest's are made; the guest is not read. → OPEN
 * OPEN      streams move both ways as fast as their recipients' windows allow (h2_streams.ts).
 * LEAVING   after a GOAWAY of either side: streams that are open go on, new ones are refused.
 * CLOSING   see conduit.ts
 *
 * Content that waits for its recipient is bounded by the windows of its sender, so neither connection
 * holds the other back: a stream that stalls holds up no other.
 *
 * @module
 */
import type { Buffer } from "node:buffer";
import { Budget } from "./budget.ts";
import { Conduit, type ConduitSink } from "./conduit.ts";
import type { RelayEnd } from "./exchange.ts";
import { Code, H2Error, MAX_WINDOW, Setting } from "./h2_frame.ts";
import type { Windows } from "./h2_inflow.ts";
import { Pings } from "./h2_pings.ts";
import { H2Session, type SessionSink } from "./h2_session.ts";
import { H2Streams } from "./h2_streams.ts";
import type { RelayContext } from "./relay.ts";

/** What all connections may hold beyond their windows for streams that stall. */
const BUDGET = new Budget(64 << 20);

/**
 * What may wait from a side. Servers are far away, and fill a window once a round trip; guests are near.
 * A guest may hold a thousand connections like this, and read none.
 */
export const FROM_GUEST: Windows = {
  streamWindow: 512 << 10,
  window: 1 << 20,
  loan: 8 << 20,
  budget: BUDGET,
};
export const FROM_UPSTREAM: Windows = {
  streamWindow: 1 << 20,
  window: 2 << 20,
  loan: 16 << 20,
  budget: BUDGET,
};

/** Content that is framed before it is seen whether the recipient still takes it. */
const TURN = 128 * 1024;

export class H2Relay implements ConduitSink {
  readonly #context: RelayContext;
  readonly #conduit: Conduit;
  readonly #guest: H2Session;
  readonly #upstream: H2Session | null;
  readonly #streams: H2Streams;
  readonly #fromGuest: Pings;
  readonly #fromUpstream: Pings | null;
  #busy = false;
  #open = false;

  constructor(context: RelayContext) {
    const { guest, upstream, clock, limits } = context;
    this.#context = context;
    const server = upstream.kind === "open" ? upstream.stream : null;
    this.#conduit = new Conduit(guest, server, clock, this, "independent");
    const common = { limits, now: () => clock.now() };
    this.#guest = new H2Session({
      ...common,
      windows: FROM_GUEST,
      role: "server",
      write: (...parts) => this.#conduit.toGuest(...parts),
      sink: this.#guestSink(),
    });
    this.#upstream = server === null ? null : new H2Session({
      ...common,
      windows: FROM_UPSTREAM,
      role: "client",
      write: (...parts) => this.#conduit.toUpstream(...parts),
      sink: this.#upstreamSink(),
    });
    this.#streams = new H2Streams(context, this.#guest, this.#upstream);
    this.#fromGuest = new Pings(this.#guest, this.#upstream);
    this.#fromUpstream = this.#upstream === null ? null : new Pings(this.#upstream, this.#guest);
    this.#conduit.deadline.set(limits.headMs);
    if (this.#upstream === null) this.#start();
    else {
      this.#conduit.holdGuest();
      this.#upstream.greet([[Setting.EnablePush, 0]]);
      this.#conduit.flush();
    }
  }

  /** Resolves when both connections are closed. */
  get closed(): Promise<void> {
    return this.#conduit.closed;
  }

  fromGuest(bytes: Buffer): void {
    this.#conduit.deadline.touch();
    try {
      this.#guest.receive(bytes);
    } catch (error) {
      if (!(error instanceof H2Error)) throw error;
      this.#breakWithGuest(error);
    }
    this.pump();
  }

  fromUpstream(bytes: Buffer): void {
    this.#conduit.deadline.touch();
    try {
      this.#upstream?.receive(bytes);
    } catch (error) {
      if (!(error instanceof H2Error)) throw error;
      this.#breakWithUpstream(error);
    }
    this.pump();
  }

  /** Moves content as far as both connections take it. */
  pump(): void {
    for (let more = true; more && !this.#conduit.closing;) {
      const down = this.#conduit.guestHasRoom && this.#guest.pump(TURN);
      const up = this.#conduit.upstreamHasRoom && this.#upstream?.pump(TURN) === true;
      this.#conduit.flush();
      more = down || up;
    }
    const { busy, leaving } = this.#streams;
    if (leaving && !busy) return this.#conduit.close();
    if (!this.#open || busy === this.#busy) return;
    this.#busy = busy;
    const { silenceMs, idleMs } = this.#context.limits;
    this.#conduit.deadline.set(busy ? silenceMs : idleMs);
  }

  drained(): void {
    this.pump();
  }

  guestEnded(): void {
    if (this.#streams.busy) this.#conduit.abort("reset-guest");
    else this.#conduit.close();
  }

  /** Lengths of streams are checked, so that a loss between them loses nothing. */
  upstreamEnded(): void {
    if (this.#streams.busy) return this.#conduit.abort("reset-upstream");
    if (!this.#open) this.#start();
    this.#guest.goaway(this.#guest.lastStream, Code.None);
    this.#conduit.close();
  }

  expired(): void {
    if (this.#streams.busy || !this.#open) return this.#conduit.abort("idle");
    this.#guest.goaway(this.#guest.lastStream, Code.None);
    this.#conduit.close("idle");
  }

  get busy(): boolean {
    return this.#streams.busy;
  }

  over(end: RelayEnd): void {
    this.#streams.reportAll();
    this.#guest.close();
    this.#upstream?.close();
    this.#context.onEnd?.(end);
  }

  /** The server is there: the guest learns what it may do, and is read. */
  #start(): void {
    const { limits } = this.#context;
    const peer = this.#upstream?.peer;
    const streams = Math.min(limits.streams, peer?.maxConcurrentStreams ?? Infinity);
    this.#guest.greet([
      [Setting.MaxConcurrentStreams, streams],
      ...(peer?.connectProtocol === true ? [[Setting.EnableConnectProtocol, 1] as const] : []),
    ]);
    this.#open = true;
    this.#conduit.deadline.set(limits.idleMs);
    this.#conduit.releaseGuest();
    this.#conduit.flush();
  }

  #breakWithGuest({ code, message }: H2Error): void {
    const calm = code === Code.EnhanceYourCalm || code === Code.FlowControl;
    const reason = calm ? "stream-limit" : "request-malformed";
    this.#context.onExchange({ up: 0, down: 0, ms: 0, refused: { reason, detail: message } });
    this.#guest.goaway(this.#guest.lastStream, code);
    this.#conduit.closeAbandoningUpstream("reset-guest");
  }

  #breakWithUpstream({ code, message }: H2Error): void {
    if (!this.#open) this.#start(); // settings come first, even before a farewell
    this.#upstream?.goaway(0, code);
    this.#streams.failAll(message);
    this.#guest.goaway(this.#guest.lastStream, Code.Internal);
    this.#guest.pump(TURN);
    this.#conduit.close("reset-upstream");
  }

  #guestSink(): SessionSink {
    return {
      settings: () => {},
      headers: (id, fields, end) => this.#streams.guestHeaders(id, fields, end),
      data: (id, bytes, end) => this.#streams.guestData(id, bytes, end),
      reset: (id, code) => this.#streams.guestReset(id, code),
      goaway: (_last, code) => {
        this.#streams.leaving = true;
        this.#upstream?.goaway(0, code);
      },
      ping: (payload, ack) => {
        if (ack) this.#fromUpstream?.answer(payload);
        else this.#fromGuest.ask(payload);
      },
      sent: (id, bytes) => this.#streams.sentToGuest(id, bytes),
      finished: (id) => this.#streams.guestFinished(id),
      closed: (id) => this.#streams.guestClosed(id),
    };
  }

  #upstreamSink(): SessionSink {
    return {
      settings: () => this.#start(),
      headers: (id, fields, end) => this.#streams.upstreamHeaders(id, fields, end),
      data: (id, bytes, end) => this.#streams.upstreamData(id, bytes, end),
      reset: (id, code) => this.#streams.upstreamReset(id, code),
      goaway: (last, code) => {
        this.#streams.upstreamTakesUpTo(last);
        // The first of two only announces the second (RFC 9113 6.8).
        if (last !== MAX_WINDOW) this.#streams.leaving = true;
        this.#guest.goaway(last === MAX_WINDOW ? last : this.#guest.lastStream, code);
      },
      ping: (payload, ack) => {
        if (ack) this.#fromGuest.answer(payload);
        else this.#fromUpstream?.ask(payload);
      },
      sent: (id, bytes) => this.#streams.sentToUpstream(id, bytes),
      finished: () => {},
      closed: (id) => this.#streams.upstreamClosed(id),
    };
  }
}
