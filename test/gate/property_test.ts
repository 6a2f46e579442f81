/** Random requests of guests: what an allowed host gets, and what any other. */
import { expect, test } from "bun:test";
import { Buffer } from "node:buffer";
import zlib from "node:zlib";
import type { GateSession } from "../../lib/gate/session.ts";
import { PASS } from "../../lib/http/gate.ts";
import { PLACES } from "../../lib/policy/model/secret.ts";
import { formsOf } from "../../lib/secret/forms.ts";
import { Tripwire } from "../../lib/secret/tripwire.ts";
import { cut, type Random, random } from "../support/random.ts";
import { API, held } from "../secret/held.ts";
import { gateOf, TRUSTED, vaultOf } from "./kept.ts";
import { type Heard, pass, type Said, type Version, VERSIONS } from "./passage.ts";

const wire = (text: string) => Buffer.from(text).toString("latin1");
const percent = (text: string) =>
  encodeURIComponent(text).replace(
    /[!'()*]/g,
    (one) => `%${one.charCodeAt(0).toString(16).toUpperCase()}`,
  );

type Coder = (bytes: Buffer) => Buffer;
const CODINGS: Readonly<Record<string, readonly [encode: Coder, decode: Coder]>> = {
  gzip: [zlib.gzipSync, zlib.gunzipSync],
  br: [zlib.brotliCompressSync, zlib.brotliDecompressSync],
  zstd: [zlib.zstdCompressSync, zlib.zstdDecompressSync],
};

/** A request as a function of the keys that its guest has. */
function randomRequest({ below, pick }: Random) {
  const [field, target, kind] = [below(5), below(4), below(5)];
  const [a, b, c] = [below(3), below(3), below(3)];
  const filler = "x".repeat(below(300));
  const coding = pick([null, null, ...Object.keys(CODINGS)]);
  return (keys: readonly string[]): { readonly said: Said; readonly coding: string | null } => {
    const of = (index: number) => keys[index % keys.length] ?? "";
    const fields: [string, string][] = [["user-agent", filler]];
    if (field === 0) fields.push(["authorization", `Bearer ${wire(of(a))}`]);
    if (field === 1) {
      const pair = Buffer.from(`me:${of(a)}`).toString("base64");
      fields.push(["authorization", `Basic ${pair}`]);
    }
    if (field === 2) fields.push(["x-api-key", wire(of(a))], ["x-other", wire(of(b))]);
    if (field === 3) fields.push(["cookie", wire(`a=${of(a)}`)]);
    const targets = ["/", `/v1?k=${percent(of(b))}&f=${filler}`, `/v1/${percent(of(b))}/x`, "/?"];
    const body = [
      ["application/json", JSON.stringify({ [filler]: [of(c), { text: `${filler}${of(a)}` }] })],
      ["application/x-www-form-urlencoded", `a=${percent(of(c))}&b=${percent(filler + of(a))}`],
      ["text/plain", `${filler}\n${of(c)}${of(a)}\n`],
      [
        "multipart/form-data; boundary=b",
        `--b\r\nContent-Disposition: form-data; name="k"\r\n\r\n${of(c)}\r\n` +
        `--b\r\nContent-Type: application/json\r\n\r\n${JSON.stringify(of(a))}\r\n--b--\r\n`,
      ],
    ][kind];
    const said = { target: targets[target] ?? "/", fields };
    if (body === undefined) return { said, coding: null };
    const [type = "", text = ""] = body;
    fields.push(["content-type", type]);
    if (coding !== null) fields.push(["content-encoding", coding]);
    const bytes = Buffer.from(text);
    return {
      said: {
        ...said,
        body: [(coding === null ? bytes : CODINGS[coding]?.[0](bytes) ?? bytes).toString("latin1")],
      },
      coding,
    };
  };
}

/** The body in pieces, its length stated or not. */
function inPieces(said: Said, numbers: Random): Said {
  const [whole] = said.body ?? [];
  if (whole === undefined) return said;
  const pieces = cut(Buffer.from(whole, "latin1"), numbers).map((piece) =>
    Buffer.from(piece).toString("latin1")
  );
  const body = [...pieces.slice(0, 5), pieces.slice(5).join("")].filter((piece) => piece !== "");
  return { ...said, body, stated: numbers.below(2) === 0 };
}

/** Encoders of two makes write the same text in other bytes, and HTTP/2 states no length where it may change. */
function asText(version: Version, heard: Heard | null, coding: string | null): unknown {
  if (heard === null) return null;
  const { length, body, ...rest } = heard;
  expect(length === null || length === body.length).toBe(true);
  const isStated = length !== null;
  if (coding === null) return { ...rest, body, ...(version === "HTTP/1" ? { isStated } : {}) };
  const text = CODINGS[coding]?.[1](Buffer.from(body, "latin1")).toString("latin1");
  return { ...rest, text, ...(version === "HTTP/1" ? { isStated } : {}) };
}

const BREACHES: readonly (Partial<GateSession> & { readonly host?: string })[] = [
  { verified: false },
  { isPinned: () => false },
  { isPinned: () => false },
  { verified: false, sni: null },
  { sni: null },
  { host: "evil.test" },
  { host: "evil.test", sni: "evil.test", isPinned: () => true },
  { host: `evil.${API}`, sni: `evil.${API}`, isPinned: () => true },
  { sni: "evil.test", isPinned: () => true },
];

test.each(VERSIONS)(
  "in %s an allowed host gets the request of a guest that has the values, any other none of them",
  async (version) => {
    const numbers = random(version === "HTTP/1" ? 5 : 6);
    const { below, pick } = numbers;
    const letters = [..."abXYZ019 +&=%\"'\\/<>;:-\u00e4$`"];
    for (let round = 0; round < 60; round++) {
      const secrets = Array.from(
        { length: 1 + below(3) },
        (_, n) =>
          held(`v${Array.from({ length: 10 + below(60) }, () => pick(letters)).join("")}v`, {
            name: `KEY_${n}`,
            places: new Set(PLACES),
            headers: { kind: "any" },
            format: pick([null, "sk-*"]),
          }),
      );
      const build = randomRequest(numbers);
      const { said, coding } = build(secrets.map(({ placeholder }) => placeholder.text));
      const real = build(secrets.map(({ value }) => value.reveal()));
      const sent = inPieces(said, numbers);

      const direct = await pass(version, () => PASS, { ...real.said, stated: sent.stated ?? true });
      const { heard, saw } = await pass(version, gateOf(secrets).gate, sent);
      expect(asText(version, heard, coding)).toEqual(asText(version, direct.heard, coding));
      expect(saw).toBe("200");

      const { host = API, ...breach } = pick(BREACHES);
      const session = { ...TRUSTED, ...breach };
      // The boundary does not ask the tripwire.
      const isBlind = below(3) === 0;
      const vault = vaultOf(secrets, isBlind ? { tripwire: new Tripwire([]) } : {});
      const all = gateOf(secrets, { session, vault });
      const elsewhere = await pass(version, all.gate, { ...sent, host });
      for (const { value, placeholder } of secrets) {
        for (const [form] of formsOf(value.reveal(), placeholder.text)) {
          expect(elsewhere.bytes).not.toContain(Buffer.from(form).toString("latin1"));
        }
      }
      expect(all.uses.filter(({ what }) => what === "sent")).toEqual([]);
      const carries = JSON.stringify(said) !== JSON.stringify(build(["nothing"]).said);
      const isStopped = carries && !isBlind && (host !== API || !session.isPinned(API));
      expect(elsewhere.saw).toBe(isStopped ? "reset" : "200");
      expect(all.violations.length).toBe(isStopped ? 1 : 0);
      if (isBlind) expect(elsewhere.heard?.body).toBe((sent.body ?? []).join(""));
    }
  },
  60_000,
);
