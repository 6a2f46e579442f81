/** Values in messages of gRPC: replaced in each, and none held back for what may come behind it. */
import { expect, test } from "bun:test";
import { Buffer } from "node:buffer";
import { isMessages, MaskedMessages } from "../../lib/gate/masked_messages.ts";
import { GateRefusal } from "../../lib/http/gate.ts";
import { Mask } from "../../lib/secret/mask.ts";
import { held } from "../secret/held.ts";
import { cut, random } from "../support/random.ts";

const KEY = held("1-sk-ant-0123456789-abcdefghij-0123456789-xyz");
const VALUE = KEY.value.reveal();
const PH = KEY.placeholder.text.padEnd(VALUE.length, "~");
const MASK = new Mask([KEY]);

function message(text: string, flags = 0): Buffer {
  const payload = Buffer.from(text, "latin1");
  const envelope = Buffer.alloc(5);
  envelope[0] = flags;
  envelope.writeUInt32BE(payload.length, 1);
  return Buffer.concat([envelope, payload]);
}

test("a message goes on whole as it comes, whatever it ends with", () => {
  const messages = new MaskedMessages(MASK.fittedBody());
  const texts = Array.from({ length: 256 }, (_, byte) => `message ${String.fromCharCode(byte)}`);
  const beginnings = Array.from({ length: VALUE.length }, (_, at) => VALUE.slice(0, at));
  for (const text of [...texts, ...beginnings, ""]) {
    expect(messages.push(message(text))).toEqual(message(text));
  }
});

test("values are replaced by as much, in each message, however the bytes are cut", () => {
  const chance = random(12);
  const said = [`{"key":"${VALUE}"}`, "", VALUE, `${VALUE}${VALUE}`, "no key", VALUE.slice(0, 20)];
  const sent = Buffer.concat(said.map((text, at) => message(text, at % 2 * 0x80)));
  const expected = Buffer.concat(
    said.map((text, at) => message(text.replaceAll(VALUE, PH), at % 2 * 0x80)),
  );
  const wholes = [[sent], [...sent].map((byte) => Buffer.of(byte))];
  for (const pieces of [...wholes, ...Array.from({ length: 50 }, () => cut(sent, chance))]) {
    const messages = new MaskedMessages(MASK.fittedBody());
    const out = pieces.map((piece) => messages.push(piece));
    expect(Buffer.concat([...out, messages.end()])).toEqual(expected);
    expect(messages.masked).toEqual([{ name: KEY.secret.name, count: 4 }]);
  }
});

test("what is cut short is given as far as it came, and a length of anything is waited for", () => {
  const messages = new MaskedMessages(MASK.fittedBody());
  const cutShort = Buffer.from(message(`x${VALUE.slice(0, 30)}`).subarray(0, 20));
  expect(Buffer.concat([messages.push(cutShort), messages.end()])).toEqual(cutShort);
  const endless = new MaskedMessages(MASK.fittedBody());
  const head = Buffer.from([0, 0xff, 0xff, 0xff, 0xff]);
  expect(endless.push(Buffer.concat([head, Buffer.from(`a${VALUE}b`)])).toString("latin1"))
    .toBe(`${head.toString("latin1")}a${PH}b`);
});

test.each([1, 3, 0x81, 0x73])("what cannot be read goes no further: flags %d", (flags) => {
  const messages = new MaskedMessages(MASK.fittedBody());
  messages.push(message("fine"));
  expect(() => messages.push(message(VALUE, flags))).toThrow(GateRefusal);
});

test.each([
  ["application/grpc", true],
  ["application/grpc+proto", true],
  ["application/grpc-web+proto; charset=x", true],
  ["application/connect+json", true],
  ["application/grpc-web-text", false],
  ["application/json", false],
  ["text/event-stream", false],
  ["", false],
])("messages are recognised by their type: %s", (type, expected) => {
  expect(isMessages(type)).toBe(expected);
});
