/**
 * Both sides of a stream wait for each other's next word, and each word ends like the beginning of a value or
 * of a placeholder. Neither waits for ever, whatever the stream is.
 */
import { describe, expect, test } from "bun:test";
import { Buffer } from "node:buffer";
import type { Duplex } from "node:stream";
import zlib from "node:zlib";
import type { RelaySpec } from "../../lib/http/relay.ts";
import { converse, head } from "../http/conversation.ts";
import { converse as converse2, POST } from "../http/h2_conversation.ts";
import { settle } from "../http/h2_peer.ts";
import { ManualClock } from "../support/manual_clock.ts";
import { API, held } from "../secret/held.ts";
import { gateOf } from "./kept.ts";
import { VERSIONS } from "./passage.ts";

const VALUE = "value-of-this-key-and-no-other";

/** One word to the other side, and what has come so far of all words from there. */
interface Talk {
  readonly clock: ManualClock;
  readonly placeholder: string;
  readonly fromGuest: (text: string) => Promise<void>;
  readonly fromServer: (bytes: Uint8Array | string) => Promise<void>;
  readonly atServer: () => string;
  readonly atGuest: () => Buffer;
}

const TYPES: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  "plain text": { "content-type": "text/plain" },
  "lines of JSON": { "content-type": "application/x-ndjson" },
  "events": { "content-type": "text/event-stream" },
  "JSON": { "content-type": "application/json" },
  "bytes": { "content-type": "application/octet-stream" },
  "parts": { "content-type": "multipart/x-mixed-replace; boundary=b" },
  "gRPC in base64": { "content-type": "application/grpc-web-text" },
  "no type": {},
};

function spec() {
  const clock = new ManualClock();
  const secret = held(VALUE, { places: new Set(["header", "body"]) });
  const { gate } = gateOf([secret]);
  const place: Partial<RelaySpec> = { clock, gate };
  return { clock, place, placeholder: secret.placeholder.text };
}

async function talk1(
  fields: Readonly<Record<string, string>>,
): Promise<Talk & { readonly guest: Duplex }> {
  const { clock, place, placeholder } = spec();
  const { guest, server } = converse(place);
  const lines = Object.entries(fields).map(([name, value]) => `${name}: ${value}`);
  const chunked = "transfer-encoding: chunked";
  guest.say(head("POST / HTTP/1.1", `host: ${API}`, "content-type: text/plain", chunked));
  await settle();
  server.say(head("HTTP/1.1 200 OK", chunked, ...lines));
  await settle();
  const [asked, answered] = [server.heard.length, guest.heard.length];
  const chunk = (bytes: Uint8Array | string) =>
    Buffer.concat([
      Buffer.from(`${bytes.length.toString(16)}\r\n`),
      Buffer.from(bytes as string),
      Buffer.from("\r\n"),
    ]);
  return {
    guest: guest.stream,
    clock,
    placeholder,
    fromGuest: async (text) => {
      guest.say(chunk(text));
      await settle();
    },
    fromServer: async (bytes) => {
      server.say(chunk(bytes));
      await settle();
    },
    atServer: () => contentOf(server.heard.slice(asked)).toString(),
    atGuest: () => contentOf(guest.heard.slice(answered)),
  };
}

/** Of whole chunks, one character a byte. */
function contentOf(text: string): Buffer {
  const all: Buffer[] = [];
  for (let at = 0; at < text.length;) {
    const end = text.indexOf("\r\n", at);
    const length = parseInt(text.slice(at, end), 16);
    all.push(Buffer.from(text.slice(end + 2, end + 2 + length), "latin1"));
    at = end + 2 + length + 2;
  }
  return Buffer.concat(all);
}

async function talk2(fields: Readonly<Record<string, string>>): Promise<Talk> {
  const { clock, place, placeholder } = spec();
  const { guest, server } = await converse2(place);
  guest.headers(1, { ...POST, "content-type": "text/plain" }, false);
  await server.hears("headers");
  server.headers(1, { ":status": "200", ...fields }, false);
  await guest.hears("headers");
  const content = (peer: typeof guest) =>
    peer.on(1).map((one) => one.type === "data" ? one.text : "").join("");
  return {
    clock,
    placeholder,
    fromGuest: async (text) => {
      guest.data(1, text);
      await settle();
    },
    fromServer: async (bytes) => {
      server.data(1, Buffer.from(bytes as string));
      await settle();
    },
    atServer: () => content(server),
    atGuest: () => Buffer.from(content(guest), "latin1"),
  };
}

