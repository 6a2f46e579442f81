/**
 * The flows channel: each OPEN frame is a flow that a verdict redirected here.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import type { ByteChannel } from "../base/channel.ts";
import { SbxError } from "../base/errors.ts";
import { type FlowInfo, parseMessage } from "./control_message.ts";
import { FlowStream } from "./flow_stream.ts";
import { encodeFrame, type Frame, FrameReader, FrameType } from "./mux_frame.ts";

/** A redirected UDP flow; each message is one datagram. */
export interface DatagramFlow {
  /** Sends one datagram to the guest. */
  send(payload: Uint8Array): void;
  onDatagram: (payload: Uint8Array) => void;
}

/** A flow that was redirected to sbx. */
export type RedirectedFlow =
  & { readonly id: number; readonly info: FlowInfo }
  & (
    | { readonly kind: "stream"; readonly stream: FlowStream }
    | { readonly kind: "datagrams"; readonly datagrams: DatagramFlow }
  );

export class Mux {
  readonly #channel: ByteChannel;
  readonly #accept: (flow: RedirectedFlow) => void;
  readonly #reader = new FrameReader();
  readonly #streams = new Map<number, FlowStream>();
  readonly #datagrams = new Map<number, DatagramFlow>();
  #outbox: Uint8Array[] = [];
  #over = false;

  /** `closed` is told once when the channel is over, with the violation if there was one. */
  constructor(
    channel: ByteChannel,
    accept: (flow: RedirectedFlow) => void,
    closed: (error?: SbxError) => void,
  ) {
    this.#channel = channel;
    this.#accept = accept;
    channel.start({
      data: (bytes) => {
        try {
          for (const frame of this.#reader.push(bytes)) this.#take(frame);
        } catch (error) {
          if (!(error instanceof SbxError)) throw error;
          this.#end();
          closed(error);
        }
      },
      drain: () => {},
      close: () => {
        this.#end();
        closed();
      },
    });
  }

  close(): void {
    this.#end();
    this.#channel.close();
  }

  /** Frames of one turn of the event loop leave in one write. */
  send(frame: Uint8Array): void {
    if (this.#over) return;
    if (this.#outbox.length === 0) queueMicrotask(() => this.#flush());
    this.#outbox.push(frame);
  }

  release(id: number): void {
    this.#streams.delete(id);
  }

  #flush(): void {
    const frames = this.#outbox;
    this.#outbox = [];
    if (!this.#over) this.#channel.write(Buffer.concat(frames));
  }

  #take({ type, id, payload }: Frame): void {
    if (type === FrameType.Open) return this.#open(id, payload);
    const stream = this.#streams.get(id);
    if (type === FrameType.Data) {
      if (stream !== undefined) stream.takeData(payload);
      else this.#datagrams.get(id)?.onDatagram(payload);
    } else if (type === FrameType.Eof) {
      stream?.takeEof();
    } else if (type === FrameType.Credit) {
      if (payload.length !== 4) {
        throw new SbxError("PROTOCOL", "Cannot follow netstack: malformed credit");
      }
      stream?.takeCredit(new DataView(payload.buffer, payload.byteOffset, 4).getUint32(0));
    } else {
      stream?.takeReset();
      this.#datagrams.delete(id);
    }
  }

  #open(id: number, payload: Uint8Array): void {
    const info = parseMessage(new TextDecoder().decode(payload));
    if (info.t !== "flow" || this.#streams.has(id) || this.#datagrams.has(id)) {
      throw new SbxError("PROTOCOL", "Cannot follow netstack: malformed open");
    }
    if (info.proto === "tcp") {
      const stream = new FlowStream(id, this);
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

  #end(): void {
    if (this.#over) return;
    this.#over = true;
    for (const stream of [...this.#streams.values()]) stream.takeReset();
    this.#datagrams.clear();
  }
}
