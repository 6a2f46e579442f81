/** Bodies, trailers and tunnels of a guest with placeholders, at its gate. */
import { describe, expect, test } from "bun:test";
import { Buffer } from "node:buffer";
import zlib from "node:zlib";
import { PLACES, type Secret } from "../../lib/policy/model/secret.ts";
import { converse, head } from "../http/conversation.ts";
import { settle } from "../http/h2_peer.ts";
import { API, held } from "../secret/held.ts";
import { gateOf, told, TRUSTED, vaultOf } from "./kept.ts";
import { type Heard, pass, type Said, VERSIONS } from "./passage.ts";

const VALUE = 'real"&<value>';
const keyWith = (changes: Partial<Secret> = {}) => held(VALUE, changes);
const inBodies = keyWith({ places: new Set(PLACES) });
const { text: HELD } = inBodies.placeholder;
const notThere = keyWith();
const { text: INERT } = notThere.placeholder;

const FOREIGN = { host: "evil.test" };
const toForeign = () =>
  gateOf([inBodies], { session: { ...TRUSTED, sni: "evil.test", isPinned: () => true } });

const json = (text: string) => JSON.stringify({ a: [text], b: "\u00e4" });
const as = (type: string, ...more: [string, string][]): [string, string][] => [
  ["content-type", type],
  ...more,
];
const latin1 = (bytes: Buffer) => bytes.toString("latin1");
const wire = (text: string) => latin1(Buffer.from(text));
const cuts = (text: string, every = 1) =>
  Array.from({ length: Math.ceil(text.length / every) }, (_, n) => n * every)
    .map((at): [string, string] => [text.slice(0, at), text.slice(at)]);

const CODINGS: readonly [string, (text: string) => Buffer, (bytes: Buffer) => Buffer][] = [
  ["gzip", zlib.gzipSync, zlib.gunzipSync],
  ["deflate", zlib.deflateSync, zlib.inflateSync],
  ["br", zlib.brotliCompressSync, zlib.brotliDecompressSync],
  ["zstd", zlib.zstdCompressSync, zlib.zstdDecompressSync],
];
const unzipped = (heard: Heard | null, decode: (bytes: Buffer) => Buffer) =>
  decode(Buffer.from(heard?.body ?? "", "latin1")).toString("latin1");