describe.each(VERSIONS)("over %s", (version) => {
  const talk = version === "HTTP/1" ? talk1 : talk2;

  test.each(Object.entries(TYPES))("a stream of %s goes on", async (_what, fields) => {
    const { clock, fromGuest, fromServer, atServer, atGuest, placeholder } = await talk(fields);
    await fromServer("what is the v");
    expect(atGuest().toString()).toBe("what is the ");
    await clock.pass(1_001);
    await settle();
    expect(atGuest().toString()).toBe("what is the v");
    await fromGuest("the one of yours");
    expect(atServer()).toBe("the one of your");
    await clock.pass(1_001);
    await settle();
    expect(atServer()).toBe("the one of yours");
    // And what comes next is what it is.
    await fromServer(`. ${VALUE}.`);
    expect(atGuest().toString()).not.toContain(VALUE);
    await fromGuest(`: ${placeholder}.`);
    expect(atServer()).toBe(`the one of yours: ${VALUE}.`);
  });

  test("a value that its server stops in the middle of is never there as a whole", async () => {
    for (let cut = 1; cut < VALUE.length; cut++) {
      const { clock, fromServer, atGuest } = await talk({ "content-type": "text/plain" });
      await fromServer(VALUE.slice(0, cut));
      await clock.pass(60_000);
      await settle();
      expect(atGuest().length).toBeLessThanOrEqual(VALUE.length / 2);
      await fromServer(`${VALUE.slice(cut)} `);
      expect(atGuest().toString()).not.toContain(VALUE.slice(VALUE.length / 2));
    }
  });

  test("a request that nobody has answered yet waits for the whole of its placeholder", async () => {
    const { clock, place, placeholder } = spec();
    if (version === "HTTP/1") {
      const { guest, server } = converse(place);
      const chunked = "transfer-encoding: chunked";
      guest.say(head("POST / HTTP/1.1", `host: ${API}`, "content-type: text/plain", chunked));
      guest.say(`3\r\n${placeholder.slice(0, 3)}\r\n`);
      await settle();
      await clock.pass(60_000);
      const rest = placeholder.slice(3);
      guest.say(`${rest.length.toString(16)}\r\n${rest}\r\n0\r\n\r\n`);
      await settle();
      expect(server.heard).toContain(VALUE);
    } else {
      const { guest, server } = await converse2(place);
      guest.headers(1, { ...POST, "content-type": "text/plain" }, false);
      guest.data(1, placeholder.slice(0, 3));
      await settle();
      await clock.pass(60_000);
      guest.data(1, placeholder.slice(3), true);
      await settle();
      expect(server.on(1).map((one) => one.type === "data" ? one.text : "").join("")).toBe(VALUE);
    }
  });
});

test("a stream in a content coding goes on", async () => {
  const { clock, fromServer, atGuest } = await talk1({
    "content-type": "text/plain",
    "content-encoding": "gzip",
  });
  const gzip = zlib.createGzip();
  const coded: Buffer[] = [];
  gzip.on("data", (piece: Buffer) => coded.push(piece));
  gzip.write("what is the v");
  await new Promise<void>((resolve) => gzip.flush(() => resolve()));
  await fromServer(Buffer.concat(coded));
  await clock.pass(1_001);
  await settle();
  const plain = zlib.gunzipSync(atGuest(), { finishFlush: zlib.constants.Z_SYNC_FLUSH });
  expect(plain.toString()).toBe("what is the v");
});

test("a guest that does not read makes no lull of it", async () => {
  const { clock, fromServer, atGuest, guest } = await talk1({ "content-type": "text/plain" });
  const long = " ".repeat(300_000);
  guest.pause();
  await fromServer(`${long}what is the v`);
  await clock.pass(60_000);
  guest.resume();
  for (let turn = 0; turn < 20; turn++) await settle();
  expect(atGuest().toString()).toBe(`${long}what is the `);
  await clock.pass(1_001);
  await settle();
  expect(atGuest().toString()).toBe(`${long}what is the v`);
});
