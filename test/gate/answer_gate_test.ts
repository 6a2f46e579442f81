/** What guests get of answers in which values stand, and what goes no further. */
import { describe, expect, test } from "bun:test";
import { Buffer } from "node:buffer";
import zlib from "node:zlib";
import { GateRefusal } from "../../lib/http/gate.ts";
import { type Coding, Decoder, Encoder } from "../../lib/secret/coder.ts";
import { formsOf } from "../../lib/secret/forms.ts";
import { damaged } from "../support/mutate.ts";
import { cut, random } from "../support/random.ts";
import { held } from "../secret/held.ts";
import { gated, hear, type Said, vaultOf } from "./answering.ts";

const KEY = held('sk-ant-"0123456789"/abc&def');
const VALUE = KEY.value.reveal();
const PH = KEY.placeholder.text;
const VAULT = vaultOf([KEY]);
const UNKNOWN = { kind: "unknown" } as const;

const ENCODE: Readonly<Record<string, (bytes: Buffer) => Buffer>> = {
  gzip: (bytes) => zlib.gzipSync(bytes),
  deflate: (bytes) => zlib.deflateSync(bytes),
  br: (bytes) => zlib.brotliCompressSync(bytes),
  zstd: (bytes) => zlib.zstdCompressSync(bytes),
};
const DECODE: Readonly<Record<string, (bytes: Buffer) => Buffer>> = {
  gzip: (bytes) => zlib.gunzipSync(bytes),
  deflate: (bytes) => zlib.inflateSync(bytes),
  br: (bytes) => zlib.brotliDecompressSync(bytes),
  zstd: (bytes) => zlib.zstdDecompressSync(bytes),
};
const CODINGS = Object.keys(ENCODE);

/** Applied in this order. */
function encoded(text: string | Buffer, codings: readonly string[]): Buffer {
  return codings.reduce<Buffer>(
    (bytes, coding) => ENCODE[coding]?.(bytes) ?? bytes,
    Buffer.from(text),
  );
}
function decoded(bytes: Buffer, codings: readonly string[]): string {
  return codings.toReversed().reduce<Buffer>(
    (text, coding) => DECODE[coding]?.(text) ?? text,
    bytes,
  )
    .toString();
}

function through(said: Said, vault = VAULT) {
  const { answer, uses } = gated(vault);
  return { ...hear(answer, said), uses };
}

function refusalOf(run: () => unknown): unknown {
  try {
    return run();
  } catch (error) {
    if (error instanceof GateRefusal) return error.refusal.reason;
    throw error;
  }
}

test("a value becomes the placeholder in the head, whatever stands around it", () => {
  const { phrase, fields, trailers, uses } = through({
    phrase: `No ${VALUE}`,
    fields: {
      "Set-Cookie": `a=${VALUE}; Path=/`,
      "Location": `https://evil.test/?k=${encodeURIComponent(VALUE)}`,
      "WWW-Authenticate": `Basic realm="${btoa(`u:${VALUE}`)}"`,
      "ETag": '"x"',
    },
    body: UNKNOWN,
    pieces: [Buffer.from("-")],
    trailers: { "X-Sum": VALUE },
  });
  expect(phrase).toBe(`No ${PH}`);
  expect(fields).toEqual({
    "Set-Cookie": `a=${PH}; Path=/`,
    "Location": `https://evil.test/?k=${PH}`,
    "WWW-Authenticate": expect.not.stringContaining(btoa(`u:${VALUE}`).slice(3, -4)),
    "ETag": '"x"',
  });
  expect(trailers).toEqual({ "X-Sum": PH });
  expect(uses).toMatchObject([{ name: "API_KEY", what: "masked", place: "header", count: 4 }]);
});

test.each([100, 103])("so it does in a head before the last: %d", (status) => {
  const { answer, uses } = gated(VAULT);
  const none = { kind: "none" } as const;
  expect(hear(answer, { status, fields: { Link: VALUE }, body: none }).fields).toEqual({
    Link: PH,
  });
  expect(uses).toEqual([]);
  hear(answer, { body: none });
  expect(uses).toMatchObject([{ place: "header", count: 1 }]);
});

