/** Our HPACK and what our relay sends on, read by Go's: nothing may mean one thing here and another there. */
import { describe, expect, test } from "bun:test";
import { Buffer } from "node:buffer";
import { HTTP_LIMITS } from "../../lib/http/exchange.ts";
import { HpackDecoder } from "../../lib/http/hpack/decoder.ts";
import { HpackEncoder } from "../../lib/http/hpack/encoder.ts";
import { MalformedHttp } from "../../lib/http/malformed.ts";
import { mutate } from "../support/mutate.ts";
import { ask, type OracleField } from "../support/oracle.ts";
import { type Random, random } from "../support/random.ts";
import { converse, head } from "./conversation.ts";

const NAMES = [
  ...[":path", ":authority", "accept", "authorization", "cookie", "set-cookie", "user-agent"],
  ...["x-a", "x-b", "x-c", "a-very-long-name-of-a-field-that-is-not-in-any-table", "via"],
];

/** Some again and again, some never twice, some larger than the whole table. */
function fields({ below, pick }: Random): OracleField[] {
  return Array.from({ length: 1 + below(12) }, () => ({
    name: pick(NAMES),
    value: pick([
      "",
      `v${below(6)}`,
      "\x7f~!\t\u0020".repeat(below(9)),
      String(below(1 << 30)),
      "y".repeat(below(below(40) === 0 ? 5_000 : 200)),
    ]),
    sensitive: below(8) === 0,
  }));
}

const plain = (list: readonly { readonly name: string; readonly value: string }[]) =>
  list.map(({ name, value }) => `${name}: ${value}`);

describe("HPACK over 3,000 blocks of one connection", () => {
  const rng = random(11);
  const lists = Array.from({ length: 3_000 }, () => fields(rng));
  const tables = lists.map((_, index) =>
    index % 41 === 7 ? rng.pick([0, 64, 700, 4096]) : undefined
  );
  const limits = { ...HTTP_LIMITS, headBytes: 1 << 20 };

  test("is read here as another encoder meant it", () => {
    const answers = ask(lists.map((encode, index) => {
      const table = tables[index];
      return { encode, ...(table === undefined ? {} : { table }) };
    }));
    const decoder = new HpackDecoder(limits, 4096);
    answers.forEach(({ block }, index) => {
      const read = decoder.decode(block);
      expect(plain(read ?? [])).toEqual(plain(lists[index] ?? []));
      const secret = lists[index]?.map(({ sensitive }) => sensitive);
      expect(read?.map(({ sensitive }) => sensitive === true)).toEqual(secret ?? []);
    });
  });

  test("is read by another decoder as it was meant here", () => {
    const encoder = new HpackEncoder();
    const answers = ask(lists.map((list, index) => {
      const table = tables[index];
      if (table !== undefined) encoder.setLimit(table);
      const block = encoder.encode(list.map(({ name, value, sensitive }) => {
        return { name, key: name, value, ...(sensitive ? { sensitive } : {}) };
      }));
      return { decode: block.toString("base64") };
    }));
    answers.forEach(({ fields: read, error }, index) => {
      expect(error).toBe("");
      expect(plain(read ?? [])).toEqual(plain(lists[index] ?? []));
    });
  });

  test(
    "is refused here where another decoder refuses it, and read alike where neither does",
    () => {
      const encoder = new HpackEncoder();
      const corpus = lists.slice(0, 40).map((list) =>
        new Uint8Array(encoder.encode(list.map(({ name, value }) => ({ name, key: name, value }))))
      );
      const samples: Uint8Array[] = [];
      mutate(corpus, 3_000, (sample) => {
        if (sample.length > 0) samples.push(sample);
      });
      // Each on a connection of its own: the first that is refused would end it.
      const answers = ask(samples.map((sample) => {
        return { decode: Buffer.from(sample).toString("base64"), fresh: true };
      }));
      let alike = 0;
      samples.forEach((sample, index) => {
        let here: string[] | null = null;
        try {
          here = plain(new HpackDecoder(limits, 4096).decode(Buffer.from(sample)) ?? []);
        } catch (error) {
          if (!(error instanceof MalformedHttp)) throw error;
        }
        if (here === null) return; // which may be stricter
        const there = answers[index];
        expect([there?.error, here]).toEqual(["", plain(there?.fields ?? [])]);
        alike++;
      });
      expect(alike).toBeGreaterThan(200);
    },
    120_000,
  );
});

const HOST = "Host: api.allowed.test";
const REQUESTS = [
  head("GET /1?a=b HTTP/1.1", HOST, "Accept: */*"),
  "\r\n" + head("POST /2 HTTP/1.1", "Host: API.allowed.TEST", "Content-Length: 0011") +
  "hello\r\nyou!",
  head("POST /3 HTTP/1.1", HOST, "Transfer-Encoding: chunked") +
  "4\r\nabcd\r\n10;x=y\r\n0123456789abcdef\r\n0\r\nX-Sum: 1\r\n\r\n",
  head("OPTIONS * HTTP/1.1", HOST, "Connection: keep-alive, X-A", "X-A: 1"),
  head("PUT /5 HTTP/1.1", HOST, "Content-Length: 4") + "GET ",
];

test(
  "what 1,500 damaged connections sent on is read by another server as it was judged",
  async () => {
    const samples: Uint8Array[] = [Buffer.from(REQUESTS.join(""), "latin1")];
    const corpus = REQUESTS.map((_, index) =>
      Buffer.from(REQUESTS.slice(index).join(""), "latin1")
    );
    mutate(corpus, 1_500, (sample) => samples.push(sample));
    const sent: { judged: string[]; heard: string }[] = [];
    for (const sample of samples) {
      const { guest, server, judged, closed } = converse();
      let answered = 0;
      const answer = () => {
        for (; answered < judged.length; answered++) {
          server.say(head("HTTP/1.1 200 OK", "Content-Length: 0"));
        }
      };
      server.stream.on("data", answer);
      guest.say(sample);
      guest.stream.end();
      await Promise.race([guest.over(), closed]);
      guest.stream.destroy();
      await closed;
      sent.push({
        judged: judged.map(({ method, host, path }) => `${method} ${host} ${path}`),
        heard: server.heard,
      });
    }
    const answers = ask(sent.map(({ heard }) => ({
      requests: Buffer.from(heard, "latin1").toString("base64"),
    })));
    let whole = 0;
    answers.forEach(({ requests }, index) => {
      const read = requests.map(({ method, host, target }) =>
        `${method} ${host.toLowerCase().replace(":443", "")} ${target.split("?")[0]}`
      );
      const judged = sent[index]?.judged ?? [];
      expect(read).toEqual(judged.slice(0, read.length));
      // The last one may have been taken back before its head was sent on.
      expect(judged.length - read.length).toBeLessThanOrEqual(1);
      whole += read.length;
    });
    expect(whole).toBeGreaterThan(500);
  },
  120_000,
);
