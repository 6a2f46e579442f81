import { describe, expect, test } from "bun:test";
import { Buffer } from "node:buffer";
import zlib from "node:zlib";
import { type Coding, CodingFault } from "../../lib/secret/coder.ts";
import { codingsOf, Recoder } from "../../lib/secret/content_coding.ts";
import { PLACES } from "../../lib/policy/model/secret.ts";
import { substituteBody } from "../../lib/secret/substitute_body.ts";
import { damaged } from "../support/mutate.ts";
import { cut, random } from "../support/random.ts";
import { grantOf, held } from "./held.ts";

const CODINGS: readonly Coding[] = ["gzip", "deflate", "br", "zstd"];

const ENCODE: Readonly<Record<Coding, (bytes: Uint8Array) => Buffer>> = {
  gzip: (bytes) => zlib.gzipSync(bytes),
  deflate: (bytes) => zlib.deflateSync(bytes),
  br: (bytes) => zlib.brotliCompressSync(bytes),
  zstd: (bytes) => zlib.zstdCompressSync(bytes),
};
const DECODE: Readonly<Record<Coding, (bytes: Uint8Array) => Buffer>> = {
  gzip: (bytes) => zlib.gunzipSync(bytes),
  deflate: (bytes) => zlib.inflateSync(bytes),
  br: (bytes) => zlib.brotliDecompressSync(bytes),
  zstd: (bytes) => zlib.zstdDecompressSync(bytes),
};
const encoded = (text: Uint8Array, codings: readonly Coding[]) =>
  codings.reduce<Buffer>((bytes, coding) => ENCODE[coding](bytes), Buffer.from(text));
const decoded = (bytes: Uint8Array, codings: readonly Coding[]) =>
  codings.toReversed().reduce<Buffer>((text, coding) => DECODE[coding](text), Buffer.from(bytes));

const KEY = held('a "value"', { places: new Set(PLACES) });
const PH = KEY.placeholder.text;
const filter = () => substituteBody({ kind: "json" }, [grantOf(KEY)]);

/** Counts what passes. */
function counter() {
  const seen = { bytes: 0, most: 0 };
  const push = (bytes: Uint8Array) => {
    seen.bytes += bytes.length;
    seen.most = Math.max(seen.most, bytes.length);
    return Buffer.from(bytes);
  };
  return { seen, push, end: () => Buffer.alloc(0) };
}

function inPieces(bytes: Buffer, size: number): Buffer[] {
  return Array.from(
    { length: Math.ceil(bytes.length / size) },
    (_, n) => bytes.subarray(n * size, (n + 1) * size),
  );
}

function recoded(recoder: Recoder, pieces: readonly Uint8Array[]): Buffer {
  const out = pieces.map((piece) => Buffer.from(recoder.push(piece)));
  return Buffer.concat([...out, recoder.end()]);
}

function faultOf(run: () => unknown): CodingFault {
  try {
    run();
  } catch (error) {
    if (error instanceof CodingFault) return error;
    throw error;
  }
  throw new TypeError("It was no fault");
}

test("the codings that fields state", () => {
  const cases: [string[], readonly Coding[] | null][] = [
    [[], []],
    [["identity"], []],
    [["gzip"], ["gzip"]],
    [[" X-GZip ,, identity"], ["gzip"]],
    [["gzip", "br"], ["gzip", "br"]],
    [["gzip, zstd"], ["gzip", "zstd"]],
    [["gzip, gzip, gzip"], null],
    [["compress"], null],
    [["gzip, aes128gcm"], null],
    [["constructor"], null],
    [["gzip;q=1"], null],
  ];
  for (const [values, codings] of cases) {
    expect([values, codingsOf(values)]).toEqual([values, codings]);
  }
});

describe.each<[string, readonly Coding[]]>([
  ...CODINGS.map((coding): [string, readonly Coding[]] => [coding, [coding]]),
  ["gzip in br", ["gzip", "br"]],
  ["zstd in deflate", ["zstd", "deflate"]],
  ["nothing", []],
])("a body in %s", (_, codings) => {
  const numbers = random(61);

  test("is decoded, filtered and encoded, however it is cut", () => {
    for (const size of [1, 30, 5_000]) {
      const of = (key: string) =>
        JSON.stringify(Array.from({ length: size }, (_, n) => `${n}${key}`));
      const body = encoded(Buffer.from(of(PH)), codings);
      const pieces = size < 100 ? cut(body, numbers) : inPieces(body, 3_000);
      const out = recoded(new Recoder(codings, filter()), pieces);
      expect(decoded(out, codings).equals(Buffer.from(of('a "value"')))).toBe(true);
    }
  }, 60_000);

  test("of no bytes stays one", () => {
    expect(recoded(new Recoder(codings, filter()), [])).toHaveLength(0);
    expect(recoded(new Recoder(codings, filter()), [Buffer.alloc(0)])).toHaveLength(0);
  });

  test("whose text is empty has an empty text", () => {
    const out = recoded(new Recoder(codings, filter()), [encoded(Buffer.alloc(0), codings)]);
    expect(decoded(out, codings)).toHaveLength(0);
  });
});

