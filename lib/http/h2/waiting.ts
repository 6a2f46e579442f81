/**
 * A request that waits for the gate, or whose head waits for its body, and what its stream has said since.
 * That is bounded by the stream's window, of which nothing is given back meanwhile.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { ByteQueue } from "../../wire/byte_queue.ts";
import type { Field } from "../fields.ts";
import type { H2Request } from "./message.ts";

/** What came behind a head, in its order. */
export interface Said {
  data(bytes: Buffer, end: boolean): void;
  trailers(fields: readonly Field[] | null, end: boolean): void;
}

export class Waiting implements Said {
  readonly request: H2Request;
  /** When its head was whole. */
  readonly since: number;
  readonly #content = new ByteQueue();
  #ended = false;
  #trailers: { readonly fields: readonly Field[] | null; readonly end: boolean } | null = null;
  #onContent: (() => void) | null = null;
  #repeated = false;

  constructor(request: H2Request, since: number) {
    this.request = request;
    this.since = since;
  }

  /** Bytes of content that wait. */
  get size(): number {
    return this.#content.size;
  }

  /** Nothing follows of its content. */
  get whole(): boolean {
    return this.#ended || this.#trailers !== null;
  }

  /** Calls this now, and again whenever content came or ended. */
  await(onContent: () => void): void {
    this.#onContent = onContent;
    onContent();
  }

  /** All of its content, which waits on. */
  content(): Buffer {
    const content = this.#content.takeAll();
    this.#content.push(content);
    return content;
  }

  data(bytes: Buffer, end: boolean): void {
    this.#content.push(bytes);
    this.#ended = end;
    this.#onContent?.();
  }

  trailers(fields: readonly Field[] | null, end: boolean): void {
    this.#trailers ??= { fields, end };
    this.#onContent?.();
  }

  /** Says it all again, once. */
  repeat(to: Said): void {
    if (this.#repeated) return;
    this.#repeated = true;
    while (this.#content.size > 0) {
      const bytes = this.#content.take(this.#content.size);
      if (this.#content.size > 0 || !this.#ended) to.data(bytes, false);
      else return to.data(bytes, true);
    }
    if (this.#ended) to.data(Buffer.alloc(0), true);
    else if (this.#trailers !== null) to.trailers(this.#trailers.fields, this.#trailers.end);
  }
}
