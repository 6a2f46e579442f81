/** Bodies whose chunks are signed one by one. */
import { describe, expect, test } from "bun:test";
import { Buffer } from "node:buffer";
import { SigningKey } from "../../../lib/secret/aws/canonical.ts";
import { ChunkFault, ChunkSigner, MOST_CHUNK } from "../../../lib/secret/aws/chunks.ts";
import { growth, SUBQUADRATIC } from "../../support/growth.ts";
import { mutate } from "../../support/mutate.ts";
import { cut, random } from "../../support/random.ts";

const SCOPE = { date: "20130524", region: "us-east-1", service: "s3" };
const TIME = "20130524T000000Z";
const EXAMPLE = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
const SEED = "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9";

/** The example of S3's documentation. */
const CHUNKS = [
  ["10000", "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648", 65_536],
  ["400", "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497", 1_024],
  ["0", "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9", 0],
] as const;

const BODY = Buffer.from(
  CHUNKS.map(([size, signature, bytes]) =>
    `${size};chunk-signature=${signature}\r\n${"a".repeat(bytes)}\r\n`
  ).join(""),
);

function signer(to: Partial<{ key: string; seed: string; trailers: boolean }> = {}): ChunkSigner {
  return new ChunkSigner({
    time: TIME,
    from: { key: new SigningKey(EXAMPLE, SCOPE), seed: SEED },
    to: { key: new SigningKey(to.key ?? EXAMPLE, SCOPE), seed: to.seed ?? SEED },
    trailers: to.trailers ?? false,
  });
}

function through(one: ChunkSigner, pieces: readonly Uint8Array[]): Buffer {
  return Buffer.concat([...pieces.map((piece) => one.push(Buffer.from(piece))), one.end()]);
}

test("the example of the documentation is signed as it stands there", () => {
  expect(through(signer(), [BODY]).equals(BODY)).toBe(true);
});

describe("with other keys", () => {
  const other = { key: "other", seed: "0".repeat(64) };
  const whole = through(signer(other), [BODY]);

  test("the signatures differ, and nothing else does", () => {
    expect(whole.length).toBe(BODY.length);
    const signatures = /chunk-signature=[0-9a-f]{64}/g;
    const text = (bytes: Buffer) => bytes.toString().replace(signatures, "");
    expect(text(whole)).toBe(text(BODY));
    for (const [, signature] of CHUNKS) expect(whole.includes(signature)).toBe(false);
  });

  test("how it was cut changes nothing", () => {
    const numbers = random(5);
    for (let run = 0; run < 10; run++) {
      expect(through(signer(other), cut(BODY, numbers)).equals(whole)).toBe(true);
    }
  });
});

describe("nothing passes that its signature is not of", () => {
  const at = (needle: string, by: string) => Buffer.from(BODY.toString().replace(needle, by));
  test.each<[string, Buffer]>([
    ["a changed byte", at("aaaa", "aaba")],
    ["another signature", at("ad80", "ad81")],
    ["a size that is too small", at("10000;", "ffff;")],
    ["an extension more", at(";chunk", ";a=b;chunk")],
    ["no signature", at(`;chunk-signature=${CHUNKS[0][1]}`, "")],
    ["chunks in another order", Buffer.concat([BODY.subarray(65_629), BODY.subarray(0, 65_629)])],
    ["a line that ends without CR", at("\r\n", "\n")],
    ["more behind its end", Buffer.concat([BODY, Buffer.from("0")])],
    [
      "a chunk too large",
      Buffer.from(`${(MOST_CHUNK + 1).toString(16)};chunk-signature=${CHUNKS[0][1]}\r\n`),
    ],
    ["an endless line", Buffer.alloc(5_000, "0")],
    ["no end", BODY.subarray(0, -90)],
    ["nothing at all", Buffer.alloc(0)],
  ])("%s", (_, body) => {
    const out: Buffer[] = [];
    const one = signer();
    expect(() => {
      out.push(one.push(body));
      one.end();
    }).toThrow(ChunkFault);
  });
});

test("damaged bodies meet the declared fault only, and no chunk of them passes unsigned", () => {
  const numbers = random(6);
  mutate([BODY], 200, (damaged) => {
    try {
      const out = through(signer({ trailers: numbers.below(2) === 0 }), cut(damaged, numbers));
      expect(out.equals(BODY)).toBe(true);
    } catch (error) {
      expect(error).toBeInstanceOf(ChunkFault);
    }
  });
});

test("a chunk in small pieces costs what each of them costs", () => {
  const { ratio } = growth((size) => {
    const one = signer();
    one.push(Buffer.from(`${size.toString(16)};chunk-signature=${SEED}\r\n`));
    for (let at = 0; at < size - 1; at++) one.push(Buffer.from("a"));
  }, { most: MOST_CHUNK });
  expect(ratio).toBeLessThan(SUBQUADRATIC);
});
