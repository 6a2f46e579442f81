/**
 * Questions over TCP in other pieces: the same bytes have the same answers, however they were cut.
 */
import { Buffer } from "node:buffer";
import { Duplex } from "node:stream";
import { setImmediate } from "node:timers/promises";
import { expect, test } from "bun:test";
import fc from "fast-check";
import { TcpSessions } from "../../lib/dns/tcp_sessions.ts";
import { frameTcp, TcpDeframer } from "../../lib/dns/wire/tcp_framing.ts";
import { ManualClock } from "../support/manual_clock.ts";
import { cuts, readAll } from "../support/segments.ts";
import { a, openLab, policyOf, queryFor } from "./fixture.ts";

/** What a guest might send: questions, answers, and what is neither, one after another. */
const part = fc.oneof(
  fc.constantFrom("one.test", "ONE.test", "no.test", "bad.test").chain((name) =>
    fc.constantFrom("A", "MX", "AXFR").map((type) => frameTcp(queryFor(name, type)))
  ),
  fc.constant(frameTcp(queryFor("one.test", "A", { type: "response" }))),
  fc.uint8Array({ minLength: 1, maxLength: 40 }).map(frameTcp),
  fc.constant(Uint8Array.of(0, 0)),
  fc.uint8Array({ maxLength: 6 }),
);

const streams = fc.array(part, { maxLength: 8 }).map((parts) =>
  new Uint8Array(Buffer.concat(parts))
)
  .chain((bytes) => cuts(bytes).map((pieces) => ({ bytes, pieces })));

test("a stream is the same messages and the same error in any pieces", () => {
  fc.assert(
    fc.property(streams, ({ bytes, pieces }) => {
      const read = (pieces: readonly Uint8Array[]) => {
        const deframer = new TcpDeframer();
        const outcome = readAll(
          (piece) => deframer.push(piece),
          pieces,
          (message) => message.slice(),
        );
        return {
          ...outcome,
          read: outcome.read.map((message) => Buffer.from(message).toString("hex")),
        };
      };
      expect(read(pieces)).toEqual(read(bytes.length === 0 ? [] : [bytes]));
    }),
    { numRuns: 2_000 },
  );
});

/** The guest's end; ids of answers and whether it was closed. */
class GuestEnd extends Duplex {
  readonly got: Buffer[] = [];

  override _read(): void {}

  override _write(bytes: Buffer, _: string, done: () => void): void {
    this.got.push(Buffer.from(bytes));
    done();
  }
}

test("and its questions have the same answers, up to what is none", async () => {
  await using lab = await openLab(policyOf("allow", "deny@bad.test"), [
    a("one.test", "93.184.216.34"),
  ]);
  for (const name of ["one.test", "no.test"]) {
    for (const type of ["A", "MX"]) await lab.ask(name, type);
  }
  const answers = async (pieces: readonly Uint8Array[]) => {
    const guest = new GuestEnd();
    const sessions = new TcpSessions(new ManualClock());
    sessions.serve(guest, (query) => lab.send(query, "tcp"));
    for (const piece of pieces) {
      guest.push(piece);
      for (let turn = 0; turn < 4; turn++) await setImmediate();
    }
    guest.push(null);
    for (let turn = 0; turn < 10; turn++) await setImmediate();
    // Answers may come in another order; TTLs may have gone down.
    const heads = guest.got.map((answer) => answer.subarray(0, 40).toString("hex")).sort();
    return { heads, ended: guest.writableEnded };
  };
  await fc.assert(
    fc.asyncProperty(streams, async ({ bytes, pieces }) => {
      expect(await answers(pieces)).toEqual(await answers(bytes.length === 0 ? [] : [bytes]));
    }),
    { numRuns: 200 },
  );
}, 120_000);
