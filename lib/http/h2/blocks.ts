/**
 * Header blocks, which may be cut over several frames but over nothing else (RFC 9113 4.3).
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { Code, Flag, type Frame, FrameType, H2Error } from "./frame.ts";

export interface HeaderBlock {
  readonly stream: number;
  readonly bytes: Buffer;
  /** Nothing of the stream follows it. */
  readonly end: boolean;
  /** Its stream depends on this one; null where no priority was stated. */
  readonly dependency: number | null;
}

export class HeaderBlocks {
  readonly #limit: number;
  #begun: Omit<HeaderBlock, "bytes"> | null = null;
  #parts: Buffer[] = [];
  #size = 0;

  /** `limit`: bytes of a block, as they are compressed. */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Whether the frame comes where only a block's next part may. */
  isInterruptedBy({ type, stream }: Pick<Frame, "type" | "stream">): boolean {
    if (this.#begun === null) return false;
    return type !== FrameType.Continuation || stream !== this.#begun.stream;
  }

  /** The first part; the block, if it is the last as well. @throws H2Error */
  begin(begun: Omit<HeaderBlock, "bytes">, part: Buffer, flags: number): HeaderBlock | null {
    this.#begun = begun;
    return this.go(part, flags);
  }

  /** The next part. @throws H2Error */
  go(part: Buffer, flags: number): HeaderBlock | null {
    const begun = this.#begun;
    if (begun === null) throw new H2Error(Code.Protocol, "a header block without beginning");
    this.#size += part.length;
    if (this.#size > this.#limit) {
      throw new H2Error(Code.EnhanceYourCalm, "a header block without end");
    }
    this.#parts.push(part);
    if ((flags & Flag.EndHeaders) === 0) return null;
    const bytes = this.#parts.length === 1 ? part : Buffer.concat(this.#parts);
    this.#begun = null;
    this.#parts = [];
    this.#size = 0;
    return { ...begun, bytes };
  }
}
