import { expect, test } from "bun:test";
import type { LoopbackServer } from "../../lib/guest/agent/result.ts";
import { LoopbackQuestion } from "../../lib/sandbox/loopback_question.ts";
import { ManualClock } from "../support/manual_clock.ts";

const SERVER: LoopbackServer = { at: "127.0.0.1", port: 40_000 };

/** A question to a guest that answers when the test says so. */
function asking() {
  const clock = new ManualClock();
  const asked: PromiseWithResolvers<LoopbackServer | null>[] = [];
  const question = new LoopbackQuestion(() => {
    const answer = Promise.withResolvers<LoopbackServer | null>();
    asked.push(answer);
    return answer.promise;
  }, clock);
  const answers: (LoopbackServer | null)[] = [];
  const come = (count = 1) => {
    for (let i = 0; i < count; i++) void question.answer().then((server) => answers.push(server));
    return clock.pass(0);
  };
  const say = (server: LoopbackServer | null) => {
    asked.at(-1)?.resolve(server);
    return clock.pass(0);
  };
  return { clock, asked, answers, come, say };
}

test("a hundred that come at once ask once, and get the one answer", async () => {
  const { asked, answers, come, say } = asking();
  await come(100);
  expect(asked).toHaveLength(1);
  await say(SERVER);
  expect(answers).toEqual(Array(100).fill(SERVER));
});

test("whoever comes while a question is under way is content with a server, not with its absence", async () => {
  for (const found of [SERVER, null]) {
    const { clock, asked, answers, come, say } = asking();
    await come();
    await come(100);
    expect(asked).toHaveLength(1);
    await say(found);
    await clock.pass(100);
    if (found === null) {
      expect([answers, asked.length]).toEqual([[null], 2]);
      await say(SERVER);
    }
    expect(answers).toEqual([found, ...Array(100).fill(SERVER)]);
    expect(asked).toHaveLength(found === null ? 2 : 1);
  }
});

test("a server is taken to be there for a second, and asked for again after it", async () => {
  const { clock, asked, answers, come, say } = asking();
  await come();
  await say(SERVER);
  await clock.pass(999);
  await come();
  expect([answers, asked.length]).toEqual([[SERVER, SERVER], 1]);
  await clock.pass(1);
  await come();
  expect([answers.length, asked.length]).toEqual([2, 2]);
  await say(null);
  expect(answers).toEqual([SERVER, SERVER, null]);
});

test("an absence holds for nobody who comes later, and is asked about ten times a second at most", async () => {
  const { clock, asked, answers, come, say } = asking();
  for (let turn = 0; turn < 950; turn++) {
    await come();
    await say(null);
    await clock.pass(1);
  }
  expect(asked.length).toBe(10);
  await clock.pass(100);
  await say(null);
  expect(answers).toEqual(Array(950).fill(null));
  await clock.pass(100);
  await come();
  await say(SERVER);
  expect(answers.at(-1)).toEqual(SERVER);
});

test("a guest that cannot say has nobody, and is asked again", async () => {
  const { clock, asked, answers, come, say } = asking();
  await come();
  asked[0]?.reject(new Error("lost"));
  await clock.pass(100);
  await come();
  await say(SERVER);
  expect(answers).toEqual([null, SERVER]);
});

test("a guest that never answers is asked once", async () => {
  const { clock, asked, answers, come } = asking();
  for (let turn = 0; turn < 100; turn++) {
    await come(10);
    await clock.pass(1000);
  }
  expect([asked.length, answers]).toEqual([1, []]);
});
