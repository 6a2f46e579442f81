import { Buffer } from "node:buffer";
import { expect, test } from "bun:test";
import dnsPacket, { type Answer, type Packet } from "dns-packet";
import { AnswerCache, lifetime } from "../../lib/dns/cache.ts";
import { parseMessage } from "../../lib/dns/wire/decode.ts";
import type { Message } from "../../lib/dns/wire/message.ts";
import { ManualClock } from "../support/manual_clock.ts";
import { a, cname } from "./fixture.ts";

function soa(ttl: number, minimum: number): Answer {
  const times = { serial: 1, refresh: 1, retry: 1, expire: 1, minimum };
  return { type: "SOA", name: "test", ttl, data: { mname: "ns.test", rname: "x.test", ...times } };
}

function message(rcode: number, answers: Answer[], authorities: Answer[] = []): Message {
  const questions = [{ type: "A" as const, name: "api.allowed.test" }];
  const packet: Packet = {
    type: "response",
    flags: 0x180 | rcode,
    questions,
    answers,
    authorities,
  };
  return parseMessage(Buffer.from(dnsPacket.encode(packet)));
}

test.each<[string, Message, number]>([
  [
    "the lowest TTL of the answer",
    message(0, [a("x.test", "1.2.3.4", 60), a("x.test", "1.2.3.5", 5)]),
    5,
  ],
  [
    "the lowest TTL of the aliases too",
    message(0, [cname("x.test", "y.test", 7), a("y.test", "1.2.3.4", 60)]),
    7,
  ],
  ["an hour at most", message(0, [a("x.test", "1.2.3.4", 86_400)]), 3600],
  ["not at all with a TTL of 0", message(0, [a("x.test", "1.2.3.4", 0)]), 0],
  [
    "not at all with a TTL that is negative to some",
    message(0, [a("x.test", "1.2.3.4", 0x8000_0001)]),
    0,
  ],
  ["as the SOA record's minimum says, for no such name", message(3, [], [soa(600, 30)]), 30],
  ["as the SOA record's TTL says, where that is less", message(3, [], [soa(20, 30)]), 20],
  ["five minutes at most, for no such name", message(3, [], [soa(9999, 9999)]), 300],
  ["as the SOA record says, for no such type", message(0, [], [soa(600, 40)]), 40],
  [
    "as the SOA record says, for an alias that leads nowhere",
    message(3, [cname("x.test", "y.test", 9)], [soa(600, 40)]),
    9,
  ],
  ["not at all, for nothing without an SOA record", message(0, []), 0],
  ["not at all, for a failure", message(2, [], [soa(600, 30)]), 0],
  ["not at all, for a refusal", message(5, [], [soa(600, 30)]), 0],
])("an answer is kept %s", (_, answer, seconds) => {
  expect(lifetime(answer)).toBe(seconds);
});

test("TTLs count down, and at their end the answer is gone", async () => {
  const clock = new ManualClock();
  const cache = new AnswerCache(clock.now);
  cache.put("key", message(0, [a("x.test", "1.2.3.4", 60)]));
  const ttl = () => cache.get("key")?.answers[0]?.ttl;
  expect(ttl()).toBe(60);
  await clock.pass(59_999);
  expect(ttl()).toBe(1);
  await clock.pass(1);
  expect(ttl()).toBeUndefined();
});

test("memory is bounded: the answers used least lately go first", () => {
  const cache = new AnswerCache(() => 0, 10_000);
  const answer = message(0, [a("x.test", "1.2.3.4", 60)]);
  for (let n = 0; n < 10_000; n++) {
    cache.put(`n${n}`, answer);
    cache.get("n0");
  }
  const kept = Array.from({ length: 10_000 }, (_, n) => n).filter((n) =>
    cache.get(`n${n}`) !== null
  );
  expect(kept.length).toBeLessThan(30);
  expect([kept[0], kept.at(-1)]).toEqual([0, 9_999]);
});

test("long names weigh as much as they take", () => {
  const cache = new AnswerCache(() => 0, 100_000);
  const name = [63, 63, 63, 60].map((size) => "x".repeat(size)).join(".");
  const answer = message(0, [a(name, "1.2.3.4", 60)]);
  for (let n = 0; n < 1_000; n++) cache.put(`n${n}`, answer);
  const kept = Array.from({ length: 1_000 }, (_, n) => cache.get(`n${n}`)).filter(Boolean);
  expect(kept.length).toBeWithin(30, 65);
});
