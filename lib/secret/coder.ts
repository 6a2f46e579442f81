/**
 * One content coding, in one direction: bytes in, and at once what comes of them.
 *
 * A relay has to say what becomes of a piece before it takes the next, and the streams of `node:zlib` say
 * it later. Below each is what Node and Bun have for their `…Sync` functions, and which goes on from call
 * to call. It is not documented: whether a Bun still has it, test/secret/content_coding_test.ts tells.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import zlib from "node:zlib";

export type Coding = "gzip" | "deflate" | "br" | "zstd";

/** Why a body cannot be read further. What was not given by then is not to be passed on. */
export class CodingFault extends Error {
  override readonly name = "CodingFault";
  readonly why: "malformed" | "expands";

  constructor(why: "malformed" | "expands", options?: ErrorOptions) {
    super(why === "malformed" ? "it is not in its content coding" : "it expands too far", options);
    this.why = why;
  }
}

/** Deflate reaches 1,032. Brotli and zstd have no bound. */
const MOST_RATIO = 1_100;

/** Nothing is said of how far less than this expands. */
const LEAST_EXPANDED = 4 << 20;

/** `coded`: bytes of a body, `expanded`: of what they were decoded to so far. */
export function expandsTooFar(coded: number, expanded: number): boolean {
  return expanded > LEAST_EXPANDED && expanded > coded * MOST_RATIO;
}

/** What came of the bytes, a piece of bounded size each. */
export type Take = (piece: Buffer) => void;

interface Native {
  readonly _handle: {
    onerror: (message: string, code: number, name: string) => void;
    writeSync(
      flush: number,
      input: Uint8Array,
      inputAt: number,
      inputLength: number,
      output: Uint8Array,
      outputAt: number,
      outputLength: number,
    ): void;
    close(): void;
  };
  /** After a call: what is left of the output, and of the input. */
  readonly _writeState: Uint32Array;
}

function isNative(stream: object): stream is Native {
  const { _handle: handle, _writeState: state } = stream as Partial<Native>;
  return typeof handle?.writeSync === "function" && state instanceof Uint32Array;
}

/** Where each call writes to; what it gives is copied before the next. */
const OUT = Buffer.allocUnsafeSlow(8_192);

/** One coder below its stream, which is never used as one. */
class Coder {
  readonly #native: Native;
  #fault: CodingFault | null = null;
  /** By which name of the library's the last fault goes. */
  #code = "";
  #closed = false;

  constructor(stream: object) {
    if (!isNative(stream)) throw new TypeError("Cannot code at once: node:zlib has no writeSync");
    this.#native = stream;
    stream._handle.onerror = (message, _, code) => {
      this.#code = code;
      this.#fault ??= new CodingFault("malformed", { cause: new Error(message) });
    };
  }