describe.each(VERSIONS)("in %s", (version) => {
  describe("a body for its own host", () => {
    const kinds: [what: string, type: string, written: (text: string) => string][] = [
      ["JSON", "application/json", json],
      ["a form", "application/x-www-form-urlencoded", (text) => `a=${encodeURIComponent(text)}&b=`],
      ["text", "text/plain; charset=utf-8", (text) => `a ${text} b`],
      [
        "parts",
        "multipart/form-data; boundary=x",
        (text) => `--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n${text}\r\n--x--\r\n`,
      ],
    ];

    test.each(kinds)(
      "of %s gets the value, with the length that it has then",
      async (_, type, written) => {
        const sent = wire(written(VALUE));
        for (const body of cuts(wire(written(HELD)), 7)) {
          const all = gateOf([inBodies]);
          const { heard, saw, exchanges } = await pass(version, all.gate, {
            fields: as(type),
            body,
          });
          expect([heard?.body, saw]).toEqual([sent, "200"]);
          // HTTP/2 needs none.
          expect(heard?.length).toBe(version === "HTTP/1" ? sent.length : null);
          expect(exchanges[0]?.up).toBe(body.join("").length);
          expect(told(all)).toEqual(["API_KEY sent body 1"]);
        }
      },
    );

    test.each(cuts(json(HELD), 5))(
      "of no stated length gets it too, cut at %j",
      async (before, after) => {
        const body = [before, after];
        const all = gateOf([inBodies]);
        const said: Said = { fields: as("application/json"), body: body.map(wire), stated: false };
        const { heard } = await pass(version, all.gate, said);
        expect([heard?.body, heard?.length]).toEqual([wire(json(VALUE)), null]);
      },
    );

    test("is left alone where the value does not go, and told of once", async () => {
      const all = gateOf([notThere]);
      const body = [json(INERT).slice(0, 30), json(INERT).slice(30), json(INERT)].map(wire);
      const { heard, saw } = await pass(version, all.gate, {
        fields: as("application/json"),
        body,
      });
      expect([heard?.body, heard?.length, saw]).toEqual([
        body.join(""),
        body.join("").length,
        "200",
      ]);
      expect(told(all)).toEqual(["API_KEY inert body 1"]);
    });

    test.each<[what: string, fields: [string, string][]]>([
      ["of no known kind", as("application/octet-stream")],
      ["of two kinds", [...as("application/json"), ...as("text/plain")]],
      ["that is a part of something", as("application/json", ["content-range", "bytes 0-9/99"])],
    ])("%s is left alone", async (_, fields) => {
      const all = gateOf([inBodies]);
      const { heard } = await pass(version, all.gate, { fields, body: [wire(json(HELD))] });
      expect([heard?.body, heard?.length]).toEqual([wire(json(HELD)), wire(json(HELD)).length]);
      expect(told(all)).toEqual(["API_KEY inert body 1"]);
    });

    test("loses what was said of its content, where that may be another", async () => {
      const digests: [string, string][] = [
        ["content-md5", "AA=="],
        ["digest", "md5=AA=="],
        ["content-digest", "sha-256=:AA==:"],
        ["repr-digest", "sha-256=:AA==:"],
      ];
      const fields = as("application/json", ...digests, ["x-a", "1"]);
      const trailers: [string, string][] = [["x-b", "1"], ["content-digest", "sha-256=:AA==:"]];
      const said = { fields, body: [wire(json(HELD))], trailers };
      const there = await pass(version, gateOf([inBodies]).gate, said);
      expect(there.heard?.fields).toEqual(as("application/json", ["x-a", "1"]));
      expect(there.heard?.trailers).toEqual([["x-b", "1"]]);
      const elsewhere = await pass(version, gateOf([notThere]).gate, said);
      expect(elsewhere.heard?.fields).toEqual(fields);
      expect(elsewhere.heard?.trailers).toEqual(trailers);
    });

    test("of a megabyte waits, and a longer one goes on as it comes", async () => {
      const piece = " ".repeat(1 << 16);
      for (const count of [15, 16]) {
        const body = [...Array<string>(count).fill(piece), wire(json(HELD))];
        const said = { fields: as("application/json"), body };
        const { heard } = await pass(version, gateOf([inBodies]).gate, said);
        const sent = piece.repeat(count) + wire(json(VALUE));
        // HTTP/2: as much as its windows allow.
        if (version === "HTTP/1") expect(heard?.body === sent).toBe(true);
        else expect(sent.startsWith(heard?.body ?? "?")).toBe(true);
        expect(heard?.length).toBe(version === "HTTP/1" && count === 15 ? sent.length : null);
      }
    });

    test("keeps its length where the value is as long as the placeholder", async () => {
      const same = held("x".repeat(HELD.length), { places: new Set(PLACES) });
      const all = gateOf([same]);
      const body = cuts(json(same.placeholder.text), 9)[3]?.map(wire) ?? [];
      const { heard } = await pass(version, all.gate, { fields: as("application/json"), body });
      const sent = wire(json("x".repeat(HELD.length)));
      expect([heard?.body, heard?.length]).toEqual([sent, sent.length]);
    });

    test("cannot be made to grow without end", async () => {
      const long = held("v".repeat(16_000), { places: new Set(PLACES) });
      const body = (count: number) => [wire(json(long.placeholder.text.repeat(count)))];
      for (const stated of [true, false]) {
        const less = await pass(version, gateOf([long]).gate, {
          fields: as("application/json"),
          body: body(20),
          stated,
        });
        expect(less.saw).toBe("200");
        const more = await pass(version, gateOf([long]).gate, {
          fields: as("application/json"),
          body: body(5_000),
          stated,
        });
        expect(more.saw).toBe("reset");
        expect(more.exchanges[0]?.refused?.reason).toBe("secret-unreadable");
        expect(more.bytes.length).toBeLessThan(3 << 20);
      }
    });
  });

  describe.each(CODINGS)("a body in %s", (coding, encode, decode) => {
    const fields = as("application/json", ["content-encoding", coding]);

    test("gets the value inside", async () => {
      const bytes = latin1(encode(json(HELD)));
      for (const body of cuts(bytes, 31)) {
        const all = gateOf([inBodies]);
        const { heard } = await pass(version, all.gate, { fields, body });
        expect(unzipped(heard, decode)).toBe(wire(json(VALUE)));
        expect(heard?.length).toBe(version === "HTTP/1" ? heard?.body.length ?? -1 : null);
        expect(told(all)).toEqual(["API_KEY sent body 1"]);
      }
    });

    test("goes on as it is where it may have none, and nowhere with a placeholder for elsewhere", async () => {
      const harmless = latin1(encode(json("x".repeat(9_999))));
      const body = [harmless.slice(0, 11), harmless.slice(11)];
      const passed = await pass(version, toForeign().gate, { ...FOREIGN, fields, body });
      expect([passed.heard?.body, passed.heard?.length]).toEqual([harmless, harmless.length]);

      const all = toForeign();
      const stopped = await pass(version, all.gate, {
        ...FOREIGN,
        fields,
        body: [latin1(encode(json(HELD)))],
      });
      expect([stopped.heard?.body ?? "", stopped.saw]).toEqual(["", "reset"]);
      expect(all.violations).toMatchObject([{ route: "request", to: "evil.test" }]);
    });

    test("is cut off where it is none", async () => {
      const hosts = [[gateOf([inBodies]), API], [toForeign(), FOREIGN.host]] as const;
      for (const [{ gate }, host] of hosts) {
        const { saw, exchanges } = await pass(version, gate, { host, fields, body: ["no such"] });
        expect([saw, exchanges[0]?.refused?.reason]).toEqual(["reset", "secret-unreadable"]);
      }
    });
  });

  test("a body in an unknown coding passes where no value could be meant, and only there", async () => {
    const fields = as("application/json", ["content-encoding", "amz-1.0"]);
    const body = [wire(json("x"))];
    const there = await pass(version, gateOf([inBodies]).gate, { fields, body });
    expect([there.heard, there.saw]).toEqual([null, "502 secret-unreadable"]);
    const elsewhere = await pass(version, gateOf([notThere]).gate, { fields, body });
    expect([elsewhere.heard?.body, elsewhere.saw]).toEqual([body.join(""), "200"]);
    const foreign = await pass(version, toForeign().gate, { ...FOREIGN, fields, body });
    expect([foreign.heard?.body, foreign.saw]).toEqual([body.join(""), "200"]);
  });

  describe("a placeholder for another host", () => {
    const plain = json(HELD);

    test.each(cuts(plain, 3))(
      "is never whole on the wire, in a body that is cut at %j",
      async (before, after) => {
        const body = [before, after];
        for (const stated of [true, false]) {
          const all = toForeign();
          const said = { ...FOREIGN, fields: as("application/json"), body, stated };
          const { bytes, saw, exchanges } = await pass(version, all.gate, said);
          expect([bytes.includes(HELD), saw]).toEqual([false, "reset"]);
          expect(exchanges[0]?.refused).toEqual({ reason: "secret-violation", detail: "API_KEY" });
          expect(all.violations).toHaveLength(1);
        }
      },
    );

    test("goes nowhere in trailers, and its own host gets no value there", async () => {
      const trailers: [string, string][] = [["x-sum", HELD]];
      const foreign = toForeign();
      const stopped = await pass(version, foreign.gate, { ...FOREIGN, body: ["a"], trailers });
      expect([stopped.bytes.includes(HELD), stopped.saw]).toEqual([false, "reset"]);
      expect(foreign.violations).toHaveLength(1);
      const own = gateOf([inBodies]);
      const { heard } = await pass(version, own.gate, { body: ["a"], trailers });
      expect(heard?.trailers).toEqual(trailers);
      expect(told(own)).toEqual(["API_KEY inert elsewhere 1"]);
    });
  });

  test("what was put into a body that is cut short is told of", async () => {
    const all = gateOf([inBodies]);
    const said = {
      fields: as("application/json"),
      body: [json(HELD), `${HELD.slice(0, 9)}`],
      stated: false,
    };
    const spoilt = gateOf([inBodies, keyWith({ name: "OTHER", hosts: ["other.test"] })]);
    const other = spoilt.kept[1]?.placeholder.text ?? "";
    await pass(version, all.gate, said);
    await pass(version, spoilt.gate, { ...said, body: [json(HELD), other] });
    expect(told(all)).toEqual(["API_KEY sent body 1"]);
    expect(told(spoilt)).toEqual(["API_KEY sent body 1"]);
    expect(spoilt.violations).toMatchObject([{ sightings: [{ name: "OTHER" }], to: API }]);
  });
});

test("a guest that leaves while a value is asked for sends none", async () => {
  const asked = Promise.withResolvers<[typeof inBodies]>();
  const vault = vaultOf([inBodies], { heldFor: () => asked.promise });
  const all = gateOf([inBodies], { vault });
  const { guest, server } = converse({ gate: all.gate });
  guest.say(head("GET / HTTP/1.1", `Host: ${API}`, `Authorization: Bearer ${HELD}`));
  await settle();
  guest.stream.destroy();
  await settle();
  asked.resolve([inBodies]);
  await settle();
  expect(await server.over()).toBe("");
});
