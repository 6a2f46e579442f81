/**
 * What a tunnel begins with decides the same however it is cut, and what passes is what was said. Whatever a
 * flow of its own would be refused for, it is refused for in a tunnel.
 */
import { expect, test } from "bun:test";
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

/** What becomes of all that is said, and what of it passed. */
function outcome(pieces: readonly Uint8Array[]): { kind: string; passed: string } {
  const reader = tunnelReader(() => SNAPSHOT, INFO, () => {});
  const out: Buffer[] = [];
  let kind = "held";
  for (const [at, piece] of pieces.entries()) {
    const step = reader.push(Buffer.from(piece));
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
