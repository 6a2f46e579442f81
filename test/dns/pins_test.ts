import { describe, expect, test } from "bun:test";
import { Pins } from "../../lib/dns/pins.ts";
import { ManualClock } from "../support/manual_clock.ts";

const MINUTE = 60_000;
const API = "api.allowed.test";

function withClock(limits?: ConstructorParameters<typeof Pins>[1]): [Pins, ManualClock] {
  const clock = new ManualClock();
  return [new Pins(clock.now, limits), clock];
}

describe("a pin", () => {
  test.each([
    ["nothing", 0, 10],
    ["a minute", 60, 10],
    ["an hour", 3600, 60],
    ["ever", 0x7fff_ffff, 24 * 60],
  ])("of an answer that lives for %s", async (_, ttl, minutes) => {
    const [pins, clock] = withClock();
    pins.learn(API, "93.184.216.34", ttl);
    await clock.pass(minutes * MINUTE - 1);
    expect(pins.has(API, "93.184.216.34")).toBe(true);
    await clock.pass(1);
    expect(pins.has(API, "93.184.216.34")).toBe(false);
    expect([...pins.namesOf("93.184.216.34")]).toEqual([]);
    expect(pins.size).toEqual({ names: 0, pins: 0, evicted: 0 });
  });

  test("is added to the name's earlier ones, and a shorter answer shortens none", async () => {
    const [pins, clock] = withClock();
    pins.learn(API, "93.184.216.34", 3600);
    await clock.pass(30 * MINUTE);
    pins.learn(API, "93.184.216.35", 0);
    pins.learn(API, "93.184.216.34", 0);
    await clock.pass(20 * MINUTE);
    expect(pins.has(API, "93.184.216.34")).toBe(true);
    expect(pins.has(API, "93.184.216.35")).toBe(false);
  });

  test("lives on while a flow uses its address, and no longer", async () => {
    const [pins, clock] = withClock();
    pins.learn(API, "93.184.216.34", 0);
    pins.hold("93.184.216.34");
    pins.hold("93.184.216.34");
    await clock.pass(24 * 60 * MINUTE);
    expect(pins.has(API, "93.184.216.34")).toBe(true);
    pins.release("93.184.216.34");
    expect(pins.has(API, "93.184.216.34")).toBe(true);
    pins.release("93.184.216.34");
    expect(pins.has(API, "93.184.216.34")).toBe(false);
  });

  test("is of one name, one address, one sandbox", () => {
    const [pins] = withClock();
    pins.learn(API, "93.184.216.34", 60);
    expect(pins.has("files.allowed.test", "93.184.216.34")).toBe(false);
    expect(pins.has(API, "2606:2800:220::34")).toBe(false);
    expect(new Pins().has(API, "93.184.216.34")).toBe(false);
  });

  test("shares its address with other names in the order they were learnt", () => {
    const [pins] = withClock();
    for (const name of ["b.test", "a.test", "b.test"]) pins.learn(name, "104.16.1.1", 60);
    expect([...pins.namesOf("104.16.1.1")]).toEqual(["b.test", "a.test"]);
  });
});

describe("the table is bounded", () => {
  const address = (n: number) => `198.18.${n >> 8}.${n & 255}`;

  test("in addresses of a name, for each family, by last use", () => {
    const [pins] = withClock();
    for (let n = 0; n < 64; n++) {
      pins.learn(API, address(n), 60);
      pins.learn(API, `2001:db8::${n.toString(16)}`, 60);
    }
    pins.learn(API, address(0), 60);
    pins.hold(address(1));
    pins.learn(API, address(64), 60);
    expect([0, 1, 2, 3].map((n) => pins.has(API, address(n)))).toEqual([true, true, false, true]);
    expect(pins.size).toEqual({ names: 1, pins: 128, evicted: 1 });
  });

  test("in names, those that no flow uses first", () => {
    const [pins] = withClock({ names: 3, addresses: 64, pins: 1_000, aliasText: 1_000 });
    for (let n = 0; n < 3; n++) pins.learn(`n${n}.test`, address(n), 60);
    pins.learn("n0.test", address(0), 60);
    pins.hold(address(1));
    pins.learn("n3.test", address(3), 60);
    expect([0, 1, 2, 3].map((n) => pins.has(`n${n}.test`, address(n))))
      .toEqual([true, true, false, true]);
  });

  test("in all, whatever the guest holds", () => {
    const [pins] = withClock({ names: 50, addresses: 4, pins: 100, aliasText: 1_000 });
    for (let n = 0; n < 5_000; n++) {
      pins.learn(`n${n % 70}.test`, address(n), 60);
      pins.hold(address(n));
      expect(pins.size.names).toBeLessThanOrEqual(50);
      expect(pins.size.pins).toBeLessThanOrEqual(100);
    }
    // Both directions of the table say the same.
    for (let n = 0; n < 5_000; n++) {
      for (const name of pins.namesOf(address(n))) expect(pins.has(name, address(n))).toBe(true);
    }
  });

  test("in what its names are aliases of", () => {
    const [pins] = withClock({ names: 100, addresses: 4, pins: 1_000, aliasText: 1_000 });
    const target = (n: number) => `${n}.${"x".repeat(50)}`;
    for (let n = 0; n < 200; n++) {
      pins.learn(`n${n}.test`, address(n), 60);
      pins.alias(`n${n}.test`, [target(n), target(n + 1), target(n)]);
      const names = new Set(pins.all().map(({ name }) => name));
      const text = [...names].flatMap((name) => [...pins.aliasesOf(name)]).join("");
      expect(text.length).toBeLessThanOrEqual(1_000);
      expect(pins.aliasesOf(`n${n}.test`).size).toBe(2);
    }
    // What went made room, and is no longer counted.
    expect(pins.size.names).toBe(9);
    for (let n = 0; n < 100; n++) pins.alias("n199.test", [target(199 + n % 2)]);
    expect(pins.size.names).toBe(9);
  });
});
