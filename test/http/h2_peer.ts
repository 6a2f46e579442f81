/**
 * An HTTP/2 peer in a test's hands, frame by frame: it can say what no library would.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import type { Duplex } from "node:stream";
import { setImmediate } from "node:timers";
import type { Field } from "../../lib/http/fields.ts";
import {
  encodeHeaders,
  encodeNumbers,
  encodePing,
  encodeSettings,
  Flag,
  frameHeader,
  FrameReader,
  FrameType,
  PREFACE,
} from "../../lib/http/h2/frame.ts";
import { HpackDecoder } from "../../lib/http/hpack/decoder.ts";
import { HpackEncoder } from "../../lib/http/hpack/encoder.ts";

export type Heard =
  | { type: "headers"; stream: number; fields: Record<string, string>; end: boolean }
  | { type: "data"; stream: number; text: string; end: boolean }
  | { type: "reset"; stream: number; code: number }
  | { type: "goaway"; last: number; code: number }
  | { type: "ping"; payload: string; ack: boolean }
  | { type: "settings"; values: Record<number, number> }
  | { type: "credit"; stream: number; bytes: number }
  | { type: "end" };

const LIMITS = { headBytes: 1 << 20, headFields: 10_000 };

export class H2Peer {
  readonly stream: Duplex;
  readonly heard: Heard[] = [];
  readonly #encoder = new HpackEncoder();
  readonly #decoder = new HpackDecoder(LIMITS, 4096);
  #wake = () => {};

  constructor(stream: Duplex, role: "client" | "server") {
    this.stream = stream;
    const reader = new FrameReader(role === "server");
    stream.on("data", (bytes: Buffer) => {
      for (const frame of reader.push(bytes)) this.#take(frame);
      this.#wake();
    });
    const over = () => {
      this.heard.push({ type: "end" });
      this.#wake();
    };
    stream.once("close", over).on("error", () => {});
    stream.once("end", over);
  }

  raw(...bytes: (Uint8Array | string)[]): void {
    for (const part of bytes) this.stream.write(part);
  }

  /** Preface (of a client) and settings. */
  greet(role: "client" | "server", settings: [number, number][] = []): void {
    if (role === "client") this.raw(PREFACE);
    this.raw(encodeSettings(settings));
  }

  headers(stream: number, fields: Record<string, string> | [string, string][], end = true): void {
    const list: Field[] = (Array.isArray(fields) ? fields : Object.entries(fields))
      .map(([key, value]) => ({ name: key, key, value }));
    this.raw(...encodeHeaders(stream, this.#encoder.encode(list), end));
  }

  data(stream: number, content: string | Uint8Array, end = false): void {
    const bytes = Buffer.from(content as string);
    for (let at = 0; at === 0 || at < bytes.length; at += 16_384) {
      const part = bytes.subarray(at, at + 16_384);
      const last = end && at + 16_384 >= bytes.length;
      this.raw(frameHeader(FrameType.Data, last ? Flag.EndStream : 0, stream, part.length), part);
    }
  }

  reset(stream: number, code: number): void {
    this.raw(encodeNumbers(FrameType.Reset, stream, code));
  }

  goaway(last: number, code: number): void {
    this.raw(encodeNumbers(FrameType.Goaway, 0, last, code));
  }

  ping(payload: string, ack = false): void {
    this.raw(encodePing(Buffer.from(payload), ack));
  }

  credit(stream: number, bytes: number): void {
    this.raw(encodeNumbers(FrameType.WindowUpdate, stream, bytes));
  }

  /** Waits for the first that fits; rejects when the connection ends without. */
  async hears<T extends Heard["type"]>(
    type: T,
    fits: (heard: Extract<Heard, { type: T }>) => boolean = () => true,
  ): Promise<Extract<Heard, { type: T }>> {
    for (;;) {
      const match = this.heard.find((one): one is Extract<Heard, { type: T }> =>
        one.type === type && fits(one as Extract<Heard, { type: T }>)
      );
      if (match !== undefined) return match;
      if (this.heard.some((one) => one.type === "end")) {
        throw new Error(`over without ${type}: ${JSON.stringify(this.heard)}`);
      }
      await new Promise<void>((resolve) => this.#wake = resolve);
    }
  }

  /** What was said on a stream, without settings and credit. */
  on(stream: number): Heard[] {
    return this.heard.filter((one) =>
      "stream" in one && one.stream === stream && one.type !== "credit"
    );
  }

  #take({ type, flags, stream, payload }: import("../../lib/http/h2/frame.ts").Frame): void {
    const end = (flags & Flag.EndStream) !== 0;
    const ack = end;
    switch (type) {
      case FrameType.Headers: {
        const list = this.#decoder.decode(payload) ?? [];
        const fields = Object.fromEntries(list.map(({ key, value }) => [key, value]));
        return void this.heard.push({ type: "headers", stream, fields, end });
      }
      case FrameType.Data:
        return void this.heard.push({ type: "data", stream, text: payload.toString(), end });
      case FrameType.Reset:
        return void this.heard.push({ type: "reset", stream, code: payload.readUInt32BE(0) });
      case FrameType.Goaway: {
        const [last, code] = [payload.readUInt32BE(0), payload.readUInt32BE(4)];
        return void this.heard.push({ type: "goaway", last, code });
      }
      case FrameType.Ping:
        return void this.heard.push({ type: "ping", payload: payload.toString(), ack });
      case FrameType.WindowUpdate:
        return void this.heard.push({ type: "credit", stream, bytes: payload.readUInt32BE(0) });
      case FrameType.Settings: {
        if (ack) return;
        const values: Record<number, number> = {};
        for (let at = 0; at < payload.length; at += 6) {
          values[payload.readUInt16BE(at)] = payload.readUInt32BE(at + 2);
        }
        return void this.heard.push({ type: "settings", values });
      }
    }
  }
}

/** Lets everything in memory arrive. */
export async function settle(): Promise<void> {
  for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve));
}

/** The content that was heard on a stream. */
export function contentOn(peer: H2Peer, stream: number): string {
  return peer.on(stream).map((one) => one.type === "data" ? one.text : "").join("");
}

/** The same, once the stream has ended. */
export async function ends(peer: H2Peer, stream: number): Promise<string> {
  while (!peer.on(stream).some((one) => "end" in one && one.end)) await settle();
  return contentOn(peer, stream);
}
