/**
 * Names inside records that point elsewhere in the message they came in. In the message that the guest gets
 * there is something else at that place.
 */
import { Buffer } from "node:buffer";
import { expect, test } from "bun:test";
import dnsPacket from "dns-packet";
import { openLab, policyOf, queryFor } from "./fixture.ts";

const NAME = "aa.bb.allowed.test";
/** To the question's name, behind the header; and to "allowed.test" in it. */
const WHOLE = [0xc0, 0x0c];
const PART = [2, 0x6e, 0x73, 0xc0, 0x12];
const PLAIN = wireName("ns.allowed.test");

/** Compressed, and as what they mean. */
const TARGETS = [[WHOLE, wireName(NAME)], [PART, PLAIN]] as const;

function wireName(name: string): number[] {
  return name.split(".").flatMap((label) => [label.length, ...Buffer.from(label)]).concat(0);
}

/** Record data as the server sends it, and as the guest has to get it; null: not at all. */
const EXPANDED: readonly (readonly [string, number, readonly number[], readonly number[]])[] = [
  ["RP", 17, [], []],
  ["AFSDB", 18, [0, 1], []],
  ["RT", 21, [0, 1], []],
  ["SIG", 24, new Array<number>(18).fill(7), [1, 2, 3]],
  ["PX", 26, [0, 1], []],
  ["NXT", 30, [], [1, 2]],
  ["SRV", 33, [0, 1, 0, 2, 0, 3], []],
  ["NAPTR", 35, [0, 1, 0, 2, 0, 0, 0], []],
  ["KX", 36, [0, 1], []],
];

const REFUSED: readonly (readonly [string, number, readonly number[], readonly number[]])[] = [
  ["NSAP-PTR", 23, [], []],
  ["A6", 38, [64, 1, 2, 3, 4, 5, 6, 7, 8], []],
  ["IPSECKEY", 45, [10, 3, 2], [1, 2, 3]],
  ["RRSIG", 46, new Array<number>(18).fill(7), [1, 2, 3]],
  ["NSEC", 47, [], [0, 1, 0x40]],
  ["HIP", 55, [1, 2, 0, 1, 9, 9], []],
  ["TALINK", 58, [0], []],
  ["SVCB", 64, [0, 1], []],
  ["HTTPS", 65, [0, 1], []],
  ["DSYNC", 66, [0, 59, 1, 0, 53], []],
  ["LP", 107, [0, 1], []],
  ["AMTRELAY", 260, [10, 0x83], []],
];

/** The answer to a query, with one record of these bytes. */
function answerWith(query: Buffer, type: number, data: readonly number[]): Buffer {
  const answer = Buffer.concat([
    query.subarray(0, query.indexOf(0, 12) + 5),
    Buffer.from([...WHOLE, type >> 8, type & 0xff, 0, 1, 0, 0, 0, 60, 0, data.length, ...data]),
  ]);
  answer.writeUInt16BE(0x8180, 2);
  answer.writeUInt16BE(1, 6); // one answer
  answer.writeUInt16BE(0, 10);
  return answer;
}

/** Data of the records that the guest got. */
async function passed(type: number, data: readonly number[]): Promise<Buffer[]> {
  await using lab = await openLab(policyOf("allow"), []);
  lab.server.behaviour = ({ bytes }) => answerWith(bytes, type, data);
  const reply = await lab.send(queryFor(NAME, `UNKNOWN_${type}`));
  expect((reply?.[3] ?? 0) & 0xf).toBe(0);
  const bytes = Buffer.from(reply ?? []);
  if (bytes.readUInt16BE(6) === 0) return [];
  // Behind the question and the record's head.
  const at = bytes.indexOf(0, 12) + 5 + 12;
  return [bytes.subarray(at, at + bytes.readUInt16BE(at - 2))];
}

test.each(EXPANDED)(
  "%s, which old servers compress, is expanded",
  async (name, type, head, tail) => {
    const names = name === "RP" || name === "PX" ? 2 : 1;
    const around = (target: readonly number[]) => [
      ...head,
      ...Array.from({ length: names }, () => target).flat(),
      ...tail,
    ];
    for (const [target, whole] of TARGETS) {
      expect(await passed(type, around(target))).toEqual([Buffer.from(around(whole))]);
    }
  },
);

test.each(REFUSED)("%s, which nobody may compress, is left out", async (_, type, head, tail) => {
  for (const [target] of TARGETS) {
    expect(await passed(type, [...head, ...target, ...tail])).toEqual([]);
  }
  const plain = [...head, ...PLAIN, ...tail];
  expect(await passed(type, plain)).toEqual([Buffer.from(plain)]);
});

test("what is cut inside its name is left out as well", async () => {
  for (const [, type, head] of REFUSED) {
    expect(await passed(type, [...head, ...PLAIN.slice(0, -1)])).toEqual([]);
  }
});

test("types that nobody knows are bytes, whatever they look like", async () => {
  for (const type of [258, 65400]) {
    expect(await passed(type, WHOLE)).toEqual([Buffer.from(WHOLE)]);
  }
});

test("a proof whose names point elsewhere is left out of the authority section", async () => {
  await using lab = await openLab(policyOf("allow"), []);
  lab.server.behaviour = ({ bytes }) => {
    const answer = answerWith(bytes, 47, [...WHOLE, 0, 1, 0x40]);
    answer.writeUInt16BE(0, 6);
    answer.writeUInt16BE(1, 8); // in the authority section
    return answer;
  };
  const reply = dnsPacket.decode(Buffer.from(await lab.send(queryFor(NAME)) ?? []));
  expect([reply.answers, reply.authorities]).toEqual([[], []]);
});
