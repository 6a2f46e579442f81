/**
 * What a server sends over a WebSocket (RFC 6455 5.2), with values replaced in the payloads, also where
 * a message is cut into frames. Each keeps its length, so that the frames stay as they are.
 *
 * Frames that cannot be read end the tunnel: compressed ones, which nobody asked for, and such as no
 * server may send.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import type { BodyTransform } from "../http/gate.ts";
import { type FrameHead, FrameReader, isControl, writeHead } from "../secret/websocket/frame.ts";
import type { MaskFilter } from "./masked_content.ts";
import { readably, unreadable } from "./unreadable.ts";

/** Heads and control frames that wait for what stands before them; no server needs a tenth. */
const MOST_WAITING = 1_024;

/** Bytes that go on as they are once so many of the payload have. */
interface Waiting {
  readonly after: number;
  readonly bytes: Buffer;
}

export class MaskedFrames implements BodyTransform {
  readonly #messages: MaskFilter;
  readonly #controls: MaskFilter;
  readonly #reader: FrameReader;
  readonly #waiting: Waiting[] = [];
  /** Whether the frame that is being read is one of a message. */
  #isMessage = false;
  /** Bytes of messages that were read, and of those that were given. */
  #read = 0;
  #given = 0;
  #out: Buffer[] = [];

  /** `open`: for a text that keeps its length. */
  constructor(open: () => MaskFilter) {
    this.#messages = open();
    this.#controls = open();
    this.#reader = new FrameReader("server", {
      begin: (head) => this.#begin(head),
      payload: (bytes) => this.#take(bytes),
      end: (head) => this.#end(head),
    });
  }

  push(bytes: Buffer): Buffer {
    readably(() => this.#reader.push(bytes));
    return this.#taken();
  }

  /** What is left of a tunnel that ends in the middle of a message. */
  end(): Buffer {
    this.#give(this.#messages.end());
    this.#pass(this.#controls.end());
    this.#pass(this.#reader.rest);
    return this.#taken();
  }

  get masked(): MaskFilter["masked"] {
    return [...this.#messages.masked, ...this.#controls.masked];
  }

  #begin(head: FrameHead): void {
    this.#isMessage = !isControl(head.opcode);
    this.#pass(writeHead(head));
  }

  #take(part: Buffer): void {
    if (!this.#isMessage) return this.#pass(this.#controls.push(part));
    this.#read += part.length;
    this.#give(this.#messages.push(part));
  }

  /** A value lies in one message, which may have control frames between its frames. */
  #end({ last }: FrameHead): void {
    if (!this.#isMessage) this.#pass(this.#controls.end());
    else if (last) this.#give(this.#messages.end());
  }

  /** Goes on behind the payload that was read before it. */
  #pass(bytes: Buffer): void {
    if (bytes.length === 0) return;
    if (this.#given === this.#read) return void this.#out.push(bytes);
    if (this.#waiting.length === MOST_WAITING) throw unreadable("endless empty frames");
    this.#waiting.push({ after: this.#read, bytes });
  }

  #give(payload: Buffer): void {
    let rest = payload;
    for (let next = this.#waiting[0]; next !== undefined; next = this.#waiting[0]) {
      const before = next.after - this.#given;
      if (before > rest.length) break;
      this.#out.push(rest.subarray(0, before), next.bytes);
      this.#given += before;
      rest = rest.subarray(before);
      this.#waiting.shift();
    }
    this.#out.push(rest);
    this.#given += rest.length;
  }

  #taken(): Buffer {
    const out = Buffer.concat(this.#out);
    this.#out = [];
    return out;
  }
}
