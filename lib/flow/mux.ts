/**
 * The flows channel: each OPEN frame is a flow that a verdict redirected here.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import type { ByteChannel } from "../base/channel.ts";
import { SbxError } from "../base/errors.ts";
import { parseMessage } from "./control_codec.ts";
import type { FlowInfo } from "./control_message.ts";
import { FlowStream } from "./flow_stream.ts";
import { encodeFrame, type Frame, FrameReader, FrameType, MAX_CREDIT } from "./mux_frame.ts";

/** A redirected UDP flow; each message is one datagram. */
export interface DatagramFlow {
  /** Sends one datagram to the guest. */
  send(payload: Uint8Array): void;
  /** Set by whoever serves the flow. Bytes are only valid during the call. */
  onDatagram: (payload: Uint8Array) => void;
}

/** A flow that was redirected to sbx. */
export type RedirectedFlow =
  & { readonly id: number; readonly info: FlowInfo }
  & (
    | { readonly kind: "stream"; readonly stream: FlowStream }
    | { readonly kind: "datagrams"; readonly datagrams: DatagramFlow }
  );

/** netstack keeps fewer flows; more means that it misbehaves. */
const MAX_OPEN = 32_768;

/** What is written at once; no part of a frame is larger. */
const BATCH = 256 * 1024;

export class Mux {
  readonly #channel: ByteChannel;
  readonly #accept: (flow: RedirectedFlow) => void;
  readonly #closed: (error?: SbxError) => void;
  readonly #reader = new FrameReader();
  readonly #streams = new Map<number, FlowStream>();
  readonly #datagrams = new Map<number, DatagramFlow>();
  #outbox: Uint8Array[] = [];
  /** Kept: fresh memory for each write costs more than what is copied into it. */
  readonly #batch = Buffer.allocUnsafeSlow(BATCH);
  #over = false;

  /** `closed` is told once when the channel is over, with the violation if there was one. */
  constructor(
    channel: ByteChannel,
    accept: (flow: RedirectedFlow) => void,
    closed: (error?: SbxError) => void,
  ) {
    this.#channel = channel;
    this.#accept = accept;
    this.#closed = closed;
    channel.start({
      data: (bytes) => this.#receive(bytes),
      drain: () => {},
      close: () => this.#end(),
    });
  }

  close(): void {
    this.#end();
  }

  /** Frames of one turn of the event loop leave in one write. Credit bounds what is queued. */
  send(...parts: readonly Uint8Array[]): void {
    if (this.#over) return;
    if (this.#outbox.length === 0) queueMicrotask(() => this.#flush());
    this.#outbox.push(...parts);
  }

  release(id: number): void {
    this.#streams.delete(id);
  }

  #flush(): void {
    const parts = this.#outbox;
    this.#outbox = [];
    if (this.#over) return;
    let filled = 0;
    for (const part of parts) {
      if (filled + part.length > BATCH) {
        this.#channel.write(this.#batch.subarray(0, filled));
        filled = 0;
      }
      this.#batch.set(part, filled);
      filled += part.length;
    }
    this.#channel.write(this.#batch.subarray(0, filled));
  }

  #receive(bytes: Uint8Array): void {
    try {
      for (const frame of this.#reader.push(bytes)) {
        if (this.#over) return;
        this.#take(frame);
      }
    } catch (error) {
      if (!(error instanceof SbxError)) throw error;
      this.#end(error);
    }
  }

  #take({ type, id, payload }: Frame): void {
    const stream = this.#streams.get(id);
    switch (type) {
      case FrameType.Open:
        return this.#open(id, payload);
      case FrameType.Data:
        if (stream === undefined) return this.#datagrams.get(id)?.onDatagram(payload);
        return stream.takeData(payload);
      case FrameType.Eof:
        return stream?.takeEof();
      case FrameType.Credit:
        if (payload.length !== 4) throw broken("credit");
        return stream?.takeCredit(new DataView(payload.buffer, payload.byteOffset).getUint32(0));
      case FrameType.Reset:
        this.#datagrams.delete(id);
        return stream?.takeReset();
    }
  }

  #open(id: number, payload: Uint8Array): void {
    const message = parseMessage(Buffer.from(payload).toString());
    const known = this.#streams.has(id) || this.#datagrams.has(id);
    const full = this.#streams.size + this.#datagrams.size >= MAX_OPEN;
    if (message.t !== "flow" || known || full) throw broken("open");
    const info: FlowInfo = message;
    if (info.proto === "tcp") {
      const { credit = 0 } = message;
      if (credit < 1 || credit > MAX_CREDIT) throw broken("open");
      const stream = new FlowStream(id, this, credit);
      stream.on("error", () => {}); // a reset; whoever serves the flow sees `close`
      this.#streams.set(id, stream);
      return this.#accept({ kind: "stream", id, info, stream });
    }
    const datagrams: DatagramFlow = {
      send: (bytes) => this.send(encodeFrame(FrameType.Data, id, bytes)),
      onDatagram: () => {},
    };
    this.#datagrams.set(id, datagrams);
    this.#accept({ kind: "datagrams", id, info, datagrams });
  }

  #end(error?: SbxError): void {
    if (this.#over) return;
    this.#over = true;
    for (const stream of [...this.#streams.values()]) stream.takeReset();
    this.#datagrams.clear();
    this.#channel.close();
    this.#closed(error);
  }
}

function broken(what: string): SbxError {
  return new SbxError("PROTOCOL", `Cannot follow netstack: malformed ${what} on the flows channel`);
}
