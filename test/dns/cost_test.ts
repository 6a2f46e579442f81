/**
 * What a guest, and whoever owns the names that it asks for, can make the resolver work: in proportion to
 * what they send, and no more than a question's share at a time.
 */
import { Buffer } from "node:buffer";
import { describe, expect, test } from "bun:test";
import { judgeAnswer } from "../../lib/dns/filter.ts";
import { parseHostsFile } from "../../lib/dns/hosts_file.ts";
import { KnownNames } from "../../lib/dns/known_names.ts";
import { readQuery } from "../../lib/dns/query.ts";
import { parseResolvConf } from "../../lib/dns/resolv_conf.ts";
import { parseMessage } from "../../lib/dns/wire/decode.ts";
import { encodeMessage } from "../../lib/dns/wire/encode.ts";
import { parseBinding } from "../../lib/dns/wire/svcb.ts";
import { TcpDeframer } from "../../lib/dns/wire/tcp_framing.ts";
import { nameText } from "../../lib/dns/wire/wire_name.ts";
import { compilePolicy } from "../../lib/policy/decide/compile.ts";
import { publicOnly } from "../../lib/policy/model/presets.ts";
import { growth, SUBQUADRATIC } from "../support/growth.ts";
import { ManualClock } from "../support/manual_clock.ts";
import {
  a,
  cname,
  dataOf,
  extendedError,
  openLab,
  policyOf,
  queryFor,
  rcode,
  setOf,
} from "./fixture.ts";

/** The longest name that there is, of as many labels as it can have. */
const LONG = `${"a.".repeat(120)}evil.test`;
const HERE = [0xc0, 0x0c];

type Section = "answer" | "authority" | "additional";
const SECTIONS: Readonly<Record<Section, number>> = { answer: 6, authority: 8, additional: 10 };

/** A message with many records, whose names are the question's. */
function crowded(
  records: number,
  type: number,
  data: readonly number[],
  section: Section = "answer",
) {
  const query = queryFor(LONG, `UNKNOWN_${type}`);
  const record = [...HERE, type >> 8, type & 0xff, 0, 1, 0, 0, 0, 60, 0, data.length, ...data];
  const bytes = Buffer.concat([
    query.subarray(0, query.indexOf(0, 12) + 5),
    Buffer.from(Array.from({ length: records }, () => record).flat()),
  ]);
  bytes.writeUInt16BE(0, SECTIONS.additional);
  bytes.writeUInt16BE(records, SECTIONS[section]);
  return bytes;
}

/** What repeats in a message, by type. */
const CROWDS: Readonly<Record<string, readonly [type: number, data: readonly number[]]>> = {
  addresses: [1, [93, 184, 216, 34]],
  aliases: [5, HERE],
  "aliases of other names": [5, [1, 98, ...HERE]],
  "renamed trees": [39, HERE],
  services: [65, [0, 1, 0, 0, 4, 0, 4, 93, 184, 216, 34]],
  servers: [2, HERE],
  texts: [16, [1, 98]],
  signatures: [46, [...new Array<number>(18).fill(0), 0, 1]],
};

const snapshot = {
  compiled: compilePolicy(policyOf("allow", "deny@.blocked.test", "allow@10.0.0.0/8")),
  blocked: setOf(".ads.test"),
  doh: null,
  rebindProtection: true,
  hosts: new Set(["192.168.127.1"]),
  known: new KnownNames(),
  tls: { ports: new Set([443]), hosts: setOf() },
};

