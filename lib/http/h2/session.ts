/**
 * One end of an HTTP/2 connection: what the peer does comes out as events (reception.ts), and what is to
 * be sent goes in, by the rules of stream_state.ts. Content that is queued for the peer outlives what
 * ends its stream from elsewhere: it is sent first.
 *
 * @module
 */
import type { Buffer } from "node:buffer";
import type { HttpLimits } from "../exchange.ts";
import type { Field } from "../fields.ts";
import { HpackEncoder } from "../hpack/encoder.ts";
import { FrameCosts } from "./costs.ts";
import {
  encodeHeaders,
  encodeNumbers,
  encodePing,
  encodeSettings,
  Flag,
  frameHeader,
  FrameType,
  PREFACE,
  Setting,
} from "./frame.ts";
import { Inflow, type Windows } from "./inflow.ts";
import { Outflow } from "./outflow.ts";
import { H2Reception } from "./reception.ts";
import type { H2Event, SessionSpec } from "./session_spec.ts";
import { applySettings, DEFAULT_SETTINGS, type PeerSettings } from "./settings.ts";
import { send } from "./stream_state.ts";
import { StreamTable } from "./stream_table.ts";

/** The first words of a side: see {@link H2Session.greet}. */
export function greeting(
  role: "server" | "client",
  { streamWindow, window }: Pick<Windows, "streamWindow" | "window">,
  { headBytes }: Pick<HttpLimits, "headBytes">,
  extra: readonly (readonly [id: number, value: number])[],
): readonly Buffer[] {
  return [
    ...(role === "client" ? [PREFACE] : []),
    encodeSettings([
      [Setting.InitialWindowSize, streamWindow],
      [Setting.MaxHeaderListSize, headBytes],
      ...extra,
    ]),
    encodeNumbers(FrameType.WindowUpdate, 0, window - 65_535),
  ];
}

export class H2Session {
  readonly #spec: SessionSpec;
  readonly #encoder = new HpackEncoder();
  readonly #outflow: Outflow;
  readonly #inflow: Inflow;
  readonly #costs: FrameCosts;
  readonly #streams: StreamTable;
  readonly #reception: H2Reception;
  #peer = DEFAULT_SETTINGS;

