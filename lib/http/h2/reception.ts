/**
 * What a peer's frames mean: frames in, events out (RFC 9113). What a frame may do to its stream is
 * stream_state.ts's to say; here it is done.
 *
 * What a peer sends is bounded: content by the windows, which are given back as content is passed on;
 * header blocks by their limit; frames that cost the peer nothing by their number (costs.ts).
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { HpackDecoder } from "../hpack/decoder.ts";
import { MalformedHttp } from "../malformed.ts";
import { type HeaderBlock, HeaderBlocks } from "./blocks.ts";
import type { FrameCosts } from "./costs.ts";
import {
  Code,
  encodeNumbers,
  Flag,
  type Frame,
  FrameReader,
  FrameType,
  H2Error,
  MAX_WINDOW,
  priorityFault,
  unpad,
} from "./frame.ts";
import type { Inflow } from "./inflow.ts";
import type { Outflow } from "./outflow.ts";
import type { H2Event, SessionSpec } from "./session_spec.ts";
import { receive, type StreamFrame } from "./stream_state.ts";
import type { StreamTable } from "./stream_table.ts";

const TABLE = 4096;

/** What a session's reception shares with its sending. */
export interface Shared {
  readonly streams: StreamTable;
  readonly inflow: Inflow;
  readonly outflow: Outflow;
  readonly costs: FrameCosts;
  /** Gives a stream up, and says so. */
  reset(stream: number, code: number): void;
  /** Forgets what is queued for a stream, and expected on it. */
  forget(stream: number): void;
  /** The peer's settings changed. @throws H2Error */
  settings(payload: Buffer): void;
}

export class H2Reception {
  readonly #spec: SessionSpec;
  readonly #shared: Shared;
  readonly #reader: FrameReader;
  readonly #decoder: HpackDecoder;
  readonly #blocks: HeaderBlocks;
  #settled = false;

  constructor(spec: SessionSpec, shared: Shared) {
    this.#spec = spec;
    this.#shared = shared;
    this.#reader = new FrameReader(spec.role === "server");
    this.#decoder = new HpackDecoder(spec.limits, TABLE);
    this.#blocks = new HeaderBlocks(spec.limits.headBytes);
  }

  /** Each event before the frame after it is looked at. @throws H2Error */
  *receive(bytes: Buffer): Generator<H2Event, void, void> {
    try {
      for (const frame of this.#reader.push(bytes)) {
        const event = this.#take(frame);
        if (event === null) continue;
        yield event;
        if (!("end" in event) || !event.end) continue;
        const { stream } = event;
        const { streams, inflow } = this.#shared;
        if (streams.stateOf(stream) !== "closed" || !inflow.delete(stream)) continue;
        yield { kind: "closed", stream };
      }
    } catch (error) {
      if (!(error instanceof MalformedHttp)) throw error;
      throw new H2Error(Code.Compression, error.message);
    }
  }

