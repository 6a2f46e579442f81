import { expect, test } from "bun:test";
import { LiveValue, type Values } from "../../lib/secret/live_value.ts";
import type { SourceReading } from "../../lib/secret/program_values.ts";

const START = Date.UTC(2026, 10, 29);

/** A source that answers when the test says so. */
function world({ shares = true } = {}) {
  const asked: PromiseWithResolvers<SourceReading>[] = [];
  const clock = { at: START };
  const live = new LiveValue({
    name: "API_KEY",
    parts: ["API_KEY"],
    shares,
    now: () => clock.at,
    read: () => {
      const one = Promise.withResolvers<SourceReading>();
      asked.push(one);
      return one.promise;
    },
  });
  return { live, asked, clock };
}

const text = async (values: Values | Promise<Values>) => (await values)[0]?.reveal();

test("a hundred who come while a reading is under way wait for that one; the next begins another", async () => {
  const { live, asked } = world();
  const waiting = Array.from({ length: 100 }, () => text(live.current()));
  expect(asked.length).toBe(1);
  asked[0]?.resolve({ texts: ["first"] });
  expect(new Set(await Promise.all(waiting))).toEqual(new Set(["first"]));
  const next = text(live.current());
  expect(asked.length).toBe(2);
  asked[1]?.resolve({ texts: ["second"] });
  expect(await next).toBe("second");
});

test("where a reading may not serve who came later, these share the one after it", async () => {
  const { live, asked } = world({ shares: false });
  const first = text(live.current());
  const later = Array.from({ length: 100 }, () => text(live.current()));
  expect(asked.length).toBe(1);
  asked[0]?.resolve({ texts: ["before the change"] });
  expect(await first).toBe("before the change");
  await Promise.resolve();
  expect(asked.length).toBe(2);
  asked[1]?.resolve({ texts: ["after it"] });
  expect(new Set(await Promise.all(later))).toEqual(new Set(["after it"]));
  expect(asked.length).toBe(2);
});

test("a reading that was begun for somebody else since then serves, too", async () => {
  const { live, asked } = world({ shares: false });
  const first = live.current();
  const second = text(live.current());
  // Comes in the turn in which the first is done, before the second's turn.
  const third = Promise.resolve(first).then(() => text(live.current()));
  asked[0]?.resolve({ texts: ["one"] });
  await first;
  for (let turn = 0; turn < 10; turn++) await Promise.resolve();
  expect(asked.length).toBe(2);
  asked[1]?.resolve({ texts: ["two"] });
  expect(await Promise.all([second, third])).toEqual(["two", "two"]);
});

test.each([true, false])(
  "a failure is told to all who wait, and to nobody else (shares: %p)",
  async (shares) => {
    const { live, asked } = world({ shares });
    const waiting = [text(live.current())];
    if (shares) waiting.push(text(live.current()));
    asked[0]?.reject(new Error("down"));
    for (const one of await Promise.allSettled(waiting)) expect(one.status).toBe("rejected");
    const again = text(live.current());
    asked[1]?.resolve({ texts: ["up"] });
    expect(await again).toBe("up");
  },
);

test("those who come during a reading that fails have one of their own where readings are not shared", async () => {
  const { live, asked } = world({ shares: false });
  const first = text(live.current());
  const second = text(live.current());
  asked[0]?.reject(new Error("down"));
  await expect(first).rejects.toThrow("down");
  await Promise.resolve();
  asked[1]?.resolve({ texts: ["up"] });
  expect(await second).toBe("up");
});

