/**
 * What a tunnel begins with decides the same however it is cut, and what passes is what was said. Whatever a
 * flow of its own would be refused for, it is refused for in a tunnel.
 */
import { describe, expect, test } from "bun:test";
import { Buffer } from "node:buffer";
import fc from "fast-check";
import { firstBytes } from "../../lib/judge/first_bytes.ts";
import { judgeFirst } from "../../lib/judge/first_flight.ts";
import { snapshotOf } from "../../lib/judge/snapshot.ts";
import { tunnelReader } from "../../lib/judge/tunnel.ts";
import { allowAll } from "../../lib/policy/model/presets.ts";
import { parseRule } from "../../lib/policy/text/grammar.ts";
import { damaged } from "../support/mutate.ts";
import { cuts } from "../support/segments.ts";
import { inRecords, retryRequest, serverHello } from "../support/tls_answers.ts";
import file from "../vectors/first_flights.json" with { type: "json" };

const POLICY = { ...allowAll(), rules: ["deny@a.test", "deny@evil.test"].map(parseRule) };
const SNAPSHOT = snapshotOf(
  { policy: POLICY },
  { addresses: [], links: [] },
  { namesOf: () => [], has: () => false },
);
const INFO = {
  proto: "tcp",
  dir: "outbound",
  src: "10.213.0.2",
  sport: 40_000,
  dst: "93.184.216.35",
  dport: 3128,
} as const;

const CORPUS: readonly Uint8Array[] = [
  ...file.map(({ text, bytes }) =>
    text === undefined ? Buffer.from(bytes, "base64") : Buffer.from(text, "latin1")
  ),
  firstBytes({ kind: "tls", sni: "evil.test" }),
  firstBytes({ kind: "tls", sni: "good.test" }),
  firstBytes({ kind: "http", host: "good.test" }),
];

/** What becomes of all that is said, and what of it passed, to a server that answers a hello at last. */
function outcome(pieces: readonly Uint8Array[]): { kind: string; passed: string } {
  const reader = tunnelReader(() => SNAPSHOT, INFO, () => {});
  const out: Buffer[] = [];
  let kind = "held";
  for (const [at, piece] of [...pieces, null].entries()) {
    if (piece === null && !reader.heard(serverHello(), true)) break;
    const step = reader.push(Buffer.from(piece ?? []));
    kind = step.kind;
    if (step.kind === "refused") break;
    if (step.kind !== "held") out.push(step.bytes);
    if (step.kind === "requests") {
      out.push(...pieces.slice(at + 1).map((rest) => Buffer.from(rest)));
      break;
    }
  }
  if (kind === "held" && reader.end() === null) kind = "nothing";
  return { kind, passed: kind === "held" ? "" : Buffer.concat(out).toString("latin1") };
}

const inputs = fc.oneof(
  fc.nat(CORPUS.length - 1).map((at) => CORPUS[at] ?? new Uint8Array()),
  fc.integer().map((seed) => damaged(CORPUS, seed)),
);

test("the same bytes come to the same, however they are cut", () => {
  const kinds = new Set<string>();
  fc.assert(
    fc.property(
      inputs.chain((bytes) => fc.tuple(fc.constant(bytes), cuts(bytes))),
      ([bytes, pieces]) => {
        const whole = outcome(bytes.length === 0 ? [] : [bytes]);
        const cut = outcome(pieces);
        kinds.add(whole.kind);
        expect(cut.kind).toBe(whole.kind);
        if (whole.kind !== "refused") {
          expect(cut.passed).toBe(whole.passed);
          if (whole.kind !== "held") {
            expect(whole.passed).toBe(
              Buffer.from(bytes).toString("latin1"),
            );
          }
        }
      },
    ),
    { numRuns: 3_000 },
  );
  expect(kinds).toEqual(new Set(["bytes", "requests", "refused", "held", "nothing"]));
});

test("what a flow of its own is refused for is refused in a tunnel", () => {
  fc.assert(
    fc.property(inputs, (bytes) => {
      if (bytes.length === 0) return;
      const { ruling } = judgeFirst(SNAPSHOT, INFO, bytes, "complete");
      const { kind } = outcome([bytes]);
      // Requests are judged one by one by their relay, the first as well.
      if (ruling.action === "deny") expect(kind).toBeOneOf(["refused", "held", "requests"]);
      else if (kind !== "held") {
        expect(kind).toBe(ruling.serve === undefined ? "bytes" : "requests");
      }
    }),
    { numRuns: 3_000 },
  );
});

test("a hello and a head are held until their last byte", () => {
  const bytes = firstBytes({ kind: "tls", sni: "good.test" });
  const long = Buffer.concat([Buffer.from("GET / HTTP/1.1\r\nX: "), Buffer.alloc(30_000, "y")]);
  for (const said of [bytes, long]) {
    const reader = tunnelReader(() => SNAPSHOT, INFO, () => {});
    for (const byte of said.subarray(0, -1)) {
      expect(reader.push(Buffer.of(byte)).kind).toBe("held");
    }
  }
});