describe.each(["", "gzip", "deflate", "br", "zstd", "gzip, br"])("in %p", (stated) => {
  const codings = stated === "" ? [] : stated.split(", ");
  const coded: Record<string, string> = codings.length > 0 ? { "Content-Encoding": stated } : {};
  const text = formsOf(VALUE, PH).map(([from]) => `<${Buffer.from(from).toString("latin1")}>`)
    .join("\n");
  const body = encoded(Buffer.from(text), codings);

  test("a body has no form of the value, and the length is right", () => {
    const { content, fields, whole, uses } = through({ fields: coded, pieces: [body] });
    const heard = decoded(content, codings);
    for (const [from] of formsOf(VALUE, PH)) expect(heard).not.toContain(String(from));
    expect(heard).toStartWith(`<${PH}>\n<${PH}>`);
    expect(heard.split("\n")).toHaveLength(text.split("\n").length);
    expect([fields, whole]).toEqual([coded, true]);
    expect(uses).toMatchObject([{ place: "body", count: text.split("\n").length }]);
  });

  test("and none however it is cut", () => {
    const expected = decoded(through({ fields: coded, pieces: [body] }).content, codings);
    for (let at = 0; at <= body.length; at += at < 300 ? 1 : 37) {
      const pieces = [body.subarray(0, at), body.subarray(at)];
      const { content, length } = through({ fields: coded, body: UNKNOWN, pieces });
      expect([decoded(content, codings) === expected, length]).toEqual([true, null]);
    }
  });

  test("what is sent line by line arrives line by line", () => {
    const [coding = ""] = codings;
    if (codings.length > 1) return;
    const pieces = flushed(coding, ["data: 1\n\n", `data: ${VALUE}\n\n`, "data: 3\n\n"]);
    const heard = through({
      fields: { ...coded, "Content-Type": "text/event-stream" },
      body: UNKNOWN,
      pieces,
    });
    expect(decoded(heard.content, codings)).toBe(`data: 1\n\ndata: ${PH}\n\ndata: 3\n\n`);
    let soFar = Buffer.alloc(0);
    const known = heard.pieces.slice(0, 3).map((piece) => {
      soFar = Buffer.concat([soFar, piece]);
      return begun(coding, soFar);
    });
    expect(known).toEqual([
      "data: 1\n\n",
      `data: 1\n\ndata: ${PH}\n\n`,
      `data: 1\n\ndata: ${PH}\n\ndata: 3\n\n`,
    ]);
  });
});

/** As a server flushes them. */
function flushed(coding: string, texts: readonly string[]): Buffer[] {
  if (!isCoding(coding)) return texts.map((text) => Buffer.from(text));
  const encoder = new Encoder(coding);
  const pieces = texts.map((text): Buffer => {
    const out: Buffer[] = [];
    encoder.push(Buffer.from(text), (piece) => out.push(piece));
    encoder.flush((piece) => out.push(piece));
    return Buffer.concat(out);
  });
  encoder.end((piece) => pieces.push(piece));
  return pieces;
}

/** What a client knows of a body that has not ended. */
function begun(coding: string, body: Buffer): string {
  if (!isCoding(coding)) return body.toString();
  const out: Buffer[] = [];
  new Decoder(coding).push(body, (piece) => out.push(piece));
  return Buffer.concat(out).toString();
}

function isCoding(text: string): text is Coding {
  return CODINGS.includes(text);
}

