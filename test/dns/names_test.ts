/**
 * Names that look like others, and names at their limits.
 */
import { Buffer } from "node:buffer";
import { expect, test } from "bun:test";
import { a, dataOf, openLab, policyOf } from "./fixture.ts";

test("look-alikes of an allowed suffix", async () => {
  const names = ["a.allowed.test", "allowed.test", "evilallowed.test", "allowed.test.evil.test"];
  const policy = policyOf("deny", "allow@.allowed.test:tcp:443");
  await using lab = await openLab(policy, names.map((name) => a(name, "93.184.216.34")));
  for (const name of [...names, "a.allowed.test."]) await lab.ask(name);
  const codes = lab.events.map(({ name, verdict }) => `${name} ${verdict}`);
  expect(codes).toEqual([
    "a.allowed.test answered",
    "allowed.test answered",
    "evilallowed.test refused",
    "allowed.test.evil.test refused",
    "a.allowed.test answered",
  ]);
  expect(lab.server.asked).toEqual(["a.allowed.test", "allowed.test"]);
});

test("names are compared byte for byte, and bytes of no host name go nowhere", async () => {
  const policy = policyOf("deny", "allow@bücher.allowed.test", "allow@kelvin.allowed.test");
  await using lab = await openLab(policy, [a("xn--bcher-kva.allowed.test", "93.184.216.34")]);
  expect(dataOf(await lab.ask("xn--bcher-kva.allowed.test"))).toEqual(["93.184.216.34"]);
  for (const label of ["bücher", "\u212aelvin", "kel\u00advin", "kelvin\0", "kel vin", "api.x"]) {
    const reply = await lab.send(rawQuery([label, "allowed", "test"]));
    expect((reply?.[3] ?? 0) & 0xf).toBe(3);
  }
  expect(lab.server.asked).toEqual(["xn--bcher-kva.allowed.test"]);
});

test("a dot inside a label makes no other name of it", async () => {
  await using lab = await openLab(policyOf("deny", "allow@.allowed.test"), []);
  await lab.send(rawQuery(["evil.test\0", "allowed", "test"]));
  await lab.send(rawQuery(["x.allowed.test"]));
  expect(lab.server.received).toEqual([]);
  expect(lab.events.map(({ name }) => name)).toEqual([
    "evil\\046test\\000.allowed.test",
    "x\\046allowed\\046test",
  ]);
});

test("length limits", async () => {
  const label = "a".repeat(63);
  const longest = [label, label, label, "b".repeat(61)].join(".");
  await using lab = await openLab(policyOf("allow"), [a(longest, "93.184.216.34")]);
  expect(dataOf(await lab.ask(longest))).toEqual(["93.184.216.34"]);
  const long = await lab.send(rawQuery(["a".repeat(64), "test"]));
  const longer = await lab.send(rawQuery([...longest.split("."), "c"]));
  expect([long, longer].map((reply) => (reply?.[3] ?? 0) & 0xf)).toEqual([1, 1]);
  expect(lab.server.received.length).toBe(1);
});

/** A query whose labels are these bytes, whatever they are. */
function rawQuery(labels: readonly string[]): Uint8Array {
  const name = labels.flatMap((label) => {
    const bytes = Buffer.from(label);
    return [bytes.length, ...bytes];
  });
  return Uint8Array.of(0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, ...name, 0, 0, 1, 0, 1);
}