test.each(CODINGS)("what is flushed in %s arrives before the rest is there", async (coding) => {
  const streams = {
    gzip: () => zlib.createGzip(),
    deflate: () => zlib.createDeflate(),
    br: () => zlib.createBrotliCompress(),
    zstd: () => zlib.createZstdCompress(),
  };
  const source = streams[coding]();
  let pieces: Buffer[] = [];
  source.on("data", (bytes: Buffer) => pieces.push(bytes));
  const recoder = new Recoder([coding], filter());
  const target = {
    gzip: () => zlib.createGunzip(),
    deflate: () => zlib.createInflate(),
    br: () => zlib.createBrotliDecompress(),
    zstd: () => zlib.createZstdDecompress(),
  }[coding]();
  let heard = "";
  target.on("data", (bytes: Buffer) => heard += bytes.toString());
  for (const line of [`data: 1 ${PH}\n`, "data: 2\n"]) {
    await new Promise((done) => source.write(line, done));
    await new Promise<void>((done) => source.flush(() => done()));
    const given = recoder.push(Buffer.concat(pieces));
    pieces = [];
    await new Promise((done) => target.write(given, done));
    expect(heard).toEndWith(line.replace(PH, 'a \\"value\\"'));
  }
  recoder.close();
  source.destroy();
  target.destroy();
});

test.each<Coding>(["gzip", "zstd"])(
  "%s: members that follow each other are one text",
  (coding) => {
    const [first, second] = ["one ", "two "].map((text) =>
      encoded(Buffer.from(text.repeat(50)), [coding])
    );
    const body = Buffer.concat([first ?? "", second ?? ""].map((one) => Buffer.from(one)));
    for (let at = 1; at < body.length; at++) {
      const out = recoded(new Recoder([coding], filter()), [
        body.subarray(0, at),
        body.subarray(at),
      ]);
      expect(decoded(out, [coding]).toString()).toBe("one ".repeat(50) + "two ".repeat(50));
    }
  },
  60_000,
);

describe("a body that expands without bound", () => {
  const params = { [zlib.constants.BROTLI_PARAM_QUALITY]: 2 };
  const bomb = Buffer.alloc(64 << 20);

  test.each<[string, Buffer, readonly Coding[]]>([
    ["br", zlib.brotliCompressSync(bomb, { params }), ["br"]],
    ["zstd", zlib.zstdCompressSync(bomb), ["zstd"]],
    ["br in gzip", zlib.gzipSync(zlib.brotliCompressSync(bomb, { params })), ["br", "gzip"]],
    ["gzip in gzip", zlib.gzipSync(zlib.gzipSync(bomb)), ["gzip", "gzip"]],
  ])("is refused early: %s", (_, body, codings) => {
    const { seen, ...count } = counter();
    const recoder = new Recoder(codings, count);
    for (let again = 0; again < 2; again++) {
      expect(faultOf(() => recoded(recoder, [body])).why).toBe("expands");
    }
    expect(seen.bytes).toBeLessThan(32 << 20);
    expect(seen.most).toBeLessThanOrEqual(8_192);
  }, 60_000);

  test("what gzip alone can do is let through", () => {
    const zeros = Buffer.alloc(16 << 20);
    const { seen, ...count } = counter();
    const out = recoded(new Recoder(["gzip"], count), [zlib.gzipSync(zeros)]);
    expect(seen.bytes).toBe(zeros.length);
    expect(zlib.gunzipSync(out).equals(zeros)).toBe(true);
  }, 60_000);
});

describe("a body that is not what it says", () => {
  test.each(CODINGS)("%s: is a fault, and stays one", (coding) => {
    const recoder = new Recoder([coding], filter());
    const garbage = Buffer.from("\xff\xfe no such thing".repeat(20), "latin1");
    for (let again = 0; again < 2; again++) {
      expect(faultOf(() => recoded(recoder, [garbage])).why).toBe("malformed");
    }
  });

  test.each(CODINGS)("%s: one that is cut off anywhere is a fault", (coding) => {
    const body = encoded(Buffer.from(JSON.stringify("x".repeat(100) + PH)), [coding]);
    for (let end = 1; end < body.length; end++) {
      const run = () => recoded(new Recoder([coding], filter()), [body.subarray(0, end)]);
      expect(faultOf(run).why).toBe("malformed");
    }
  });

  test.each(CODINGS)("%s: what stands behind its end does not pass", (coding) => {
    const body = Buffer.concat([
      encoded(Buffer.from("text"), [coding]),
      Buffer.from(`behind ${PH}`),
    ]);
    try {
      const out = recoded(new Recoder([coding], filter()), [body]);
      expect(decoded(out, [coding]).toString()).toBe("text");
    } catch (error) {
      expect(error).toBeInstanceOf(CodingFault);
    }
  });

  test("of 400 damaged bodies each passes or is a fault", () => {
    const numbers = random(67);
    const text = Buffer.from(JSON.stringify(Array.from({ length: 50 }, (_, n) => `${n} ${PH}`)));
    const tally = { passed: 0, faults: 0 };
    for (let seed = 1; seed <= 400; seed++) {
      const coding = numbers.pick(CODINGS);
      const sample = damaged([encoded(text, [coding])], seed);
      try {
        const out = recoded(new Recoder([coding], filter()), cut(sample, numbers));
        tally.passed++;
        if (out.length > 0) expect(decoded(out, [coding]).toString()).not.toContain(PH);
      } catch (error) {
        expect(error).toBeInstanceOf(CodingFault);
        tally.faults++;
      }
    }
    expect(tally.faults).toBeGreaterThan(100);
    expect(tally.passed).toBeGreaterThan(5);
  }, 60_000);
});
