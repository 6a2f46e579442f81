/** A client that holds back what it says while its peer is saved: what is asked meanwhile is asked afterwards. */
import { expect, test } from "bun:test";
import { duplexPair } from "node:stream";
import { setImmediate } from "node:timers/promises";
import { SbxError } from "../../lib/base/errors.ts";
import { CallClient } from "../../lib/wire/call_client.ts";
import { serverBounds } from "../../lib/wire/call_frame.ts";
import { serveCalls } from "../../lib/wire/call_server.ts";

const failure = () => new SbxError("GUEST_FAILED", "Cannot do it: it failed");

function pair() {
  const [near, far] = duplexPair();
  const asked: unknown[] = [];
  const answers: PromiseWithResolvers<void>[] = [];
  void serveCalls(far, async ({ request }) => {
    asked.push(request.method);
    const answer = Promise.withResolvers<void>();
    answers.push(answer);
    await answer.promise;
    return {};
  });
  const client = new CallClient(near, {
    peer: { name: "the peer", sends: serverBounds(1 << 20) },
    traced: "agent",
    gone: () => new SbxError("STOPPED", "Cannot go on: it is gone"),
    calls: 40,
  });
  return { client, asked, answers };
}

async function turns(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await setImmediate();
}

test("nothing is held while something is asked, and what is asked later waits for the release", async () => {
  const { client, asked, answers } = pair();
  const first = client.plain({ method: "first" }, failure);
  expect(client.hold()).toBeUndefined();
  await turns();
  answers[0]?.resolve();
  await first.ok;
  const held = client.hold();
  expect(held?.calls).toBe(41);
  const second = client.plain({ method: "second" }, failure);
  await turns();
  expect(asked).toEqual(["first"]);
  held?.release();
  await turns();
  expect(asked).toEqual(["first", "second"]);
  answers[1]?.resolve();
  await second.ok;
  client.close();
  expect(client.hold()).toBeUndefined();
});