describe("a stated length", () => {
  const of = (size: number) => Buffer.from(`${VALUE}${"x".repeat(size)}`);

  test("of a small text is that of what came of it", () => {
    const { content, whole } = through({ pieces: [of(100)] });
    expect([content.toString(), whole]).toEqual([PH + "x".repeat(100), true]);
  });

  test.each<[what: string, said: Said]>([
    ["of a large one", { pieces: [of(100_000)] }],
    ["of a part", { status: 206, pieces: [of(10)], fields: { "Content-Range": "bytes 0-9/90" } }],
    ["of what is no text", {
      pieces: [of(10)],
      fields: { "Content-Type": "application/octet-stream" },
    }],
  ])("%s stays, and what stands for the value is as long", (_, said) => {
    const piece = Buffer.concat(said.pieces ?? []);
    const { content, whole, length, fields } = through(said);
    expect([length, whole, fields]).toEqual([piece.length, false, said.fields ?? {}]);
    const place = PH.slice(0, VALUE.length).padEnd(VALUE.length, "~");
    expect(content.toString()).toBe(place + piece.toString().slice(VALUE.length));
  });

  test("of a large body in a coding is not stated any more", () => {
    const noise = Buffer.from(Array.from({ length: 40_000 }, (_, n) => n * n).join(VALUE));
    const body = encoded(noise, ["gzip"]);
    const { content, length } = through({ fields: { "Content-Encoding": "gzip" }, pieces: [body] });
    expect(length).toBeNull();
    expect(decoded(content, ["gzip"])).toBe(noise.toString().replaceAll(VALUE, PH));
  });

  test("of many that wait at the same time is let go before there is no memory for it", () => {
    const { answer } = gated(VAULT);
    const body = { kind: "length", length: 65_536 } as const;
    const open = Array.from({ length: 1_000 }, () =>
      answer?.({
        status: 200,
        phrase: "",
        fields: [],
        body,
      }));
    const waiting = open.filter((one) => one?.whole === true);
    expect(waiting.length).toBeGreaterThan(100);
    expect(waiting.length).toBeLessThan(1_000);
    for (const one of open) one?.body?.close?.();
    for (const one of open) one?.body?.close?.(); // again costs nothing
    expect(through({ pieces: [of(10)] }).whole).toBe(true);
  });

  test("to HEAD is the server's, and so are answers without a body", () => {
    const none = { kind: "none" } as const;
    const fields = { "Content-Length": "99", "X": VALUE };
    for (const status of [200, 204, 304]) {
      const { answer } = gated(VAULT);
      const passed = hear(answer, { status, fields, body: none });
      expect(passed.fields).toEqual({ "Content-Length": "99", "X": PH });
    }
  });
});

describe("an answer that cannot be read goes no further", () => {
  const gzip = { "Content-Encoding": "gzip" };
  const bomb = zlib.brotliCompressSync(Buffer.alloc(32 << 20));
  const cutOff = encoded(`{"k":"${VALUE}"}`, ["gzip"]).subarray(0, -1);

  test.each<[what: string, said: Said, allowed: Said]>([
    [
      "a coding that is not known",
      { fields: { "Content-Encoding": "compress" }, pieces: [Buffer.from("x")] },
      { fields: { "Content-Encoding": "identity" }, pieces: [Buffer.from("x")] },
    ],
    [
      "of too many codings",
      { fields: { "Content-Encoding": "gzip, gzip, gzip" }, pieces: [Buffer.from("x")] },
      { fields: { "Content-Encoding": "gzip, gzip" }, pieces: [encoded("x", ["gzip", "gzip"])] },
    ],
    [
      "a part of what is coded",
      { status: 206, fields: gzip, pieces: [encoded("x", ["gzip"])] },
      { status: 206, pieces: [encoded("x", ["gzip"])] },
    ],
    [
      "a difference",
      { status: 226, fields: { IM: "vcdiff" }, pieces: [Buffer.from("x")] },
      { status: 200, pieces: [Buffer.from("x")] },
    ],
    [
      "compressed messages",
      { fields: { "grpc-encoding": "gzip" }, pieces: [Buffer.from("x")] },
      { fields: { "grpc-encoding": "identity" }, pieces: [Buffer.from("x")] },
    ],
    [
      "one that is not in its coding",
      { fields: gzip, pieces: [Buffer.from(VALUE)] },
      { fields: gzip, pieces: [] },
    ],
    [
      "one that is cut off",
      { fields: gzip, body: UNKNOWN, pieces: [cutOff] },
      { fields: gzip, body: UNKNOWN, pieces: [encoded(VALUE, ["gzip"])] },
    ],
    [
      "one that expands without end",
      { fields: { "Content-Encoding": "br" }, body: UNKNOWN, pieces: [bomb] },
      { fields: { "Content-Encoding": "br" }, pieces: [encoded("x".repeat(1 << 20), ["br"])] },
    ],
    [
      "a WebSocket with an extension",
      {
        status: 101,
        fields: { "Sec-WebSocket-Extensions": "permessage-deflate" },
        body: { kind: "upgrade" },
      },
      { status: 101, body: { kind: "upgrade" } },
    ],
  ])("%s", (_, said, allowed) => {
    expect(refusalOf(() => through(said))).toBe("secret-unreadable");
    expect(refusalOf(() => through(allowed))).not.toBe("secret-unreadable");
    // Without a secret of its host, nobody asks.
    expect(gated(vaultOf([])).answer).toBeUndefined();
  });

  test("and nothing of the piece in which that turns out", () => {
    const { answer } = gated(VAULT);
    const good = encoded("good", ["gzip"]);
    const { body } = answer?.({
      status: 200,
      phrase: "",
      fields: [{ name: "Content-Encoding", key: "content-encoding", value: "gzip" }],
      body: UNKNOWN,
    }) ?? {};
    const out: Buffer[] = [];
    const push = (bytes: Buffer) => refusalOf(() => void out.push(body?.push(bytes) ?? bytes));
    expect(push(good.subarray(0, 12))).toBeUndefined();
    expect(push(Buffer.concat([good.subarray(12), Buffer.from(VALUE)]))).toBe("secret-unreadable");
    expect(push(Buffer.from("more"))).toBe("secret-unreadable");
    expect(refusalOf(() => body?.end())).toBe("secret-unreadable");
    expect(begun("gzip", Buffer.concat(out))).not.toContain("good");
  });
});