describe("behind a hello", () => {
  const hello = Buffer.from(firstBytes({ kind: "tls", sni: "good.test" }));
  const evil = Buffer.from(firstBytes({ kind: "tls", sni: "evil.test" }));
  const other = Buffer.from(firstBytes({ kind: "tls", sni: "other.test" }));
  const request = Buffer.from("GET / HTTP/1.1\r\nHost: evil.test\r\n\r\n");
  const [change, early] = [Buffer.of(20, 3, 3, 0, 1, 1), Buffer.of(23, 3, 3, 0, 3, 7, 7, 7)];
  const [warning, fatal] = [Buffer.of(21, 3, 3, 0, 2, 1, 112), Buffer.of(21, 3, 1, 0, 2, 2, 70)];
  const plain = Buffer.from("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
  const split = (one: Buffer) => inRecords(one.subarray(5), 7);
  const none = Buffer.alloc(0);

  /** What passed behind the hello, when it was said at once and when the server had answered. */
  function behind(answer: Buffer, at: Buffer, later: Buffer, size: number): Buffer | "refused" {
    const reader = tunnelReader(() => SNAPSHOT, INFO, () => {});
    const out: Buffer[] = [];
    const say = (bytes: Buffer) => {
      for (let from = 0; from === 0 || from < bytes.length; from += size) {
        const step = reader.push(bytes.subarray(from, from + size));
        if (step.kind === "refused") return false;
        if (step.kind === "bytes") out.push(Buffer.from(step.bytes));
      }
      return true;
    };
    if (!say(Buffer.concat([hello, at]))) return "refused";
    expect(Buffer.concat(out)).toEqual(hello);
    for (const byte of answer) {
      if (reader.heard(Buffer.of(byte), true) && !say(none)) return "refused";
    }
    return say(later) ? Buffer.concat(out).subarray(hello.length) : "refused";
  }

  test.each<[what: string, answer: Buffer, at: Buffer, later: Buffer, passes: boolean]>([
    ["anything passes to a server that took it", serverHello(), none, evil, true],
    ["what came at once waits for that", serverHello(), Buffer.concat([change, early]), none, true],
    ["a second one that it did not ask for is nobody's", serverHello(), evil, request, true],
    ["a second one of the same name passes", retryRequest(), none, hello, true],
    ["and behind what may come first", retryRequest(), early, Buffer.concat([change, hello]), true],
    ["and in records", retryRequest(3), none, Buffer.concat([split(hello), early]), true],
    ["one of a denied name does not", retryRequest(), none, evil, false],
    ["one of another name does not", retryRequest(), none, other, false],
    ["nor before it was asked for", retryRequest(), evil, none, false],
    ["nor in records", retryRequest(5), none, split(evil), false],
    ["nor behind a warning", Buffer.concat([warning, retryRequest()]), none, evil, false],
    ["nor behind what may come first", retryRequest(), change, Buffer.concat([early, evil]), false],
    ["nor what is none", retryRequest(), none, request, false],
    ["nothing passes to a server that speaks no TLS", plain, none, request, false],
    ["not even the same hello", plain, none, hello, false],
    ["nor what came at once", plain, request, none, false],
  ])("%s", (_, answer, at, later, passes) => {
    for (const size of [1, 4, 10_000]) {
      const want = passes ? Buffer.concat([at, later]) : "refused";
      expect(behind(answer, at, later, size)).toEqual(want);
    }
  });

  test("a client that gives up on its server is not told of", () => {
    for (const answer of [plain, retryRequest()]) {
      const reader = tunnelReader(() => SNAPSHOT, INFO, () => {});
      reader.push(hello);
      expect(reader.heard(answer, true)).toBe(false);
      expect(reader.push(fatal).kind).not.toBe("refused");
      expect(reader.end()).toBeNull();
    }
  });

  test("what waits for its server is bounded", () => {
    const reader = tunnelReader(() => SNAPSHOT, INFO, () => {});
    reader.push(hello);
    const kinds = Array.from({ length: 40 }, () => reader.push(Buffer.alloc(8192)).kind);
    expect([kinds.indexOf("refused"), kinds[0]]).toEqual([32, "bytes"]);
  });
});

test("what an answer states as its content is not the word of whoever hears the tunnel", () => {
  const reader = tunnelReader(() => SNAPSHOT, INFO, () => {});
  expect(reader.push(Buffer.from("GET /x\r\n")).kind).toBe("bytes");
  reader.heard(Buffer.from("content"), false);
  expect(reader.push(Buffer.from("Host: evil.test\r\n\r\n")).kind).toBe("refused");
});
