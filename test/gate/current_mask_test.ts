/** Answers that last longer than a value does. */
import { expect, test } from "bun:test";
import { Buffer } from "node:buffer";
import type { HeldSecret } from "../../lib/secret/grant.ts";
import { CurrentMask } from "../../lib/gate/current_mask.ts";
import { BodyFlow } from "../../lib/http/body_flow.ts";
import { passAnswer } from "../../lib/http/gate.ts";
import { Mask } from "../../lib/secret/mask.ts";
import { SecretValue } from "../../lib/secret/value.ts";
import { held } from "../secret/held.ts";
import { gated, vaultOf } from "./answering.ts";

const OLD = held("value-of-yesterday-0123");
const NEW: HeldSecret = { ...OLD, value: SecretValue.of("API_KEY", "other-of-today-4567890") };
const [, TODAY] = [OLD, NEW].map(({ value }) => value.reveal()) as [string, string];

/** A text frame, short. */
const frame = (text: string) => Buffer.concat([Buffer.of(0x81, text.length), Buffer.from(text)]);
const message = (text: string) =>
  Buffer.concat([Buffer.of(0, 0, 0, 0, text.length), Buffer.from(text)]);

test.each([
  ["a stream", { "content-type": "text/event-stream" }, (text: string) => Buffer.from(text)],
  ["messages", { "content-type": "application/grpc" }, message],
  ["a WebSocket", {}, frame],
])("a value that is read while %s lasts is replaced in it", (what, fields, write) => {
  let known: readonly HeldSecret[] = [OLD];
  const vault = { ...vaultOf(known), known: () => known };
  const isSocket = what === "a WebSocket";
  const answer = {
    status: isSocket ? 101 : 200,
    phrase: "",
    fields: Object.entries(fields).map(([name, value]) => ({ name, key: name, value })),
    body: isSocket ? { kind: "upgrade" } as const : { kind: "unknown" } as const,
  };
  const gate = gated(vault);
  const { body } = passAnswer(answer, gate.answer);
  const flow = new BodyFlow(answer.body, null, body);
  const one = flow.push(write("one. ")).toString();
  known = [NEW, OLD];
  const two = flow.push(write(`two ${TODAY}. `)).toString();
  flow.close();
  expect([one, two].join("")).toContain("one. ");
  expect(two).toContain("two ");
  expect(two).not.toContain(TODAY);
  expect(gate.uses).toMatchObject([{ what: "masked", place: "body", count: 1 }]);
});

test("one that comes in two pieces is replaced when it is read between them, and what was let go is not lost", () => {
  for (let cut = 1; cut < TODAY.length; cut++) {
    // Both begin alike, so that some of the new one is held for the sake of the old one.
    const alike = { ...OLD, value: SecretValue.of("API_KEY", `${TODAY.slice(0, cut)}-of-before`) };
    let mask = new Mask([alike]);
    const text = new CurrentMask(() => mask, (of) => of.fittedBody());
    let heard = text.push(Buffer.from(`a ${TODAY.slice(0, cut)}`)).toString();
    mask = new Mask([alike, NEW]);
    heard += text.push(Buffer.from(`${TODAY.slice(cut)} b`)).toString() + text.end().toString();
    expect(heard).not.toContain(TODAY);
    expect(heard).toMatch(/^a .{22} b$/);
  }
  let mask = new Mask([OLD]);
  const text = new CurrentMask(() => mask, (of) => of.body());
  let heard = text.push(Buffer.from("a val")).toString() + text.letGo().toString();
  mask = new Mask([NEW, OLD]);
  heard += text.push(Buffer.from("ue-of-yesterday-0123. ")).toString();
  heard += text.push(Buffer.from(`${TODAY}.`)).toString() + text.end().toString();
  expect(heard).toStartWith("a val");
  for (const value of ["yesterday", TODAY]) expect(heard).not.toContain(value);
});
