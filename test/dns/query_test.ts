/**
 * Messages that are no plain question.
 */
import { Buffer } from "node:buffer";
import { expect, test } from "bun:test";
import { publicOnly } from "../../lib/policy/model/presets.ts";
import { a, edns, openLab, policyOf, queryFor } from "./fixture.ts";

const PUBLIC = publicOnly();
const API = a("api.allowed.test", "93.184.216.34");

test("messages that are no plain question are answered here or not at all", async () => {
  await using lab = await openLab(policyOf("allow"), [API]);
  const query = queryFor("api.allowed.test");
  const edited = (edit: (bytes: Buffer) => void) => {
    const bytes = Buffer.from(query);
    edit(bytes);
    return bytes;
  };
  const rcodes: Record<string, number | null> = {};
  const record = async (what: string, bytes: Uint8Array) => {
    const reply = await lab.send(bytes);
    rcodes[what] = reply === null ? null : (reply[3] ?? 0) & 0xf;
  };
  await record("a response", edited((bytes) => bytes[2] = 0x81));
  await record("eleven bytes", query.subarray(0, 11));
  await record("a header alone", query.subarray(0, 12));
  await record("IQUERY", edited((bytes) => bytes[2] = 0x08));
  await record("STATUS", edited((bytes) => bytes[2] = 0x10));
  await record("NOTIFY", edited((bytes) => bytes[2] = 0x20));
  await record("UPDATE", edited((bytes) => bytes[2] = 0x28));
  await record("no question", edited((bytes) => bytes[5] = 0));
  await record("two questions", edited((bytes) => bytes[5] = 2));
  await record("cut", query.subarray(0, 20));
  await record("more bytes after it", Buffer.concat([query, Buffer.from("x")]));
  await record("a loop", edited((bytes) => bytes.writeUInt16BE(0xc00c, 12)));
  await record("two OPT", queryFor("x.test", "A", { additionals: [edns(), edns()] }));
  await record("EDNS 1", queryFor("x.test", "A", { additionals: [edns(512, { ednsVersion: 1 })] }));
  await record("AXFR", queryFor("x.test", "AXFR"));
  await record("IXFR", queryFor("x.test", "IXFR"));
  await record("TSIG", queryFor("x.test", "TSIG"));
  await record("class CH", edited((bytes) => bytes[bytes.length - 12] = 3));
  await record("class ANY", edited((bytes) => bytes[bytes.length - 12] = 255));
  expect(rcodes).toEqual({
    "a response": null,
    "eleven bytes": null,
    "a header alone": 1,
    IQUERY: 4,
    STATUS: 4,
    NOTIFY: 4,
    UPDATE: 4,
    "no question": 1,
    "two questions": 1,
    cut: 1,
    "more bytes after it": 1,
    "a loop": 1,
    "two OPT": 1,
    "EDNS 1": 0, // BADVERS is 16: its upper bits are in the OPT record
    AXFR: 5,
    IXFR: 5,
    TSIG: 5,
    "class CH": 5,
    "class ANY": 5,
  });
  expect(lab.server.received).toEqual([]);
  expect(new Set(lab.events.map(({ reason }) => reason))).toEqual(new Set(["query-invalid"]));
});

test("BADVERS stands in the OPT record", async () => {
  await using lab = await openLab(PUBLIC);
  const reply = await lab.ask("x.test", "A", { additionals: [edns(512, { ednsVersion: 1 })] });
  const opt = reply?.additionals?.[0];
  expect(opt?.type === "OPT" ? [opt.extendedRcode, opt.ednsVersion] : null).toEqual([1, 0]);
});
