/**
 * One direction of a WebSocket whose messages are changed while they pass.
 *
 * Frames go on as they came, with the mask that they had, unless what they carry changed: then with its
 * new length. What may be the beginning of something that is changed waits for the next frame of its
 * message. A frame of more than {@link MOST_FRAME} bytes becomes several, so that it need not be held.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { ByteQueue } from "../../wire/byte_queue.ts";
import { FrameFault, type FrameHead, FrameReader, isControl, Opcode, writeFrame } from "./frame.ts";

/** What becomes of one message. */
export interface MessageFilter {
  push(bytes: Buffer): Buffer;
  end(): Buffer;
}

export interface MessagesSpec {
  readonly from: "client" | "server";
  /** Told what passes, unmasked: of messages, one after the other, and of each control frame as a whole. */
  readonly look: (bytes: Buffer, of: "message" | "control") => void;
  /** Null: it passes as it is. */
  readonly open: (kind: "text" | "binary") => MessageFilter | null;
}

/** Messages are mostly smaller, and are one frame before and after. */
export const MOST_FRAME = 65_536;

/** So much of a message is changed at once, so that what comes of it is bounded. */
const SLICE = 8_192;

/** What may be added to one message. */
const MOST_GROWTH = 1 << 20;

export class Messages {
  readonly #spec: MessagesSpec;
  readonly #reader: FrameReader;
  /** Of the frame that is being read. */
  #head: FrameHead | null = null;
  /** Of the message that is underway; null: it passes. */
  #filter: MessageFilter | null = null;
  #growth = 0;
  /** What was made of the frame that is being read, and is not sent. */
  readonly #made = new ByteQueue();
  /** The kind of its frame, until the first part of it is sent. */
  #opcode: number = Opcode.Continuation;
  #out: Buffer[] = [];

  constructor(spec: MessagesSpec) {
    this.#spec = spec;
    this.#reader = new FrameReader(spec.from, {
      begin: (head) => this.#begin(head),
      payload: (bytes) => this.#take(bytes),
      end: (head) => this.#end(head),
    });
  }

  /** What may go on. @throws FrameFault, and whatever {@link MessagesSpec.look} throws */
  push(bytes: Uint8Array): Buffer {
    this.#reader.push(bytes);
    const out = this.#out.length === 1 ? this.#out[0] : Buffer.concat(this.#out);
    this.#out = [];
    return out ?? Buffer.alloc(0);
  }

  #begin(head: FrameHead): void {
    this.#head = head;
    this.#opcode = head.opcode;
    if (head.opcode !== Opcode.Text && head.opcode !== Opcode.Binary) return;
    this.#growth = 0;
    this.#filter = this.#spec.open(head.opcode === Opcode.Text ? "text" : "binary");
  }

  #take(bytes: Buffer): void {
    const head = this.#head;
    if (head === null) return;
    if (isControl(head.opcode)) return this.#made.push(bytes);
    this.#spec.look(bytes, "message");
    if (this.#filter === null) this.#made.push(bytes);
    else {
      for (let at = 0; at < bytes.length; at += SLICE) {
        const slice = bytes.subarray(at, at + SLICE);
        this.#change(this.#filter.push(slice), slice.length);
      }
    }
    this.#sendParts(head);
  }

  #end(head: FrameHead): void {
    this.#head = null;
    if (isControl(head.opcode)) {
      const payload = this.#taken(this.#made.size);
      this.#spec.look(payload, "control");
      this.#out.push(writeFrame(head, payload));
      return;
    }
    if (head.last && this.#filter !== null) {
      this.#change(this.#filter.end(), 0);
      this.#filter = null;
    }
    this.#sendParts(head);
    this.#send(head, this.#made.size);
  }

  #change(made: Buffer, from: number): void {
    this.#growth += made.length - from;
    if (this.#growth > MOST_GROWTH) throw new FrameFault("too many values in one message");
    this.#made.push(made);
  }

  #sendParts(head: FrameHead): void {
    while (this.#made.size > MOST_FRAME) this.#send({ ...head, last: false }, MOST_FRAME);
  }

  /** Sends the first so many bytes as a frame of their own. */
  #send({ last, mask }: FrameHead, length: number): void {
    this.#out.push(writeFrame({ last, opcode: this.#opcode, mask }, this.#taken(length)));
    this.#opcode = Opcode.Continuation;
  }

  #taken(length: number): Buffer {
    const parts: Buffer[] = [];
    for (let left = length; left > 0;) {
      const part = this.#made.take(left);
      left -= part.length;
      parts.push(part);
    }
    return Buffer.concat(parts);
  }
}

/** The same of a direction that goes on as it comes, byte by byte: it is only looked at. */
export class Frames {
  readonly #reader: FrameReader;

  constructor({ from, look }: Omit<MessagesSpec, "open">) {
    let control = Buffer.alloc(0);
    let isMessage = true;
    this.#reader = new FrameReader(from, {
      begin: ({ opcode }) => {
        isMessage = !isControl(opcode);
        control = Buffer.alloc(0);
      },
      payload: (bytes) => {
        if (isMessage) look(bytes, "message");
        else control = Buffer.concat([control, bytes]);
      },
      end: () => {
        if (!isMessage) look(control, "control");
      },
    });
  }

  /** The same bytes. @throws FrameFault, and whatever {@link MessagesSpec.look} throws */
  push(bytes: Buffer): Buffer {
    this.#reader.push(bytes);
    return bytes;
  }
}
