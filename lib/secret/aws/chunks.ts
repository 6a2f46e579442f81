/**
 * A body whose chunks are signed one by one (`STREAMING-AWS4-HMAC-SHA256-PAYLOAD`, with or without
 * signed trailers): each signature of the guest's is checked, and made again with the real key.
 *
 *     SIZE;chunk-signature=DIGITS CRLF content CRLF … 0;chunk-signature=DIGITS CRLF [trailers] CRLF
 *
 * Nothing changes its length. A signature stands before what it signs, so a chunk is held back until it
 * is whole.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { ByteQueue } from "../../wire/byte_queue.ts";
import { HASH_OF_NOTHING, sha256, type SigningKey } from "./canonical.ts";

/** The body is not what its signatures say. */
export class ChunkFault extends Error {
  override readonly name = "ChunkFault";
}

/** Clients send 8 KiB to 1 MiB. */
export const MOST_CHUNK = 4 << 20;

/** A line with a size, or a trailer. */
const MOST_LINE = 4_096;
const MOST_TRAILERS = 16_384;

export interface ChunkSigning {
  readonly time: string;
  /** Of the request's head, and the key that made it: the guest's, and ours. */
  readonly from: { readonly key: SigningKey; readonly seed: string };
  readonly to: { readonly key: SigningKey; readonly seed: string };
  readonly trailers: boolean;
}

/** size → content → break → size …, behind the last chunk trailers or break → done */
type State = "size" | "content" | "break" | "trailers" | "end" | "done";

const SIZE = /^([0-9A-Fa-f]{1,8});chunk-signature=([0-9a-f]{64})$/;
const TRAILER_SIGNATURE = /^x-amz-trailer-signature:([0-9a-f]{64})$/;

export class ChunkSigner {
  readonly #signing: ChunkSigning;
  #state: State = "size";
  #last: { from: string; to: string };
  /** Of the chunk that is being read: its size as written and as number, and its signature. */
  #chunk = { written: "", size: 0, signature: "" };
  readonly #content = new ByteQueue();
  #left = 0;
  #line = "";
  /** Trailers as they are signed: without CR and empty lines. */
  #trailers = "";
  #out: Buffer[] = [];

  constructor(signing: ChunkSigning) {
    this.#signing = signing;
    this.#last = { from: signing.from.seed, to: signing.to.seed };
  }

  /** What may go on. @throws ChunkFault */
  push(bytes: Buffer): Buffer {
    for (let at = 0; at < bytes.length;) {
      if (this.#state === "done") throw new ChunkFault("more behind its last chunk");
      at = this.#state === "content" ? this.#takeContent(bytes, at) : this.#takeLine(bytes, at);
    }
    const out = this.#out.length === 1 ? this.#out[0] : Buffer.concat(this.#out);
    this.#out = [];
    return out ?? Buffer.alloc(0);
  }

  /** @throws ChunkFault for a body that is cut short */
  end(): Buffer {
    if (this.#state !== "done") throw new ChunkFault("its last chunk is missing");
    return Buffer.alloc(0);
  }

  #takeContent(bytes: Buffer, at: number): number {
    const part = bytes.subarray(at, at + this.#left);
    this.#content.pushCopy(part); // the sender's memory is used again
    this.#left -= part.length;
    if (this.#left === 0) this.#endChunk();
    return at + part.length;
  }

  #takeLine(bytes: Buffer, from: number): number {
    const end = bytes.indexOf(0x0a, from);
    const to = end < 0 ? bytes.length : end + 1;
    if (this.#line.length + to - from > MOST_LINE) throw new ChunkFault("an endless line");
    this.#line += bytes.toString("latin1", from, to);
    if (end >= 0) {
      const line = this.#line;
      this.#line = "";
      this.#read(line);
    }
    return to;
  }

  #read(line: string): void {
    const text = line.endsWith("\r\n") ? line.slice(0, -2) : line.slice(0, -1);
    if (this.#state === "trailers") return this.#readTrailer(line, text);
    if (!line.endsWith("\r\n")) throw new ChunkFault("a line that ends without CR");
    if (this.#state === "size") return this.#readSize(text);
    if (text !== "") throw new ChunkFault("a chunk longer than its size");
    this.#give(line);
    this.#state = this.#state === "break" ? "size" : "done";
  }

  #readSize(text: string): void {
    const [, written = "", signature = ""] = SIZE.exec(text) ?? [];
    if (written === "") throw new ChunkFault("a chunk without a signature");
    const size = parseInt(written, 16);
    if (size > MOST_CHUNK) throw new ChunkFault("a chunk too large to be signed again");
    this.#chunk = { written, size, signature };
    this.#left = size;
    this.#state = "content";
    if (size === 0) this.#endChunk();
  }

  #endChunk(): void {
    const { written, size, signature } = this.#chunk;
    const content = this.#content.takeAll();
    const signed = this.#sign("AWS4-HMAC-SHA256-PAYLOAD", [HASH_OF_NOTHING, sha256(content)]);
    if (signed.from !== signature) throw new ChunkFault("a chunk that its signature is not of");
    this.#give(`${written};chunk-signature=${signed.to}\r\n`);
    if (size > 0) this.#out.push(content);
    this.#state = size > 0 ? "break" : this.#signing.trailers ? "trailers" : "end";
  }

  #readTrailer(line: string, text: string): void {
    const [, signature] = TRAILER_SIGNATURE.exec(text) ?? [];
    if (signature === undefined) {
      if (text !== "") this.#trailers += `${text}\n`;
      if (this.#trailers.length > MOST_TRAILERS) throw new ChunkFault("endless trailers");
      return this.#give(line);
    }
    const hash = sha256(Buffer.from(this.#trailers, "latin1"));
    const signed = this.#sign("AWS4-HMAC-SHA256-TRAILER", [hash]);
    if (signed.from !== signature) throw new ChunkFault("trailers that their signature is not of");
    this.#give(`x-amz-trailer-signature:${signed.to}${line.slice(text.length)}`);
    this.#state = "end";
  }

  /** Each signature signs the one before it. */
  #sign(kind: string, hashes: readonly string[]): { from: string; to: string } {
    const { time, from, to } = this.#signing;
    this.#last = {
      from: from.key.sign(time, [this.#last.from, ...hashes], kind),
      to: to.key.sign(time, [this.#last.to, ...hashes], kind),
    };
    return this.#last;
  }

  #give(text: string): void {
    this.#out.push(Buffer.from(text, "latin1"));
  }
}
