/** A guest that stands still for copies: one after the other, and at no command's expense. */
import { expect, test } from "bun:test";
import { setImmediate } from "node:timers/promises";
import type { Guest } from "../../lib/guest/guest.ts";
import { Lifetime } from "../../lib/sandbox/lifetime.ts";
import type { SandboxParts } from "../../lib/sandbox/sandbox.ts";
import { freezeDisk, holdMachine } from "../../lib/sandbox/stand_still.ts";
import { Stillness } from "../../lib/sandbox/stillness.ts";
import { ManualClock } from "../support/manual_clock.ts";

const WANTED = new AbortController().signal;

async function turns(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await setImmediate();
}

test("each has his turn, and who gives up waiting for it is not waited for", async () => {
  const stillness = new Stillness();
  const order: string[] = [];
  const first = await stillness.begin();
  const enough = new AbortController();
  const given = stillness.begin(enough.signal).catch((error) => order.push(String(error)));
  const last = stillness.begin().then((over) => (order.push("last"), over));
  enough.abort("enough");
  await given;
  await turns();
  expect(order).toEqual(["enough"]);
  first();
  first(); // once is enough
  (await last)();
  expect(order).toEqual(["enough", "last"]);
  (await stillness.begin())();
});

test("a wait has its time of a guest that moves", async () => {
  const clock = new ManualClock();
  const stillness = new Stillness(clock);
  const heard: [string, boolean][] = [];
  const wait = (name: string) =>
    void stillness.settles(new Promise(() => {}), 1_000).then((done) => heard.push([name, done]));
  wait("before");
  await clock.pass(900);
  const over = await stillness.begin();
  wait("within");
  await clock.pass(100_000);
  await turns();
  expect(heard).toEqual([]);
  expect(await stillness.settles(Promise.resolve(), 1_000)).toBe(true);
  over();
  await turns();
  await clock.pass(999);
  await turns();
  expect(heard).toEqual([]);
  await clock.pass(1);
  await turns();
  expect(heard.toSorted()).toEqual([["before", false], ["within", false]]);
});

test("a limit that is held outside does not count the time in which it stands still", async () => {
  const clock = new ManualClock();
  const stillness = new Stillness(clock);
  const said: string[] = [];
  const watch = (ms: number) => (said.push(`in ${ms}`), () => void said.push("lifted"));
  const lift = stillness.limit(5_000, watch);
  await clock.pass(2_000);
  const over = await stillness.begin();
  stillness.limit(700, watch)();
  const late = stillness.limit(800, watch);
  await clock.pass(60_000);
  expect(said).toEqual(["in 5000", "lifted"]);
  over();
  expect(said.slice(2)).toEqual(["in 3000", "in 800"]);
  lift();
  late();
  (await stillness.begin())();
  expect(said.slice(4)).toEqual(["lifted", "lifted"]);
});

/** A guest that comes to a stand when it is told to. */
function parts(more: Partial<SandboxParts> = {}) {
  const asked: { name: string; stand: () => void }[] = [];
  const standing = (name: string) => new Promise<void>((stand) => asked.push({ name, stand }));
  const go = () => Promise.resolve();
  const guest = {
    freeze: () => standing("freeze").then(() => ({ thaw: go })),
    hold: () => standing("hold").then(() => ({ facts: {}, release: go })),
  } as unknown as Guest;
  const lifetime = new Lifetime();
  const options = { disk: {} } as SandboxParts["options"];
  const made = { guest, lifetime, options, placeholders: {}, ...more } as SandboxParts;
  return { parts: made, asked, lifetime, stillness: new Stillness() };
}

test("a second copy is not begun before the first is done, whatever it is of", async () => {
  const { parts: of, asked, stillness } = parts();
  const names = () => asked.map(({ name }) => name);
  const first = holdMachine(of, stillness, WANTED);
  const second = freezeDisk(of, stillness, WANTED);
  await turns();
  expect(names()).toEqual(["hold"]);
  asked[0]?.stand();
  const { release } = await first;
  await turns();
  expect(names()).toEqual(["hold"]);
  await release();
  await turns();
  expect(names()).toEqual(["hold", "freeze"]);
  asked[1]?.stand();
  await (await second).thaw();
  (await stillness.begin())();
});

test("one that fails, or whose sandbox ends, leaves the turn to the next", async () => {
  const failing = parts({
    guest: { freeze: () => Promise.reject(new Error("it fails")) } as unknown as Guest,
  });
  await expect(freezeDisk(failing.parts, failing.stillness, WANTED)).rejects.toThrow("it fails");
  (await failing.stillness.begin())();
  const { parts: of, stillness, lifetime } = parts();
  const held = holdMachine(of, stillness, WANTED).catch((error) => error);
  const next = freezeDisk(of, stillness, WANTED).catch((error) => error);
  await turns();
  await lifetime.end();
  for (const each of [await held, await next]) expect(each).toMatchObject({ code: "STOPPED" });
});

test("a machine that was started with what is its own alone is not saved, whatever was taken back since", async () => {
  for (
    const [more, why] of [
      [{ placeholders: { TOKEN: "placeholder" } }, "placeholders"],
      [{ hasAuthority: true }, "authority"],
      [{ guest: { freeze: () => {} } as unknown as Guest }, "no guest of its kind"],
    ] as const
  ) {
    const { parts: of, asked, stillness } = parts(more);
    await expect(holdMachine(of, stillness, WANTED)).rejects.toMatchObject({
      code: "MEMORY_UNSAVABLE",
      message: expect.stringContaining(why),
    });
    expect(asked).toEqual([]);
    (await stillness.begin())(); // nobody's turn was taken
  }
});
