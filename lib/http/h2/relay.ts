/**
 * HTTP/2 between one guest connection and one server connection.
 *
 * WAITING   for the server's settings, of which the guest's are made; the guest is not read. → OPEN
 * OPEN      streams move both ways as fast as their recipients' windows allow (streams.ts).
 * LEAVING   after a GOAWAY of either side: streams that are open go on, new ones are refused. → PARTING
 * LOST      the server is gone, in whatever way: the guest is sent what is left of the answers, and the
 *           end of each (streams.ts). → PARTING
 * PARTING   nothing is left to send, and the guest was told to leave: it closes, or is closed at last. → CLOSING
 * CLOSING   see conduit.ts
 *
 * Content that waits for its recipient is bounded by the windows of its sender, so neither connection
 * holds the other back: a stream that stalls holds up no other.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { Budget } from "../budget.ts";
import { Conduit, type ConduitSink } from "../conduit.ts";
import { HTTP_LIMITS, type RelayEnd } from "../exchange.ts";
import type { RelayContext } from "../relay_spec.ts";
import { Code, H2Error, MAX_WINDOW, Setting } from "./frame.ts";
import type { Windows } from "./inflow.ts";
import { Pings } from "./pings.ts";
import { greeting, H2Session } from "./session.ts";
import type { H2Event } from "./session_spec.ts";
import { H2Streams } from "./streams.ts";

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

/** Settings beside those of all sessions. */
const TO_SERVERS = [[Setting.EnablePush, 0]] as const;

/**
 * What a server is sent first, whoever the guest is. Some wait no longer for it than for ten seconds (Go's), in
 * which a guest that is emulated, on a loaded machine, has not answered a handshake.
 */
export function serverGreeting(): Buffer {
  return Buffer.concat(greeting("client", FROM_UPSTREAM, HTTP_LIMITS, TO_SERVERS));
}

/** Content that is framed before it is seen whether the recipient still takes it. */
const TURN = 128 * 1024;

/**
 * For a guest that was told to leave to close of itself. Clients do as soon as they have read what they were
 * sent; some (Node's) forget what they have not read yet when they are closed on.
 */
const PARTING_MS = 2_000;