  #take(frame: Frame): H2Event | null {
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
    this.#shared.costs.frame("control");
    switch (type) {
      case FrameType.Settings:
        return this.#takeSettings(frame);
      case FrameType.Reset:
        return this.#takeReset(frame);
      case FrameType.Ping:
        if (stream !== 0) throw misplaced();
        if (frame.payload.length !== 8) throw sized();
        return { kind: "ping", payload: Buffer.from(frame.payload), ack: (flags & Flag.Ack) !== 0 };
      case FrameType.Goaway:
        if (stream !== 0) throw misplaced();
        return this.#takeGoaway(frame.payload);
      case FrameType.Priority:
        return this.#takePriority(frame);
      case FrameType.PushPromise:
        throw new H2Error(Code.Protocol, "a push that was refused beforehand");
      default:
        return null; // RFC 9113 4.1
    }
  }

  #takeData(frame: Frame): H2Event | null {
    const { stream, flags, payload } = frame;
    const { inflow, costs } = this.#shared;
    if (stream === 0) throw misplaced();
    inflow.take(payload.length);
    const { content: bytes } = unpad(frame);
    const end = (flags & Flag.EndStream) !== 0;
    if (bytes.length === 0 && !end) costs.frame("empty");
    const fits = inflow.takeOf(stream, payload.length);
    const { admitted, event } = this.#admit(stream, "DATA", end && fits);
    if (!admitted || !fits) {
      inflow.consumed(stream, payload.length);
      return admitted ? this.#violate(stream, Code.FlowControl) : event;
    }
    if (bytes.length < payload.length) inflow.consumed(stream, payload.length - bytes.length);
    if (end) inflow.end(stream);
    return { kind: "data", stream, bytes, end };
  }

  #takeHeaders(frame: Frame): H2Event | null {
    const { stream, flags } = frame;
    if (stream === 0) throw misplaced();
    const { content, dependency } = unpad(frame);
    const end = (flags & Flag.EndStream) !== 0;
    return this.#takeBlock(this.#blocks.begin({ stream, end, dependency }, content, flags));
  }

  #takeContinuation({ flags, payload }: Frame): H2Event | null {
    this.#shared.costs.frame("control");
    return this.#takeBlock(this.#blocks.go(payload, flags));
  }

  #takeBlock(block: HeaderBlock | null): H2Event | null {
    if (block === null) return null;
    const { stream, end, dependency } = block;
    // Whatever becomes of the stream: the table follows every block.
    const fields = this.#decoder.decode(block.bytes);
    const itself = dependency === stream; // RFC 7540 5.3.1
    const { admitted, event } = this.#admit(stream, "HEADERS", end && !itself);
    if (!admitted) return event;
    if (itself) return this.#violate(stream, Code.Protocol);
    if (end) this.#shared.inflow.end(stream);
    return { kind: "headers", stream, fields, end };
  }

  #takePriority(frame: Frame): H2Event | null {
    const { stream } = frame;
    if (stream === 0) throw misplaced();
    const code = priorityFault(frame);
    if (code === null) return null;
    // A stream that is not there cannot be reset (5.1): then it is the connection's error (5.4.1).
    if (!this.#shared.streams.isLive(stream)) throw new H2Error(code, "a malformed priority");
    return this.#violate(stream, code);
  }

  #takeSettings({ stream, flags, payload }: Frame): H2Event | null {
    if (stream !== 0) throw misplaced();
    if ((flags & Flag.Ack) !== 0) {
      if (payload.length > 0) throw sized();
      return null;
    }
    this.#shared.settings(payload);
    if (this.#settled) return null;
    this.#settled = true;
    return { kind: "settings" };
  }

  #takeGoaway(payload: Buffer): H2Event {
    if (payload.length < 8) throw sized();
    const last = payload.readUInt32BE(0) & MAX_WINDOW;
    return { kind: "goaway", last, code: payload.readUInt32BE(4) };
  }

  #takeReset({ stream, payload }: Frame): H2Event | null {
    if (stream === 0) throw misplaced();
    if (payload.length !== 4) throw sized();
    this.#shared.costs.reset();
    const { admitted, event } = this.#admit(stream, "RST_STREAM", false);
    if (!admitted) return event;
    this.#shared.forget(stream);
    return { kind: "reset", stream, code: payload.readUInt32BE(0) };
  }

  #takeCredit({ stream, payload }: Frame): H2Event | null {
    if (payload.length !== 4) throw sized();
    const bytes = payload.readUInt32BE(0) & MAX_WINDOW;
    if (stream !== 0) {
      const { admitted, event } = this.#admit(stream, "WINDOW_UPDATE", false);
      if (!admitted) return event;
    }
    if (bytes === 0 && stream === 0) throw new H2Error(Code.Protocol, "a credit of nothing");
    if (bytes === 0) return this.#violate(stream, Code.Protocol);
    if (this.#shared.outflow.credit(stream, bytes)) return null;
    return this.#violate(stream, Code.FlowControl);
  }

  /** Makes the frame count on its stream, where it does; else what happens instead. @throws H2Error */
  #admit(stream: number, frame: StreamFrame, end: boolean): Admission {
    const { streams, inflow, outflow, costs } = this.#shared;
    const state = streams.stateOf(stream);
    const effect = receive(state, frame, end);
    if (effect.kind === "error" && effect.of === "connection") {
      throw new H2Error(effect.code, `${frame} on a stream that is ${state}`);
    }
    if (effect.kind === "error") {
      return { admitted: false, event: this.#violate(stream, effect.code) };
    }
    if (effect.kind === "discard") {
      costs.frame("late");
      return DISCARDED;
    }
    if (state === "idle") {
      // Pushes are refused, so a server opens none.
      if (this.#spec.role === "client") throw new H2Error(Code.Protocol, "an idle stream");
      inflow.open(stream);
      outflow.open(stream);
    }
    streams.set(stream, effect.state, `${frame} received`);
    return ADMITTED;
  }

  /** The peer broke the rules of one stream: it is told, and so is whoever uses the stream. */
  #violate(stream: number, code: number): H2Event | null {
    const { streams, costs } = this.#shared;
    costs.reset();
    if (!streams.isLive(stream)) {
      this.#spec.write(encodeNumbers(FrameType.Reset, stream, code));
      return null;
    }
    this.#shared.reset(stream, code);
    return { kind: "reset", stream, code };
  }
}

interface Admission {
  readonly admitted: boolean;
  readonly event: H2Event | null;
}

const ADMITTED: Admission = { admitted: true, event: null };
const DISCARDED: Admission = { admitted: false, event: null };

function misplaced(): H2Error {
  return new H2Error(Code.Protocol, "a frame on the wrong stream");
}

function sized(): H2Error {
  return new H2Error(Code.FrameSize, "a frame of the wrong size");
}
