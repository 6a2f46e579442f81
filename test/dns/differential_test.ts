/**
 * The codec against Go's, over random and damaged messages: what both take for a message reads the same.
 */
import { spawnSync } from "node:child_process";
import { Buffer } from "node:buffer";
import { expect, test } from "bun:test";
import dnsPacket, { type Answer } from "dns-packet";
import { Cursor } from "../../lib/base/cursor.ts";
import { Type } from "../../lib/dns/wire/codes.ts";
import { parseMessage } from "../../lib/dns/wire/decode.ts";
import { type Message, opcodeOf, rcodeOf, type Resource } from "../../lib/dns/wire/message.ts";
import { frameTcp } from "../../lib/dns/wire/tcp_framing.ts";
import { MalformedDns, readName, type WireName } from "../../lib/dns/wire/wire_name.ts";
import { buildGo } from "../support/build.ts";
import { mutate } from "../support/mutate.ts";
import { type Random, random } from "../support/random.ts";
import vectors from "../vectors/dns_messages.json" with { type: "json" };

const NAMES = ["a.test", "A.Test", "b.a.test", "x.b.a.test", "test", "_sip._tcp.a.test", "."];

function record({ below, pick }: Random): Answer {
  const name = pick(NAMES);
  const ttl = pick([0, 1, 60, 0x7fffffff, 0x80000000, 0xffffffff]);
  const target = pick(NAMES);
  const numbers = { serial: below(2 ** 31), refresh: 1, retry: 2, expire: 3, minimum: below(9) };
  return pick<Answer>([
    { type: "A", name, ttl, data: `93.184.${below(256)}.${below(256)}` },
    { type: "AAAA", name, ttl, data: `2606:2800::${below(9999)}` },
    { type: "CNAME", name, ttl, data: target },
    { type: "NS", name, ttl, data: target },
    { type: "PTR", name, ttl, data: target },
    { type: "MX", name, ttl, data: { preference: below(99), exchange: target } },
    { type: "SRV", name, ttl, data: { priority: 1, weight: below(9), port: below(9), target } },
    { type: "SOA", name, ttl, data: { mname: target, rname: pick(NAMES), ...numbers } },
    { type: "TXT", name, ttl, data: "text" },
  ]);
}

function randomMessages(count: number): Uint8Array[] {
  const dice = random(7);
  const records = () => Array.from({ length: dice.below(6) }, () => record(dice));
  return Array.from({ length: count }, () =>
    dnsPacket.encode({
      type: "response",
      id: dice.below(0x10000),
      flags: dice.below(0x10000),
      questions: [{ type: dice.pick(["A", "MX", "SOA"]), name: dice.pick(NAMES) }],
      answers: records(),
      authorities: records(),
      additionals: [],
    }));
}

/** A line of the same form as Go's; null when it is no message. */
function ours(bytes: Uint8Array): string | null {
  let message: Message;
  try {
    message = parseMessage(bytes);
  } catch (error) {
    if (error instanceof MalformedDns) return null;
    throw error;
  }
  const [question] = message.questions;
  const records = [...message.answers, ...message.authorities];
  if (question === undefined || records.some(isOdd)) return null;
  const { id, flags } = message;
  const bit = (mask: number) => (flags & mask) !== 0;
  return [
    [id, bit(0x8000), opcodeOf(message), bit(0x200), bit(0x100), rcodeOf({ flags })].join(" "),
    [hex(question.name), question.type, question.class].join(" "),
    ...message.answers.map(lineOf),
    "-",
    ...message.authorities.map(lineOf),
    "-",
  ].join("|");
}

/** Of these types Go reads as many bytes as they should have, whatever length is stated; guests get none. */
function isOdd({ type, data }: Resource): boolean {
  if (type === Type.A) return data.length !== 4;
  if (type === Type.AAAA) return data.length !== 16;
  return data.length === 0;
}

function lineOf({ name, type, class: klass, ttl, data }: Resource): string {
  return [hex(name), type, klass, ttl, bodyOf(type, data)].join(" ");
}

const NAME_ONLY: ReadonlySet<number> = new Set([Type.CNAME, Type.NS, Type.PTR]);

function bodyOf(type: number, data: Uint8Array): string {
  const cursor = new Cursor(data);
  const words = (count: number) => Array.from({ length: count }, () => cursor.u16());
  if (type === Type.A || type === Type.AAAA) return Buffer.from(data).toString("hex");
  if (NAME_ONLY.has(type)) return hex(readName(cursor));
  if (type === Type.MX) return [...words(1), hex(readName(cursor))].join(" ");
  if (type === Type.SRV) return [...words(3), hex(readName(cursor))].join(" ");
  if (type !== Type.SOA) return "?";
  const names = [hex(readName(cursor)), hex(readName(cursor))];
  return [...names, ...Array.from({ length: 5 }, () => cursor.u32())].join(" ");
}

/** The labels with dots between them. */
function hex(name: WireName): string {
  const labels: string[] = [];
  for (let at = 0; (name[at] ?? 0) !== 0; at += 1 + (name[at] ?? 0)) {
    labels.push(Buffer.from(name.slice(at + 1, at + 1 + (name[at] ?? 0))).toString("hex"));
  }
  return `/${labels.join("2e")}/`;
}

test("what Go and we take for a message reads the same, in 40,000 random and damaged ones", () => {
  const whole = randomMessages(2_000);
  const samples = [...whole];
  const captured = vectors.map(({ bytes }) => Uint8Array.from(Buffer.from(bytes, "base64")));
  mutate([...whole.slice(0, 300), ...captured], 38_000, (sample) => samples.push(sample));
  const { stdout, stderr, status } = spawnSync(buildGo("internet"), ["read-dns"], {
    input: Buffer.concat(samples.map(frameTcp)),
    maxBuffer: 1 << 28,
    encoding: "utf8",
  });
  expect([stderr, status]).toEqual(["", 0]);
  const theirs = stdout.split("\n");
  const differences: unknown[] = [];
  let both = 0;
  samples.forEach((sample, index) => {
    const [our, their = ""] = [ours(sample), theirs[index]];
    if (our === null || their === "") return;
    both++;
    if (plain(our) !== plain(their)) {
      differences.push({ sample: Buffer.from(sample).toString("hex"), our, their });
    }
  });
  expect(differences.slice(0, 3)).toEqual([]);
  expect(both).toBeGreaterThan(8_000);
  // All of those that nobody damaged.
  expect(whole.filter((sample) => ours(sample) === null)).toEqual([]);
}, 120_000);

/** TTLs that are negative to some are none to us (RFC 2181 §8), and Go keeps them. */
function plain(line: string): string {
  return line.split("|").map((part) => {
    const words = part.trim().split(/ +/);
    if (words.length > 4 && Number(words[3]) > 0x7fffffff) words[3] = "0";
    return words.join(" ");
  }).join("|");
}