test("digests go where the coding was made anew, and stay where it was not", () => {
  const digests = { "Content-Digest": "sha-256=:x:", "Content-MD5": "x", "ETag": "x" };
  const plain = through({ fields: digests, pieces: [Buffer.from("x")] });
  expect(plain.fields).toEqual(digests);
  const { fields, trailers } = through({
    fields: { ...digests, "Content-Encoding": "gzip" },
    body: UNKNOWN,
    pieces: [encoded("x", ["gzip"])],
    trailers: { "Repr-Digest": "x", "X": "1" },
  });
  expect([fields, trailers]).toEqual([{ "Content-Encoding": "gzip", "ETag": "x" }, { X: "1" }]);
});

test("values that are not known any more, or that want no mask, are let through", () => {
  const open = held("open-value-1", { name: "OPEN", mask: false });
  const next = held("sk-ant-next-value", { name: "NEXT" });
  let known = [open, KEY];
  const { answer } = gated({ ...VAULT, known: () => known });
  const text = () =>
    hear(answer, { pieces: [Buffer.from(`${VALUE} open-value-1 sk-ant-next-value`)] });
  expect(text().content.toString()).toBe(`${PH} open-value-1 sk-ant-next-value`);
  known = [open, next, KEY];
  expect(text().content.toString()).toBe(`${PH} open-value-1 ${next.placeholder.text}`);
  known = [open, next];
  expect(text().content.toString()).toBe(`${VALUE} open-value-1 ${next.placeholder.text}`);
  expect(gated(vaultOf([open])).answer).toBeUndefined();
});

test("of 400 damaged bodies each is read to its end or refused, and has no value in it", () => {
  const numbers = random(71);
  const forms = formsOf(VALUE, PH).map(([from]) => Buffer.from(from));
  const text = Buffer.concat(forms.flatMap((form) => [Buffer.from("x:"), form, form]));
  const tally = { refused: 0, passed: 0 };
  for (let seed = 1; seed <= 400; seed++) {
    const coding = numbers.pick(["", ...CODINGS]);
    const sample = damaged([encoded(text, [coding])], seed);
    const fields: Record<string, string> = coding === "" ? {} : { "Content-Encoding": coding };
    const body = numbers.pick([UNKNOWN, { kind: "length", length: sample.length } as const]);
    const heard = refusalOf(() => through({ fields, body, pieces: cut(sample, numbers) }).content);
    if (heard === "secret-unreadable") {
      tally.refused++;
      continue;
    }
    tally.passed++;
    const out = heard as Buffer;
    const known = out.length === 0 ? out : Buffer.from(decoded(out, [coding]), "utf8");
    expect(forms.some((form) => known.includes(form))).toBe(false);
  }
  expect(tally.refused).toBeGreaterThan(80);
  expect(tally.passed).toBeGreaterThan(60);
}, 60_000);