  constructor(spec: SessionSpec) {
    const { sink, write } = spec;
    this.#spec = spec;
    this.#streams = new StreamTable(spec.name);
    this.#costs = new FrameCosts(spec.now);
    this.#inflow = new Inflow(spec.windows, write);
    this.#outflow = new Outflow({
      write,
      sent: (stream, bytes) => sink.sent(stream, bytes),
      writeTrailers: (id, fields) =>
        write(...encodeHeaders(id, this.#encoder.encode(fields), true)),
      writeReset: (stream, code) => this.#giveUp(stream, code),
      finished: (stream) => this.#finish(stream),
    });
    this.#reception = new H2Reception(spec, {
      streams: this.#streams,
      inflow: this.#inflow,
      outflow: this.#outflow,
      costs: this.#costs,
      reset: (stream, code) => this.reset(stream, code),
      forget: (stream) => this.#forget(stream),
      settings: (payload) => this.#takeSettings(payload),
    });
  }

  get peer(): PeerSettings {
    return this.#peer;
  }

  /** The highest stream that was ever opened. */
  get lastStream(): number {
    return this.#streams.last;
  }

  /** The number that the next request will have. */
  get nextStream(): number {
    return this.#streams.next;
  }

  /** Streams that are open in either direction. */
  get streams(): number {
    return this.#streams.size;
  }

  /** Whether the end of the stream is still to be sent. */
  isSending(stream: number): boolean {
    return this.#outflow.has(stream);
  }

  /** Whether the peer may still send on the stream. */
  isReceiving(stream: number): boolean {
    const state = this.#streams.stateOf(stream);
    return state === "open" || state === "half-closed (local)";
  }

  /** Says the first words: the preface of a client, our settings, the connection's window. */
  greet(extra: readonly (readonly [id: number, value: number])[]): void {
    const { role, windows, limits, write } = this.#spec;
    write(...greeting(role, windows, limits, extra));
  }

  /**
   * What the peer does with these bytes. Each event is to be dealt with before the next is asked for: what
   * is done about one decides what the next frame means.
   *
   * @throws H2Error when the peer broke the connection's rules; what came before counts.
   */
  receive(bytes: Buffer): Generator<H2Event, void, void> {
    return this.#reception.receive(bytes);
  }

  /** Opens a stream to a server; its number. */
  request(fields: readonly Field[], end: boolean): number {
    const stream = this.nextStream;
    this.#inflow.open(stream);
    this.#outflow.open(stream);
    this.headers(stream, fields, end);
    return stream;
  }

  headers(stream: number, fields: readonly Field[], end: boolean): void {
    const state = send(this.#streams.stateOf(stream), "HEADERS", end);
    if (state === null) return;
    this.#spec.write(...encodeHeaders(stream, this.#encoder.encode(fields), end));
    this.#streams.set(stream, state, "HEADERS sent");
    if (!end) return;
    this.#outflow.drop(stream);
    this.#settle(stream);
  }

  data(stream: number, bytes: Buffer): void {
    this.#outflow.data(stream, bytes);
  }

  end(stream: number, trailers: readonly Field[] = []): void {
    this.#outflow.end(stream, { kind: "end", trailers });
  }

  /** Gives the stream up at once, with what is queued for it. */
  reset(stream: number, code: number): void {
    const state = send(this.#streams.stateOf(stream), "RST_STREAM", false);
    if (state === null) return;
    this.#spec.write(encodeNumbers(FrameType.Reset, stream, code));
    this.#streams.set(stream, state, "RST_STREAM sent");
    this.#forget(stream);
  }

  /** Gives the stream up once what is queued for it was sent; `closed` follows. */
  resetAfter(stream: number, code: number): void {
    this.#outflow.end(stream, { kind: "reset", code });
  }

  /** Refuses streams above `last`. */
  goaway(last: number, code: number): void {
    this.#spec.write(encodeNumbers(FrameType.Goaway, 0, last, code));
  }

  ping(payload: Buffer, ack: boolean): void {
    this.#spec.write(encodePing(payload, ack));
  }

  /** Queued content leaves as windows allow, about `limit` bytes of it; true: there is more. */
  pump(limit: number): boolean {
    return this.#outflow.pump(limit);
  }

  /** Lets the peer send as much again. */
  consumed(stream: number, bytes: number): void {
    this.#inflow.consumed(stream, bytes);
  }

  /** The connection is over. */
  close(): void {
    this.#inflow.close();
  }

  /** Called for each stream error that the peer provoked by other means than a reset. @throws H2Error */
  charge(): void {
    this.#costs.reset();
  }

  #takeSettings(payload: Buffer): void {
    this.#peer = applySettings(this.#peer, payload);
    this.#encoder.setLimit(this.#peer.headerTableSize);
    this.#outflow.setInitialWindow(this.#peer.initialWindowSize);
    this.#spec.write(frameHeader(FrameType.Settings, Flag.Ack, 0, 0));
  }

  /** We said the last on the stream; it is gone when the peer has, too. */
  #settle(stream: number): void {
    this.#spec.sink.finished(stream);
    if (this.#streams.stateOf(stream) === "closed" && this.#inflow.delete(stream)) {
      this.#spec.sink.closed(stream);
    }
  }

  /** Everything was sent, the end included. */
  #finish(stream: number): void {
    const state = send(this.#streams.stateOf(stream), "DATA", true);
    if (state !== null) this.#streams.set(stream, state, "END_STREAM sent");
    this.#settle(stream);
  }

  #giveUp(stream: number, code: number): void {
    this.reset(stream, code);
    this.#spec.sink.closed(stream);
  }

  #forget(stream: number): void {
    this.#inflow.delete(stream);
    this.#outflow.drop(stream);
  }
}
