/**
 * One end of an HTTP/2 connection: frames in, what they mean out, and the other way (RFC 9113).
 *
 * A stream here is OPEN from its first HEADERS on, each direction closes by itself (END_STREAM), and it
 * is gone when both have, or at once by RST_STREAM from either side. What still comes for a stream that
 * is gone is dropped; for one that never was, it breaks the connection.
 *
 * What a peer sends is bounded: content by the windows, which are given back as content is passed on;
 * header blocks by their limit; frames that cost the peer nothing by a budget per second, the resets
 * that it sends or provokes included (CVE-2023-44487, CVE-2025-8671).
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { TokenBucket } from "../base/token_bucket.ts";
import type { HttpLimits } from "./exchange.ts";
import type { Field } from "./fields.ts";
import {
  Code,
  encodeHeaders,
  encodeNumbers,
  encodePing,
  encodeSettings,
  Flag,
  type Frame,
  frameHeader,
  FrameReader,
  FrameType,
  H2Error,
  MAX_WINDOW,
  PREFACE,
  Setting,
  unpad,
} from "./h2_frame.ts";
import { type HeaderBlock, HeaderBlocks } from "./h2_blocks.ts";
import { Inflow, type Windows } from "./h2_inflow.ts";
import { Outflow } from "./h2_outflow.ts";
import { applySettings, DEFAULT_SETTINGS, type PeerSettings } from "./h2_settings.ts";
import { HpackDecoder } from "./hpack_decoder.ts";
import { HpackEncoder } from "./hpack_encoder.ts";
import { MalformedHttp } from "./malformed.ts";

export interface SessionSink {
  /** The peer's first settings are known. */
  settings(): void;
  /** A header block: a head, or trailers when `end`. Null: more than the limits allow. */
  headers(stream: number, fields: readonly Field[] | null, end: boolean): void;
  /** Content; to be acknowledged by `consumed` once it needs no more memory. */
  data(stream: number, bytes: Buffer, end: boolean): void;
  /** The peer gave the stream up, or broke its rules and was told so. */
  reset(stream: number, code: number): void;
  goaway(lastStream: number, code: number): void;
  ping(payload: Buffer, ack: boolean): void;
  /** Content that was queued here is on its way (or will never be). */
  sent(stream: number, bytes: number): void;
  /** Everything that was queued for the stream was sent, its end included. */
  finished(stream: number): void;
  /** Nothing more will be sent or received on the stream. */
  closed(stream: number): void;
}

export interface SessionSpec {
  readonly role: "server" | "client";
  readonly limits: HttpLimits;
  readonly windows: Windows;
  readonly now: () => number;
  readonly sink: SessionSink;
  readonly write: (...parts: readonly Buffer[]) => void;
}

const TABLE = 4096;
const CHEAP_FRAMES = { perSecond: 1_000, burst: 2_000 };
const RESETS = { perSecond: 100, burst: 1_000 };

export class H2Session {
  readonly #spec: SessionSpec;
  readonly #reader: FrameReader;
  readonly #decoder: HpackDecoder;
  readonly #encoder = new HpackEncoder();
  readonly #outflow: Outflow;
  readonly #inflow: Inflow;
  readonly #cheap: TokenBucket;
  readonly #resets: TokenBucket;
  #peer = DEFAULT_SETTINGS;
  #settled = false;
  /** The highest stream that the peer (server) or we (client) opened. */
  #lastStream: number;
  readonly #blocks: HeaderBlocks;

  constructor(spec: SessionSpec) {
    const { role, limits, now, sink, write } = spec;
    this.#spec = spec;
    this.#decoder = new HpackDecoder(limits, TABLE);
    this.#blocks = new HeaderBlocks(limits.headBytes);
    this.#cheap = new TokenBucket(CHEAP_FRAMES.perSecond, CHEAP_FRAMES.burst, now);
    this.#resets = new TokenBucket(RESETS.perSecond, RESETS.burst, now);
    this.#reader = new FrameReader(role === "server");
    this.#lastStream = role === "server" ? 0 : -1;
    this.#inflow = new Inflow(spec.windows, write);
    this.#outflow = new Outflow({
      write,
      sent: (stream, bytes) => sink.sent(stream, bytes),
      writeTrailers: (id, fields) =>
        write(...encodeHeaders(id, this.#encoder.encode(fields), true)),
      finished: (stream) => this.#finish(stream),
    });
  }

  get peer(): PeerSettings {
    return this.#peer;
  }