describe("work grows as what is read does, and no faster", () => {
  test.each(Object.entries(CROWDS))(
    "answers full of %s, read, judged and written",
    (_, [type, data]) => {
      const { ratio } = growth((size) => {
        const message = parseMessage(crowded(Math.min(1024, size >> 4), type, data));
        const [question] = message.questions;
        if (question === undefined) throw new Error("no question");
        const ruling = judgeAnswer(snapshot, question, message, "udp");
        encodeMessage(ruling.kind === "answer" ? { ...message, answers: ruling.answers } : message);
      }, { most: 1 << 14 });
      expect(ratio).toBeLessThan(SUBQUADRATIC);
    },
    60_000,
  );

  test.each<[string, (size: number) => unknown]>([
    [
      "a hosts file of short lines",
      (size) => parseHostsFile("1.2.3.4 a.b\n".repeat(size / 12), "x"),
    ],
    ["a hosts file of one line", (size) => parseHostsFile(`1.2.3.4 ${"a ".repeat(size / 2)}`, "x")],
    ["a hosts file of blanks", (size) => parseHostsFile(`1.2.3.4${" ".repeat(size)}#`, "x")],
    ["a hosts file of comments", (size) => parseHostsFile("#".repeat(size), "x")],
    ["a hosts file of one name", (size) => parseHostsFile(`1.2.3.4 ${"a".repeat(size)}`, "x")],
    ["a configuration of blanks", (size) => parseResolvConf(`nameserver${" \t".repeat(size / 2)}`)],
    ["a configuration of lines", (size) => parseResolvConf(" \n".repeat(size / 2))],
    ["a configuration of domains", (size) => parseResolvConf(`search ${"a.b ".repeat(size / 4)}`)],
    ["a configuration of servers", (size) => parseResolvConf("nameserver ::1\n".repeat(size / 15))],
    ["parameters of a service", (size) => {
      const keys = Array.from(
        { length: Math.min(65_535, size >> 2) },
        (_, key) => [key >> 8, key & 255, 0, 0],
      );
      return parseBinding(Uint8Array.from([0, 1, 0, ...keys.flat()]));
    }],
    ["options of EDNS", (size) => {
      const data = Buffer.alloc(Math.min(65_000, size & ~3));
      const opt = Buffer.from([0, 0, 41, 4, 208, 0, 0, 0, 0, data.length >> 8, data.length & 255]);
      const query = queryFor("x.test", "A", { additionals: [] });
      query.writeUInt16BE(1, 10);
      return readQuery(Buffer.concat([query, opt, data]));
    }],
    ["a stream byte by byte", (size) => {
      const deframer = new TcpDeframer();
      const length = Math.min(65_535, size);
      const bytes = [length >> 8, length & 255, ...Buffer.alloc(length)];
      return bytes.flatMap((byte) => [...deframer.push(Uint8Array.of(byte))]);
    }],
    [
      "a name of escapes",
      (size) =>
        nameText(Uint8Array.from(Array.from({ length: size }, (_, n) => n % 64 === 0 ? 63 : 0xff))),
    ],
  ])("%s", (_, read) => {
    expect(growth(read, { most: 1 << 16 }).ratio).toBeLessThan(SUBQUADRATIC);
  }, 60_000);
});

test("a question with thousands of records is none, and none of them is read", async () => {
  for (const section of ["answer", "authority", "additional"] as const) {
    await using lab = await openLab(policyOf("allow"), []);
    for (const [count, code] of [[16, 0], [17, 1], [3_000, 1]] as const) {
      const reply = await lab.send(crowded(count, 16, [1, 98], section), "tcp");
      expect([count, (reply?.[3] ?? 0) & 0xf]).toEqual([count, code === 0 ? 3 : 1]);
    }
    expect(lab.server.received.length).toBe(1);
  }
});

test("an answer of thousands of records is none", async () => {
  const many = (count: number) =>
    Array.from({ length: count }, (_, n) => a("many.test", `93.184.${n >> 8}.${n & 255}`));
  await using lab = await openLab(publicOnly(), many(1_000));
  expect(dataOf(await lab.ask("many.test")).length).toBeGreaterThan(10);
  await using more = await openLab(publicOnly(), many(1_100), { upstream: { timeoutMs: 2_000 } });
  expect(rcode(await more.ask("many.test"))).toBe("SERVFAIL");
  expect(more.pins.size.pins).toBe(0);
});

test("answers that cost as much as many questions count as many", async () => {
  const clock = new ManualClock();
  const zone = Array.from({ length: 88 }, (_, n) => a("many.test", `93.184.216.${n}`));
  const limits = { queriesPerSecond: 10, burst: 20 };
  await using lab = await openLab(publicOnly(), [...zone, a("one.test", "93.184.217.1")], {
    limits,
    clock,
  });
  const ask = async (name: string) => extendedError(await lab.ask(name)) ?? "answered";
  // 11 of 20 each; what is owed is paid before the next.
  expect([await ask("many.test"), await ask("many.test"), await ask("one.test")]).toEqual([
    "answered",
    "answered",
    "0 dns-limit",
  ]);
  await clock.pass(400);
  expect(await ask("one.test")).toBe("answered");
  // The second time from the cache; the first one came over TCP.
  expect(lab.server.asked).toEqual(["many.test", "many.test", "one.test"]);
});

test("of several aliases of one name the first is the one, for the guest and for us", async () => {
  const zone = [
    cname("www.test", "good.test"),
    a("good.test", "93.184.216.34"),
    a("bad.test", "45.33.32.156"),
  ];
  await using lab = await openLab(policyOf("allow", "deny@.ads.test"), []);
  lab.server.behaviour = (_, truth) => ({
    ...truth,
    flags: 0x80,
    answers: [
      zone[0],
      cname("www.test", "bad.test"),
      cname("www.test", "x.ads.test"),
      ...zone.slice(1),
    ]
      .filter((record) => record !== undefined),
  });
  expect(dataOf(await lab.ask("www.test"))).toEqual(["good.test", "93.184.216.34"]);
  expect(lab.pins.has("www.test", "45.33.32.156")).toBe(false);
});