  /** @throws CodingFault, and the same from then on */
  run(flush: number, bytes: Uint8Array, take: Take): void {
    const { _handle: handle, _writeState: state } = this.#native;
    for (let left = bytes.length;;) {
      if (this.#fault === null && this.#closed) throw new TypeError("Cannot code: it was closed");
      if (this.#fault === null) {
        handle.writeSync(flush, bytes, bytes.length - left, left, OUT, 0, OUT.length);
      }
      if (this.#fault !== null) this.fail(this.#fault);
      const [room = 0, rest = 0] = state;
      if (room < OUT.length) take(Buffer.from(OUT.subarray(0, OUT.length - room)));
      // What stands behind the end of a coded body is not taken, and dropped.
      if (room > 0 && (rest === 0 || rest === left)) return;
      left = rest;
    }
  }

  /** By which name of the library's these bytes would be a fault; empty when they are none. The last call. */
  faultOf(bytes: Uint8Array): string {
    if (this.#fault !== null) this.fail(this.#fault);
    this.#native._handle.writeSync(0, bytes, 0, bytes.length, OUT, 0, OUT.length);
    this.close();
    return this.#code;
  }

  fail(fault: CodingFault): never {
    this.#fault = fault;
    this.close();
    throw fault;
  }

  /** Frees what it has taken. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#native._handle.close();
  }
}

const {
  Z_NO_FLUSH,
  Z_SYNC_FLUSH,
  Z_FINISH,
  BROTLI_OPERATION_PROCESS,
  BROTLI_OPERATION_FLUSH,
  BROTLI_OPERATION_FINISH,
  BROTLI_PARAM_QUALITY,
  BROTLI_PARAM_LGWIN,
  ZSTD_e_continue,
  ZSTD_e_flush,
  ZSTD_e_end,
  ZSTD_c_compressionLevel,
  ZSTD_c_windowLog,
  ZSTD_d_windowLogMax,
} = zlib.constants;

interface Operations {
  readonly go: number;
  readonly flush: number;
  readonly finish: number;
}

const OF_ZLIB: Operations = { go: Z_NO_FLUSH, flush: Z_SYNC_FLUSH, finish: Z_FINISH };

const OPERATIONS: Readonly<Record<Coding, Operations>> = {
  gzip: OF_ZLIB,
  deflate: OF_ZLIB,
  br: {
    go: BROTLI_OPERATION_PROCESS,
    flush: BROTLI_OPERATION_FLUSH,
    finish: BROTLI_OPERATION_FINISH,
  },
  zstd: { go: ZSTD_e_continue, flush: ZSTD_e_flush, finish: ZSTD_e_end },
};

/** The least that `node:zlib` takes, for a stream that is never used as one. */
const chunkSize = 64;

export class Encoder {
  readonly #coder: Coder;
  readonly #operations: Operations;
  #isDirty = false;

  constructor(coding: Coding) {
    this.#coder = new Coder(ENCODERS[coding]());
    this.#operations = OPERATIONS[coding];
  }

  push(bytes: Uint8Array, take: Take): void {
    if (bytes.length === 0) return;
    this.#isDirty = true;
    this.#coder.run(this.#operations.go, bytes, take);
  }

  /** So that all that was pushed can be decoded; nothing where nothing was. */
  flush(take: Take): void {
    if (!this.#isDirty) return;
    this.#isDirty = false;
    this.#coder.run(this.#operations.flush, NOTHING, take);
  }

  end(take: Take): void {
    this.#coder.run(this.#operations.finish, NOTHING, take);
    this.#coder.close();
  }

  close(): void {
    this.#coder.close();
  }
}

const NOTHING = new Uint8Array(0);

/**
 * Fast, and with small windows: the next hop decodes it again, many bodies are on their way at once, and
 * what the libraries take by default is for files that are compressed once.
 */
const ENCODERS: Readonly<Record<Coding, () => object>> = {
  gzip: () => zlib.createGzip({ chunkSize, level: 1 }),
  deflate: () => zlib.createDeflate({ chunkSize, level: 1 }),
  br: () =>
    zlib.createBrotliCompress({
      chunkSize,
      params: { [BROTLI_PARAM_QUALITY]: 1, [BROTLI_PARAM_LGWIN]: 16 },
    }),
  zstd: () =>
    zlib.createZstdCompress({
      chunkSize,
      params: { [ZSTD_c_compressionLevel]: 1, [ZSTD_c_windowLog]: 17 },
    }),
};

/** Bounded in how far it expands. */
export class Decoder {
  readonly #coding: Coding;
  readonly #coder: Coder;
  #coded = 0;
  #expanded = 0;

  constructor(coding: Coding) {
    this.#coding = coding;
    this.#coder = new Coder(DECODERS[coding]());
  }

  /** @throws CodingFault */
  push(bytes: Uint8Array, take: Take): void {
    this.#coded += bytes.length;
    if (bytes.length > 0) this.#run(OPERATIONS[this.#coding].go, bytes, take);
  }

  /** @throws CodingFault where the end is missing */
  end(take: Take): void {
    if (this.#coding === "zstd") this.#endFrames();
    else this.#run(OPERATIONS[this.#coding].finish, NOTHING, take);
    this.#coder.close();
  }

  close(): void {
    this.#coder.close();
  }

  #run(operation: number, bytes: Uint8Array, take: Take): void {
    this.#coder.run(operation, bytes, (piece) => {
      this.#expanded += piece.length;
      if (expandsTooFar(this.#coded, this.#expanded)) this.#coder.fail(new CodingFault("expands"));
      take(piece);
    });
  }

  /** The library says nothing of an end that is missing; but only between frames it wants a new one. */
  #endFrames(): void {
    const isBetween = this.#coder.faultOf(NO_FRAME) === "ZSTD_error_prefix_unknown";
    if (!isBetween || this.#coded < NO_FRAME.length) this.#coder.fail(new CodingFault("malformed"));
  }
}

/** As long as the number that frames begin with (RFC 8878 3.1.1), and none. */
const NO_FRAME = Uint8Array.of(255, 255, 255, 255);

const DECODERS: Readonly<Record<Coding, () => object>> = {
  gzip: () => zlib.createGunzip({ chunkSize }),
  deflate: () => zlib.createInflate({ chunkSize }),
  br: () => zlib.createBrotliDecompress({ chunkSize }),
  // RFC 9659: 8 MiB are the most that a body may ask a recipient to hold.
  zstd: () => zlib.createZstdDecompress({ chunkSize, params: { [ZSTD_d_windowLogMax]: 23 } }),
};
