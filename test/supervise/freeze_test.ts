/** A disk that stands still for a client of a supervisor, over a socket in memory; the sandbox is the test's. */
import { expect, test } from "bun:test";
import { duplexPair } from "node:stream";
import { setImmediate } from "node:timers/promises";
import { SbxError } from "../../lib/base/errors.ts";
import { frozenBy, frozenInTime } from "../../lib/guest/agent/freeze.ts";
import type { FrozenDisk } from "../../lib/guest/guest.ts";
import type { Sandbox } from "../../lib/sandbox/sandbox.ts";
import type { Jobs } from "../../lib/supervise/jobs.ts";
import { answer, type Supervised } from "../../lib/supervise/service.ts";
import { CallClient } from "../../lib/wire/call_client.ts";
import { serverBounds } from "../../lib/wire/call_frame.ts";
import { serveCalls } from "../../lib/wire/call_server.ts";
import { ManualClock } from "../support/manual_clock.ts";

/** A guest that stands still when it is told to, and says how often it was let go. */
function guest(going: Promise<void> = Promise.resolve()) {
  const asked = Promise.withResolvers<FrozenDisk>();
  let thawed = 0;
  const disk: FrozenDisk = { thaw: () => (thawed++, going) };
  const sandbox = { freeze: () => asked.promise } as unknown as Sandbox;
  const supervised = { sandbox, jobs: {} as Jobs } as Supervised;
  const [near, far] = duplexPair();
  void serveCalls(far, async (call) => ({ ...await answer(supervised, call) }));
  const client = new CallClient(near, {
    peer: { name: "the supervisor", sends: serverBounds(8 << 20) },
    traced: "agent",
    gone: () => new SbxError("STOPPED", "Cannot go on: it is gone"),
  });
  const call = () =>
    client.plain({ method: "freeze" }, ({ message }) => new SbxError("GUEST_FAILED", message));
  return {
    client,
    call,
    stand: () => asked.resolve(disk),
    refuse: (error: SbxError) => asked.reject(error),
    thawed: () => thawed,
  };
}

async function turns(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await setImmediate();
}

test("it stands still from the answer on until it is let go", async () => {
  const { call, stand, thawed } = guest();
  let isFrozen = false;
  const freezing = frozenBy(call()).then((disk) => (isFrozen = true, disk));
  await turns();
  expect(isFrozen).toBe(false);
  stand();
  const disk = await freezing;
  await turns();
  expect(thawed()).toBe(0);
  await disk.thaw();
  expect(thawed()).toBe(1);
});

test("what the guest cannot do, and what it did not, is heard", async () => {
  const refused = guest();
  refused.refuse(new SbxError("DISK_MISSING", "Cannot keep the disk still: the guest has none"));
  await expect(frozenBy(refused.call())).rejects.toThrow("the guest has none");
});

test.each(["the client is gone", "nobody waits for it any more"])(
  "it goes on when %s, also where it stood still only afterwards",
  async (how) => {
    for (const late of [false, true]) {
      const { client, call, stand, thawed } = guest();
      const plain = call();
      const freezing = frozenBy(plain).catch(() => undefined);
      if (!late) {
        stand();
        await freezing;
      }
      await turns();
      expect(thawed()).toBe(0);
      if (how === "the client is gone") client.close();
      else plain.giveUp();
      await turns();
      if (late) stand();
      await turns();
      expect([late, thawed()]).toEqual([late, 1]);
    }
  },
);

test("a guest that does not stand still in time is given up, and goes on when it does so later", async () => {
  const clock = new ManualClock();
  const { call, stand, thawed } = guest();
  const freezing = frozenInTime(call(), clock);
  await turns();
  await clock.pass(59_999);
  stand();
  await turns();
  await (await freezing).thaw();
  expect(thawed()).toBe(1);

  const late = guest();
  const given = frozenInTime(late.call(), clock).catch((error: SbxError) => error);
  await turns();
  await clock.pass(60_000);
  expect(await given).toMatchObject({
    code: "GUEST_FAILED",
    message: "Cannot keep the guest's disk still: the guest did not answer in 60 seconds",
  });
  late.stand();
  await turns();
  expect(late.thawed()).toBe(1);
});

test("nobody waits for ever for a guest that was let go", async () => {
  const clock = new ManualClock();
  const { call, stand } = guest(new Promise(() => {}));
  const freezing = frozenInTime(call(), clock);
  stand();
  const going = (await freezing).thaw().catch((error: SbxError) => error);
  await turns();
  await clock.pass(30_000);
  expect(await going).toMatchObject({
    code: "GUEST_FAILED",
    message: "Cannot let the guest go on: the guest did not answer in 30 seconds",
  });
});