  get lastStream(): number {
    return Math.max(0, this.#lastStream);
  }

  /** Streams that are open in either direction. */
  get streams(): number {
    return this.#inflow.size;
  }

  /** Whether the end of the stream is still to be sent, and whether it was received. */
  isSending(stream: number): boolean {
    return this.#outflow.has(stream);
  }

  hasReceived(stream: number): boolean {
    return this.#inflow.hasEnded(stream);
  }

  /** Says the first words: the preface of a client, our settings, the connection's window. */
  greet(extra: readonly (readonly [id: number, value: number])[]): void {
    const { role, windows: { streamWindow, window }, limits, write } = this.#spec;
    if (role === "client") write(PREFACE);
    write(
      encodeSettings([
        [Setting.InitialWindowSize, streamWindow],
        [Setting.MaxHeaderListSize, limits.headBytes],
        ...extra,
      ]),
      encodeNumbers(FrameType.WindowUpdate, 0, window - 65_535),
    );
  }

  /** @throws H2Error when the peer broke the connection's rules. */
  receive(bytes: Buffer): void {
    try {
      for (const frame of this.#reader.push(bytes)) this.#take(frame);
    } catch (error) {
      if (!(error instanceof MalformedHttp)) throw error;
      throw new H2Error(Code.Compression, error.message);
    }
  }

  /** Opens a stream to a server; its number. */
  request(fields: readonly Field[], end: boolean): number {
    this.#lastStream += 2;
    this.#open(this.#lastStream);
    this.headers(this.#lastStream, fields, end);
    return this.#lastStream;
  }

  headers(stream: number, fields: readonly Field[], end: boolean): void {
    if (!this.#inflow.has(stream)) return;
    this.#spec.write(...encodeHeaders(stream, this.#encoder.encode(fields), end));
    if (!end) return;
    this.#outflow.drop(stream);
    this.#finish(stream);
  }

  data(stream: number, bytes: Buffer): void {
    this.#outflow.data(stream, bytes);
  }

  end(stream: number, trailers: readonly Field[] = []): void {
    this.#outflow.end(stream, trailers);
  }

  reset(stream: number, code: number): void {
    if (!this.#inflow.has(stream)) return;
    this.#spec.write(encodeNumbers(FrameType.Reset, stream, code));
    this.#forget(stream);
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

  /** Called for each stream error that the peer provoked by other means than a reset. */
  charge(): void {
    if (!this.#resets.take()) throw new H2Error(Code.EnhanceYourCalm, "too many resets");
  }

  #take(frame: Frame): void {
    const { type, flags, stream } = frame;
    if (!this.#settled && (type !== FrameType.Settings || (flags & Flag.Ack) !== 0)) {
      throw new H2Error(Code.Protocol, "no settings first");
    }
    if (this.#blocks.isInterruptedBy(frame)) {
      throw new H2Error(Code.Protocol, "a header block interrupted");
    }
    switch (type) {
      case FrameType.Data:
        return this.#takeData(frame);
      case FrameType.Headers:
        return this.#takeHeaders(frame);
      case FrameType.Continuation:
        return this.#takeContinuation(frame);
      case FrameType.WindowUpdate:
        return this.#takeCredit(frame);
    }
    if (!this.#cheap.take()) throw new H2Error(Code.EnhanceYourCalm, "too many control frames");
    switch (type) {
      case FrameType.Settings:
        return this.#takeSettings(frame);
      case FrameType.Reset:
        return this.#takeReset(frame);
      case FrameType.Ping:
        if (stream !== 0) throw misplaced();
        if (frame.payload.length !== 8) throw sized();
        return this.#spec.sink.ping(Buffer.from(frame.payload), (flags & Flag.Ack) !== 0);
      case FrameType.Goaway:
        if (stream !== 0) throw misplaced();
        if (frame.payload.length < 8) throw sized();
        return this.#takeGoaway(frame.payload);
      case FrameType.Priority:
        if (stream === 0) throw misplaced();
        return;
      case FrameType.PushPromise:
        throw new H2Error(Code.Protocol, "a push that was refused beforehand");
    }
  }

  #takeData(frame: Frame): void {
    const { stream, flags, payload } = frame;
    if (stream === 0) throw misplaced();
    this.#inflow.take(payload.length);
    const content = unpad(frame, false);
    const end = (flags & Flag.EndStream) !== 0;
    if (content.length === 0 && !end && !this.#cheap.take()) {
      throw new H2Error(Code.EnhanceYourCalm, "too many empty frames");
    }
    if (!this.#inflow.has(stream)) {
      this.#wasOpen(stream);
      return this.consumed(stream, payload.length);
    }
    const ended = this.#inflow.hasEnded(stream);
    if (ended || !this.#inflow.takeOf(stream, payload.length)) {
      this.consumed(stream, payload.length);
      return this.#violate(stream, ended ? Code.StreamClosed : Code.FlowControl);
    }
    if (content.length < payload.length) this.consumed(stream, payload.length - content.length);
    if (end) this.#inflow.end(stream);
    this.#spec.sink.data(stream, content, end);
    if (end) this.#finishInflow(stream);
  }

  #takeHeaders(frame: Frame): void {
    const { stream, flags } = frame;
    if (stream === 0) throw misplaced();
    const end = (flags & Flag.EndStream) !== 0;
    this.#takeBlock(this.#blocks.begin(stream, end, unpad(frame, true), flags));
  }

  #takeContinuation({ flags, payload }: Frame): void {
    if (!this.#cheap.take()) throw new H2Error(Code.EnhanceYourCalm, "too many control frames");
    this.#takeBlock(this.#blocks.go(payload, flags));
  }

  #takeBlock(block: HeaderBlock | null): void {
    if (block === null) return;
    this.#takeFields(block.stream, this.#decoder.decode(block.bytes), block.end);
  }

  #takeFields(stream: number, fields: Field[] | null, end: boolean): void {
    if (this.#spec.role === "server" && stream > this.#lastStream) {
      if (stream % 2 === 0) throw new H2Error(Code.Protocol, "a stream of the wrong side");
      this.#lastStream = stream;
      this.#open(stream);
    }
    if (!this.#inflow.has(stream)) return this.#wasOpen(stream);
    if (this.#inflow.hasEnded(stream)) return this.#violate(stream, Code.StreamClosed);
    if (end) this.#inflow.end(stream);
    this.#spec.sink.headers(stream, fields, end);
    if (end) this.#finishInflow(stream);
  }

  #takeSettings({ stream, flags, payload }: Frame): void {
    if (stream !== 0) throw misplaced();
    if ((flags & Flag.Ack) !== 0) {
      if (payload.length > 0) throw sized();
      return;
    }
    this.#peer = applySettings(this.#peer, payload);
    this.#encoder.setLimit(this.#peer.headerTableSize);
    this.#outflow.setInitialWindow(this.#peer.initialWindowSize);
    this.#spec.write(frameHeader(FrameType.Settings, Flag.Ack, 0, 0));
    if (this.#settled) return;
    this.#settled = true;
    this.#spec.sink.settings();
  }

  #takeGoaway(payload: Buffer): void {
    this.#spec.sink.goaway(payload.readUInt32BE(0) & MAX_WINDOW, payload.readUInt32BE(4));
  }

  #takeReset({ stream, payload }: Frame): void {
    if (stream === 0) throw misplaced();
    if (payload.length !== 4) throw sized();
    this.charge();
    if (!this.#inflow.has(stream)) return this.#wasOpen(stream);
    this.#forget(stream);
    this.#spec.sink.reset(stream, payload.readUInt32BE(0));
  }

  #takeCredit({ stream, payload }: Frame): void {
    if (payload.length !== 4) throw sized();
    const bytes = payload.readUInt32BE(0) & MAX_WINDOW;
    if (stream !== 0 && !this.#inflow.has(stream)) return this.#wasOpen(stream);
    if (bytes === 0 && stream === 0) throw new H2Error(Code.Protocol, "a credit of nothing");
    if (bytes === 0) return this.#violate(stream, Code.Protocol);
    if (!this.#outflow.credit(stream, bytes)) this.#violate(stream, Code.FlowControl);
  }

  #open(stream: number): void {
    this.#inflow.open(stream);
    this.#outflow.open(stream);
  }

  /** RFC 9113 5.1: frames may cross a reset; a stream that never was has none. */
  #wasOpen(stream: number): void {
    const odd = stream % 2 === 1;
    if (!odd || stream > this.#lastStream) throw new H2Error(Code.Protocol, "an idle stream");
    if (!this.#cheap.take()) throw new H2Error(Code.EnhanceYourCalm, "too many late frames");
  }

  #violate(stream: number, code: number): void {
    this.charge();
    this.reset(stream, code);
    this.#spec.sink.reset(stream, code);
  }

  #finishInflow(stream: number): void {
    if (!this.#outflow.has(stream)) this.#forgetClosed(stream);
  }

  /** Everything was sent; the stream is gone if everything was received. */
  #finish(stream: number): void {
    this.#spec.sink.finished(stream);
    if (this.#inflow.hasEnded(stream)) this.#forgetClosed(stream);
  }

  #forgetClosed(stream: number): void {
    if (this.#inflow.delete(stream)) this.#spec.sink.closed(stream);
  }

  #forget(stream: number): void {
    this.#inflow.delete(stream);
    this.#outflow.drop(stream);
  }
}

function misplaced(): H2Error {
  return new H2Error(Code.Protocol, "a frame on the wrong stream");
}

function sized(): H2Error {
  return new H2Error(Code.FrameSize, "a frame of the wrong size");
}
