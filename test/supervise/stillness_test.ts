/** Who has a guest stand still says all the time that he is there; one who does not has it go on. */
import { expect, test } from "bun:test";
import { duplexPair } from "node:stream";
import { setImmediate } from "node:timers/promises";
import { SbxError } from "../../lib/base/errors.ts";
import type { Sandbox } from "../../lib/sandbox/sandbox.ts";
import { frozenFor, heldFor } from "../../lib/supervise/stillness_call.ts";
import { relayFreeze, relaySave } from "../../lib/supervise/stillness_relay.ts";
import { CallClient } from "../../lib/wire/call_client.ts";
import { serverBounds } from "../../lib/wire/call_frame.ts";
import { serveCalls } from "../../lib/wire/call_server.ts";
import { ManualClock } from "../support/manual_clock.ts";

const FACTS = { key: "0".repeat(64), calls: 12, tscKHz: 0 };

/** Both ends, each with a clock of its own; `signals` are those with which the guest was asked to stand still. */
function ends(method: "freeze" | "save", beats: boolean) {
  const clocks = { client: new ManualClock(), supervisor: new ManualClock() };
  const signals: AbortSignal[] = [];
  const begun = Promise.withResolvers<void>();
  let released = 0;
  const release = () => (released++, Promise.resolve());
  const sandbox = {
    async freeze(signal: AbortSignal) {
      signals.push(signal);
      await begun.promise;
      return { thaw: release };
    },
    async hold(signal: AbortSignal) {
      signals.push(signal);
      await begun.promise;
      return { facts: FACTS, release };
    },
  } as unknown as Sandbox;
  const relay = method === "freeze" ? relayFreeze : relaySave;
  const [near, far] = duplexPair();
  void serveCalls(far, (call) => relay(sandbox, beats, call, clocks.supervisor));
  const client = new CallClient(near, {
    peer: { name: "the supervisor", sends: serverBounds(8 << 20) },
    traced: "agent",
    gone: () => new SbxError("STOPPED", "Cannot go on: it is gone"),
  });
  const call = client.plain({ method }, ({ code, message }) => {
    return new SbxError(code === "STOPPED" ? "STOPPED" : "GUEST_FAILED", message);
  });
  return { clocks, call, signals, stand: begun.resolve, released: () => released };
}

async function turns(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await setImmediate();
}

async function held(method: "freeze" | "save", of: ReturnType<typeof ends>) {
  of.stand();
  const { call, clocks } = of;
  if (method === "freeze") return (await frozenFor(call, clocks.client)).thaw;
  return (await heldFor(call, clocks.client)).release;
}

test.each(["freeze", "save"] as const)(
  "%s: it stands still as long as the client is heard of",
  async (method) => {
    const both = ends(method, true);
    const release = await held(method, both);
    for (let second = 0; second < 200; second++) {
      await both.clocks.client.pass(1_000);
      await turns();
      await both.clocks.supervisor.pass(1_000);
    }
    expect(both.released()).toBe(0);
    await release();
    expect(both.released()).toBe(1);
  },
);

test.each(["freeze", "save"] as const)(
  "%s: a client that is stopped has it go on, and hears so later",
  async (method) => {
    const both = ends(method, true);
    const release = await held(method, both);
    await turns();
    await both.clocks.supervisor.pass(59_999);
    await turns();
    expect(both.released()).toBe(0);
    await both.clocks.supervisor.pass(1);
    await turns();
    expect(both.released()).toBe(1);
    await expect(release()).rejects.toMatchObject({
      code: "STOPPED",
      message: "Cannot keep the guest still: whoever asked for it said nothing for 60 seconds",
    });
    expect(both.released()).toBe(1);
  },
);

test("a client of an older sbx is not waited for to say anything", async () => {
  const both = ends("freeze", false);
  const release = await held("freeze", both);
  await turns();
  await both.clocks.supervisor.pass(10_000_000);
  await turns();
  expect(both.released()).toBe(0);
  await release();
  expect(both.released()).toBe(1);
});

test.each(["freeze", "save"] as const)(
  "%s: who gives up while the guest comes to a stand is not waited for",
  async (method) => {
    const both = ends(method, true);
    await turns();
    expect(both.signals.map(({ aborted }) => aborted)).toEqual([false]);
    both.call.giveUp();
    await turns();
    expect(both.signals.map(({ aborted }) => aborted)).toEqual([true]);
    both.stand();
    await turns();
    expect(both.released()).toBe(1);
  },
);
