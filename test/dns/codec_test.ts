/**
 * The codec against another one (dns-packet), over what real clients and a real server sent, whole and
 * damaged.
 */
import { Buffer } from "node:buffer";
import { describe, expect, test } from "bun:test";
import dnsPacket from "dns-packet";
import { judgeAnswer } from "../../lib/dns/filter.ts";
import { KnownNames } from "../../lib/dns/known_names.ts";
import { readQuery } from "../../lib/dns/query.ts";
import { type Answerable, replyTo } from "../../lib/dns/reply.ts";
import { answerTo } from "../../lib/dns/upstream.ts";
import { parseMessage } from "../../lib/dns/wire/decode.ts";
import { encodeMessage } from "../../lib/dns/wire/encode.ts";
import { MalformedDns } from "../../lib/dns/wire/wire_name.ts";
import { compilePolicy } from "../../lib/policy/decide/compile.ts";
import { mutate } from "../support/mutate.ts";
import vectors from "../vectors/dns_messages.json" with { type: "json" };
import { policyOf, setOf } from "./fixture.ts";

const captures = vectors.map(({ from, kind, bytes }) => ({
  what: `${kind} of ${from}`,
  kind,
  bytes: Uint8Array.from(Buffer.from(bytes, "base64")),
}));
const queries = captures.filter(({ kind }) => kind === "query");
const answers = captures.filter(({ kind }) => kind === "answer");

/** As the other codec reads it. Its options' raw bytes keep the packet alive; plain data compares. */
function otherReading(bytes: Uint8Array): unknown {
  return JSON.parse(JSON.stringify(dnsPacket.decode(Buffer.from(bytes))));
}

describe("a message", () => {
  test.each(captures)("is read and written so that it still says the same: $what", ({ bytes }) => {
    const written = encodeMessage(parseMessage(bytes, true));
    expect(otherReading(written)).toEqual(otherReading(bytes));
    expect(parseMessage(written)).toEqual(parseMessage(bytes));
  });

  test("cut anywhere is no message", () => {
    for (const { bytes } of captures) {
      for (let end = 0; end < bytes.length; end++) {
        expect(() => parseMessage(bytes.subarray(0, end))).toThrow(MalformedDns);
      }
    }
  });

  test("keeps to a limit, and says with TC that it had to", () => {
    for (const { bytes } of answers) {
      const message = parseMessage(bytes);
      for (const limit of [512, 700, 1232, 65_535]) {
        const written = encodeMessage(message, limit);
        expect(written.length).toBeLessThanOrEqual(limit);
        const read = parseMessage(written);
        const isWhole = read.answers.length === message.answers.length &&
          read.authorities.length === message.authorities.length &&
          read.additionals.length === message.additionals.length;
        const wasCut = (message.flags & 0x0200) !== 0;
        expect((read.flags & 0x0200) !== 0).toBe(wasCut || !isWhole);
        expect(read.edns?.size).toBe(message.edns?.size);
      }
    }
  });
});

/** Every switch that makes the filter look closer. */
const snapshot = {
  compiled: compilePolicy(policyOf("allow", "allow@10.0.0.0/8", "deny@.blocked.test")),
  blocked: setOf(".ads.test"),
  doh: null,
  rebindProtection: true,
  hosts: new Set(["192.168.127.1"]),
  known: new KnownNames(),
  tls: { ports: new Set([443]), hosts: setOf() },
} as const;

describe("damaged messages", () => {
  test("100,000 of them: a message or the declared error, and what was read can be written", () => {
    let read = 0;
    mutate(captures.map(({ bytes }) => bytes), 100_000, (sample) => {
      let message;
      try {
        message = parseMessage(sample);
      } catch (error) {
        expect(error).toBeInstanceOf(MalformedDns);
        return;
      }
      read++;
      const written = encodeMessage(message);
      if ((parseMessage(written).flags & 0x0200) === 0) {
        expect(parseMessage(written)).toEqual(message);
      }
    });
    expect(read).toBeGreaterThan(10_000);
  });

  test("30,000 queries: each is ignored, answered at once, or a question that can be answered", () => {
    const kinds = new Set<string>();
    mutate(queries.map(({ bytes }) => bytes), 30_000, (sample) => {
      const reading = readQuery(sample);
      kinds.add(reading.kind);
      if (reading.kind === "ignore") return;
      const reply = reading.kind === "reply" ? reading.bytes : refusal(reading.query);
      expect(reply.length).toBeLessThanOrEqual(512);
      // The same id, and an answer.
      expect([reply[0], reply[1], (reply[2] ?? 0) >> 7]).toEqual([sample[0], sample[1], 1]);
    });
    expect(kinds).toEqual(new Set(["ignore", "reply", "query"]));
  });

  test("30,000 answers: no answer, or one that is judged without a fault", () => {
    const kinds = new Set<string>();
    for (const { bytes } of answers) {
      const { id, questions: [question] } = parseMessage(bytes);
      if (question === undefined) throw new Error("a capture without a question");
      mutate([bytes], Math.ceil(30_000 / answers.length), (sample) => {
        const message = answerTo(sample, id, question);
        kinds.add(
          message === null ? "stranger" : judgeAnswer(snapshot, question, message, "udp").kind,
        );
      });
    }
    expect(kinds).toEqual(new Set(["stranger", "answer", "refuse"]));
  });
});

function refusal(query: Answerable): Uint8Array {
  return replyTo(query, { rcode: 3, error: { code: 15, text: "blocked-name" } }, "udp");
}