/** So long after content was sent to it, a slow guest may still be reading that (conduit.ts). */
const READING_MS = 300_000;

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
  /** How the server left. */
  #lost: RelayEnd | null = null;
  #parting = false;
  /** When the guest was sent content of an answer. */
  #lastContent = -Infinity;

  constructor(context: RelayContext) {
    const { guest, upstream, clock, limits } = context;
    this.#context = context;
    const server = upstream.kind === "open" ? upstream.stream : null;
    this.#conduit = new Conduit(guest, server, clock, this, "independent");
    const common = { limits, now: () => clock.now() };
    const { id = "-" } = context;
    this.#guest = new H2Session({
      ...common,
      windows: FROM_GUEST,
      role: "server",
      name: `${id}/guest`,
      write: (...parts) => this.#conduit.toGuest(...parts),
      sink: {
        sent: (id, bytes) => {
          if (this.#streams.sentToGuest(id, bytes)) this.#lastContent = clock.now();
        },
        finished: (id) => this.#streams.guestFinished(id),
        closed: (id) => this.#streams.guestClosed(id),
      },
    });
    this.#upstream = server === null ? null : new H2Session({
      ...common,
      windows: FROM_UPSTREAM,
      role: "client",
      name: `${id}/server`,
      write: (...parts) => this.#conduit.toUpstream(...parts),
      sink: {
        sent: (id, bytes) => this.#streams.sentToUpstream(id, bytes),
        finished: () => {},
        closed: (id) => this.#streams.upstreamClosed(id),
      },
    });
    this.#streams = new H2Streams(
      context,
      this.#guest,
      this.#upstream,
      (step) => step === null ? this.#conduit.abort("reset-guest") : this.#asGuest(step),
    );
    this.#fromGuest = new Pings(this.#guest, this.#upstream);
    this.#fromUpstream = this.#upstream === null ? null : new Pings(this.#upstream, this.#guest);
    this.#conduit.deadline.set(limits.headMs);
    if (this.#upstream === null) this.#start();
    else {
      this.#conduit.holdGuest();
      if (upstream.kind === "open" && upstream.greeted !== true) this.#upstream.greet(TO_SERVERS);
      this.#conduit.flush();
    }
  }

  /** Resolves when both connections are closed. */
  get closed(): Promise<void> {
    return this.#conduit.closed;
  }

  fromGuest(bytes: Buffer): void {
    if (!this.#parting) this.#conduit.deadline.touch();
    this.#asGuest(() => {
      for (const event of this.#guest.receive(bytes)) this.#takeFromGuest(event);
    });
  }

  #asGuest(step: () => void): void {
    if (this.#conduit.closing) return;
    try {
      step();
    } catch (error) {
      if (!(error instanceof H2Error)) throw error;
      this.#breakWithGuest(error);
    }
    this.pump();
  }

  fromUpstream(bytes: Buffer): void {
    if (this.#lost !== null || this.#parting) return;
    this.#conduit.deadline.touch();
    try {
      for (const event of this.#upstream?.receive(bytes) ?? []) this.#takeFromUpstream(event);
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
    if (leaving && !busy) return this.#part();
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
    if (this.#lost !== null || this.#parting) return;
    this.#lose("upstream-closed", "the server closed the connection", Code.None);
  }

  get delivering(): boolean {
    return this.#lost !== null || this.#parting;
  }

  /** New streams are refused, so that it stays so. */
  #part(): void {
    if (this.#parting || this.#conduit.closing) return;
    this.#parting = true;
    this.#conduit.endUpstream();
    const reading = this.#lastContent + READING_MS - this.#context.clock.now();
    this.#conduit.deadline.set(Math.max(PARTING_MS, reading));
  }

  expired(): void {
    if (this.#parting) return this.#conduit.close();
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
    this.#context.onEnd?.(end === "eof" ? this.#lost ?? end : end);
  }

  /** The server is there: the guest learns what it may do, and is read. */
  #start(): void {
    const { limits } = this.#context;
    const peer = this.#upstream?.peer;
    const streams = Math.min(limits.streams, peer?.maxConcurrentStreams ?? Infinity);
    this.#streams.maxStreams = streams;
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
    this.#upstream?.goaway(0, code);
    this.#lose("upstream-malformed", message, Code.Internal);
    this.#conduit.endUpstream();
  }

  #lose(why: "upstream-malformed" | "upstream-closed", detail: string, code: number): void {
    if (!this.#open) this.#start(); // settings come first, even before a farewell
    const cut = why === "upstream-malformed" || this.#streams.awaiting;
    this.#lost = cut ? "reset-upstream" : "eof";
    this.#streams.failAll(why, detail);
    this.#guest.goaway(this.#guest.lastStream, code);
    this.pump();
  }

  #takeFromGuest(event: H2Event): void {
    const streams = this.#streams;
    switch (event.kind) {
      case "headers":
        return streams.guestHeaders(event.stream, event.fields, event.end);
      case "data":
        return streams.guestData(event.stream, event.bytes, event.end);
      case "reset":
        return streams.guestReset(event.stream, event.code);
      case "closed":
        return streams.guestClosed(event.stream);
      case "goaway":
        streams.leaving = true;
        return this.#upstream?.goaway(0, event.code);
      case "ping":
        if (event.ack) return this.#fromUpstream?.answer(event.payload);
        return this.#fromGuest.ask(event.payload);
    }
  }

  #takeFromUpstream(event: H2Event): void {
    const streams = this.#streams;
    switch (event.kind) {
      case "settings":
        return this.#start();
      case "headers":
        return streams.upstreamHeaders(event.stream, event.fields, event.end);
      case "data":
        return streams.upstreamData(event.stream, event.bytes, event.end);
      case "reset":
        return streams.upstreamReset(event.stream, event.code);
      case "closed":
        return streams.upstreamClosed(event.stream);
      case "goaway": {
        const { last, code } = event;
        streams.upstreamTakesUpTo(last);
        // The first of two only announces the second (RFC 9113 6.8).
        if (last !== MAX_WINDOW) streams.leaving = true;
        return this.#guest.goaway(last === MAX_WINDOW ? last : this.#guest.lastStream, code);
      }
      case "ping":
        if (event.ack) return this.#fromGuest.answer(event.payload);
        return this.#fromUpstream?.ask(event.payload);
    }
  }
}
