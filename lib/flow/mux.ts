/**
 * The flows channel: each OPEN frame is a flow that a verdict redirected here.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { SbxError } from "../base/errors.ts";
import type { FlowInfo } from "../judge/flow_info.ts";
import type { ByteChannel } from "../wire/channel.ts";
import { FrameWriter } from "../wire/frame_writer.ts";
import { parseMessage } from "./control_codec.ts";
import { FlowStream } from "./flow_stream.ts";
import { encodeFrame, type Frame, FrameReader, FrameType, MAX_CREDIT } from "./mux_frame.ts";

/** A redirected UDP flow; each message is one datagram. */
export interface DatagramFlow {
  /** Whether so much waits for netstack that a datagram had better be dropped, as a full network would. */
  readonly congested: boolean;
  /** Sends one datagram to the guest. */
  send(payload: Uint8Array): void;
  /** Tells the guest that nobody listens where its latest datagram went. */
  refuse(): void;
  /** Ends the flow. */
  end(): void;
  /** Set by whoever serves the flow. Bytes are only valid during the call. */
  onDatagram: (payload: Uint8Array) => void;
  /** Set by whoever serves the flow: it is over, whoever ended it. Called once. */
  onClose: () => void;
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

export class Mux {
  readonly #writer: FrameWriter;
  readonly #accept: (flow: RedirectedFlow) => void;
  readonly #closed: (error?: SbxError) => void;
  readonly #reader = new FrameReader();
  readonly #streams = new Map<number, FlowStream>();
  readonly #datagrams = new Map<number, DatagramFlow>();
  #over = false;

  /** `closed` is told once when the channel is over, with the violation if there was one. */
  constructor(
    channel: ByteChannel,
    accept: (flow: RedirectedFlow) => void,
    closed: (error?: SbxError) => void,
  ) {
    this.#writer = new FrameWriter(channel);
    this.#accept = accept;
    this.#closed = closed;
    channel.start({
      data: (bytes) => this.#receive(bytes),
      drain: () => this.#writer.drained(),
      close: () => this.#end(),
    });
  }

  close(): void {
    this.#end();
  }

  /** Cuts a stream or datagram flow; nothing of it is read any more. */
  cut(id: number): void {
    this.#streams.get(id)?.destroy();
    this.#datagrams.get(id)?.end();
  }

  /** Cuts every stream, and ends every datagram flow. */
  cutAll(): void {
    for (const stream of [...this.#streams.values()]) stream.destroy();
    for (const datagrams of [...this.#datagrams.values()]) datagrams.end();
  }

  /** Credit bounds what is queued of streams. */
  send(...parts: readonly Uint8Array[]): void {
    this.#writer.send(...parts);
  }

  release(id: number): void {
    this.#streams.delete(id);
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
        return stream?.takeCredit(new DataView(payload.buffer, payload.byteOffset).getUint32(0));
      case FrameType.Reset:
        if (stream === undefined) return this.#closeDatagrams(id);
        return stream.takeReset();
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
    const datagrams = this.#datagramFlow(id);
    this.#datagrams.set(id, datagrams);
    this.#accept({ kind: "datagrams", id, info, datagrams });
  }

  #datagramFlow(id: number): DatagramFlow {
    const writer = this.#writer;
    return {
      get congested() {
        return writer.congested;
      },
      send: (bytes) => this.send(encodeFrame(FrameType.Data, id, bytes)),
      refuse: () => this.send(encodeFrame(FrameType.Eof, id)),
      end: () => {
        if (!this.#datagrams.has(id)) return;
        this.send(encodeFrame(FrameType.Reset, id));
        this.#closeDatagrams(id);
      },
      onDatagram: () => {},
      onClose: () => {},
    };
  }

  #closeDatagrams(id: number): void {
    const datagrams = this.#datagrams.get(id);
    this.#datagrams.delete(id);
    datagrams?.onClose();
  }

  #end(error?: SbxError): void {
    if (this.#over) return;
    this.#over = true;
    for (const stream of [...this.#streams.values()]) stream.takeReset();
    for (const id of [...this.#datagrams.keys()]) this.#closeDatagrams(id);
    this.#writer.close();
    this.#closed(error);
  }
}

function broken(what: string): SbxError {
  return new SbxError("PROTOCOL", `Cannot follow netstack: malformed ${what} on the flows channel`);
}