test("a value that says how long it holds is kept until shortly before that, at once for who comes", async () => {
  const { live, asked, clock } = world();
  const first = text(live.current());
  asked[0]?.resolve({ texts: ["token"], expires: new Date(START + 3_600_000) });
  await first;
  for (const at of [0, 1000, 3_569_999]) {
    clock.at = START + at;
    const value = live.current();
    expect(value instanceof Promise).toBe(false);
    expect(await text(value)).toBe("token");
  }
  expect(asked.length).toBe(1);
  clock.at = START + 3_570_000;
  const waiting = Array.from({ length: 100 }, () => text(live.current()));
  expect(asked.length).toBe(2);
  asked[1]?.resolve({ texts: ["fresh"], expires: new Date(clock.at + 1000) });
  expect(new Set(await Promise.all(waiting))).toEqual(new Set(["fresh"]));
  // A short life has a short margin.
  clock.at += 899;
  expect(await text(live.current())).toBe("fresh");
  clock.at += 1;
  const renewed = text(live.current());
  expect(asked.length).toBe(3);
  asked[2]?.reject(new Error("down"));
  await expect(renewed).rejects.toThrow("down");
  // What was kept before is not brought back by a failure.
  void live.current();
  expect(asked.length).toBe(4);
});

test.each([
  ["past", new Date(START - 1)],
  ["now", new Date(START)],
  ["no moment", new Date(NaN)],
])("what expires %s is an error, and no value is remembered of it", async (_, expires) => {
  const { live, asked } = world();
  const value = text(live.current());
  asked[0]?.resolve({ texts: ["token"], expires });
  await expect(value).rejects.toMatchObject({ code: "SECRET_UNAVAILABLE" });
  expect(live.remembered).toEqual([]);
});

test("a source that answers at once is answered at once, and the value stays the same while it does", () => {
  let now: string | Error = "one";
  const live = new LiveValue({
    name: "API_KEY",
    parts: ["API_KEY"],
    shares: true,
    now: () => START,
    read: () => {
      if (now instanceof Error) throw now;
      return { texts: [now] };
    },
  });
  const first = live.current();
  expect(live.current()).toBe(first);
  now = "two";
  expect(live.current()).not.toBe(first);
  now = new Error("gone");
  expect(live.current()).rejects.toThrow("gone");
  now = "";
  expect(live.current()).rejects.toMatchObject({ code: "SECRET_INVALID" });
});

test("the last few values are remembered, newest first, each once", async () => {
  let now = "";
  const live = new LiveValue({
    name: "API_KEY",
    parts: ["API_KEY"],
    shares: true,
    now: () => START,
    read: () => ({ texts: [now] }),
  });
  for (const value of ["a", "b", "a", "c", "c"]) await text((now = value, live.current()));
  const values = () => live.remembered.map(([one]) => one?.reveal());
  expect(values()).toEqual(["c", "a", "b"]);
  const same = live.remembered;
  await text(live.current());
  expect(live.remembered).toBe(same);
  for (let at = 0; at < 20; at++) await text((now = `v${at}`, live.current()));
  expect(values()).toEqual(["v19", "v18", "v17", "v16", "v15", "v14", "v13", "v12"]);
});

test("the parts of a pair are of one reading, and one that is not there has no value", async () => {
  let now: readonly (string | null)[] = ["id-1", "key-1", null];
  const live = new LiveValue({
    name: "AWS",
    parts: ["AWS_ID", "AWS_KEY", "AWS_TOKEN"],
    shares: true,
    now: () => START,
    read: () => ({ texts: now }),
  });
  const read = async () => (await live.current()).map((one) => one?.reveal() ?? null);
  expect(await read()).toEqual(["id-1", "key-1", null]);
  now = ["id-1", "key-2", "token"];
  expect(await read()).toEqual(["id-1", "key-2", "token"]);
  expect(live.remembered.length).toBe(2);
  now = ["id-1", "key-1", null];
  expect(await read()).toEqual(["id-1", "key-1", null]);
  expect(live.remembered.length).toBe(2);
  now = ["id-1", "key\n3", null];
  await expect(read()).rejects.toMatchObject({
    code: "SECRET_INVALID",
    message: "Cannot use secret AWS_KEY: its value has more than one line",
  });
});
