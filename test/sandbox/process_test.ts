import { expect, test } from "bun:test";
import { SbxError } from "../../lib/base/errors.ts";
import type { GuestProcess } from "../../lib/guest/guest.ts";
import { ANSWER_MS, OBEY_MS, SHARED_QUESTIONS, UNHEARD_MS } from "../../lib/sandbox/ending.ts";
import { Lifetime } from "../../lib/sandbox/lifetime.ts";
import { MAX_OUTPUT_BYTES, SandboxProcess } from "../../lib/sandbox/process.ts";
import { Stillness } from "../../lib/sandbox/stillness.ts";
import { ManualClock } from "../support/manual_clock.ts";

interface Script {
  readonly stdout?: readonly Uint8Array[];
  readonly stderr?: readonly Uint8Array[];
  /** Called with every signal; what it returns ends the command. */
  readonly onSignal?: (signal: number) => { code?: number; signal?: number } | undefined;
  readonly answers?: () => Promise<unknown>;
  readonly onDiscard?: (end: (status: { signal: number }) => void) => void;
}

/** A command that prints what the script says and ends when told to. */
function command(script: Script = {}) {
  const exit = Promise.withResolvers<{ code?: number; signal?: number }>();
  const signals: number[] = [];
  const sent: Uint8Array[] = [];
  const guest: GuestProcess = {
    stdin: new WritableStream({ write: (chunk) => void sent.push(chunk) }),
    stdout: ReadableStream.from(script.stdout ?? []),
    stderr: ReadableStream.from(script.stderr ?? []),
    exit: exit.promise,
    started: Promise.resolve(true),
    signal(number) {
      signals.push(number);
      const end = script.onSignal?.(number);
      if (end !== undefined) exit.resolve(end);
    },
    answers: () => script.answers?.() ?? Promise.resolve(),
    discard: () => void script.onDiscard?.(exit.resolve),
    resize: () => {},
  };
  return { guest, exit, signals, sent };
}

const utf8 = (text: string) => new TextEncoder().encode(text);

test("output() decodes characters that are split between chunks, and says how the command ended", async () => {
  const [head, tail] = [utf8("grü").slice(0, 3), utf8("grü").slice(3)];
  const { guest, exit } = command({ stdout: [head, tail], stderr: [utf8("warning\n")] });
  exit.resolve({ code: 3 });
  expect(await new SandboxProcess(guest, new Lifetime()).output()).toEqual({
    stdout: "grü",
    stderr: "warning\n",
    code: 3,
    timedOut: false,
  });
});

test("output() kills a command that prints without end", async () => {
  const chunk = new Uint8Array(MAX_OUTPUT_BYTES / 4);
  const { guest, signals } = command({
    stdout: Array.from({ length: 5 }, () => chunk),
    onSignal: (signal) => ({ signal }),
  });
  const output = new SandboxProcess(guest, new Lifetime()).output();
  await expect(output).rejects.toMatchObject({ code: "OUTPUT_TOO_LONG" });
  expect(signals).toEqual([9]);
});

test("the time limit asks the command to end, and tells that it did", async () => {
  const { guest, signals } = command({ onSignal: (signal) => ({ signal }) });
  const { exit } = new SandboxProcess(guest, new Lifetime(), { limit: { ms: 1 } });
  expect(await exit).toEqual({ signal: 15, timedOut: true });
  expect(signals).toEqual([15]);
});

test("a command that ignores the request at its time limit is killed", async () => {
  const { guest, signals } = command({
    onSignal: (signal) => signal === 9 ? { signal } : undefined,
  });
  const { exit } = new SandboxProcess(guest, new Lifetime(), { limit: { ms: 1 } });
  expect(await exit).toEqual({ signal: 9, timedOut: true });
  expect(signals).toEqual([15, 9]);
});

test("a lost agent is reported as what ended the guest", async () => {
  const lifetime = new Lifetime();
  const { guest, exit } = command();
  const child = new SandboxProcess(guest, lifetime);
  exit.reject(new SbxError("GUEST_LOST", "Cannot reach the guest: its agent is gone"));
  const reason = new SbxError("GUEST_LOST", "Cannot go on: the guest ended (SIGKILL)");
  await Promise.resolve();
  void lifetime.end(reason);
  await expect(child.exit).rejects.toBe(reason);
});

test("a command that could not be started keeps its own reason", async () => {
  const { guest, exit } = command();
  const reason = new SbxError("EXEC_NOT_FOUND", "Cannot run the command: nope: not found");
  exit.reject(reason);
  await expect(new SandboxProcess(guest, new Lifetime()).exit).rejects.toBe(reason);
});

test("a stopped sandbox ends the wait for its commands", async () => {
  const lifetime = new Lifetime();
  const child = new SandboxProcess(command().guest, lifetime);
  void lifetime.end();
  await expect(child.exit).rejects.toMatchObject({ code: "STOPPED" });
});

const never = () => new Promise<never>(() => {});

/** A lifetime whose end is seen. */
function watched() {
  const lifetime = new Lifetime();
  const ended: string[] = [];
  lifetime.add({
    name: "machine",
    gone: lifetime.ending.then(() => undefined),
    stop: () => void ended.push("machine"),
  });
  return { lifetime, ended };
}

test.concurrent("a guest that obeys nothing is ended at the time limit", async () => {
  const { lifetime, ended } = watched();
  const { guest, signals } = command({ answers: never });
  const { exit } = new SandboxProcess(guest, lifetime, { limit: { ms: 1 } });
  expect(await exit).toEqual({ signal: 9, timedOut: true });
  expect([signals, ended]).toEqual([[15, 9], ["machine"]]);
  expect(await lifetime.ending).toMatchObject({ code: "GUEST_LOST" });
});

test.concurrent(
  "of a shared sandbox a command may be slow to end while the agent answers",
  async () => {
    const { lifetime, ended } = watched();
    const slow = command();
    const { exit } = new SandboxProcess(slow.guest, lifetime, {
      limit: { ms: 1 },
      questions: SHARED_QUESTIONS,
    });
    await new Promise((resolve) => setTimeout(resolve, 2 * (OBEY_MS + UNHEARD_MS)));
    slow.exit.resolve({ signal: 9 });
    expect(await exit).toEqual({ signal: 9, timedOut: true });
    expect([slow.signals, ended]).toEqual([[15, 9], []]);

    const dead = command({ answers: never });
    const lost = new SandboxProcess(dead.guest, lifetime, {
      limit: { ms: 1 },
      questions: SHARED_QUESTIONS,
    });
    expect(await lost.exit).toEqual({ signal: 9, timedOut: true });
    expect(ended).toEqual(["machine"]);
  },
  30_000,
);

test.concurrent(
  "of a shared sandbox a command may not take for ever, whatever the agent answers",
  async () => {
    const { lifetime, ended } = watched();
    const { guest, signals } = command();
    const { exit } = new SandboxProcess(guest, lifetime, { limit: { ms: 1 }, questions: 2 });
    expect(await exit).toEqual({ signal: 9, timedOut: true });
    expect([signals, ended]).toEqual([[15, 9], ["machine"]]);
  },
  30_000,
);

test.concurrent("a killed command whose output nobody reads has its status all the same", async () => {
  const { lifetime, ended } = watched();
  const { guest, signals } = command({ onDiscard: (end) => end({ signal: 15 }) });
  const { exit } = new SandboxProcess(guest, lifetime, { limit: { ms: 1 } });
  expect(await exit).toEqual({ signal: 15, timedOut: true });
  expect([signals, ended]).toEqual([[15, 9], []]);
});

test.concurrent("who does not answer when asked to end is ended, and had that signal", async () => {
  const { lifetime, ended } = watched();
  const child = new SandboxProcess(command({ answers: never }).guest, lifetime);
  child.kill(15);
  expect(await child.exit).toEqual({ signal: 15, timedOut: false });
  expect(ended).toEqual(["machine"]);
});

test.concurrent(
  "who answers may take its time, and so may a signal that asks for nothing",
  async () => {
    const { lifetime, ended } = watched();
    const slow = command();
    const child = new SandboxProcess(slow.guest, lifetime);
    child.kill(15);
    const deaf = new SandboxProcess(command({ answers: never }).guest, lifetime);
    deaf.kill(10);
    await new Promise((resolve) => setTimeout(resolve, ANSWER_MS + OBEY_MS));
    expect(ended).toEqual([]);
    slow.exit.resolve({ code: 4 });
    expect(await child.exit).toEqual({ code: 4, timedOut: false });
  },
  20_000,
);

test("a sandbox that is ended past the limit was ended by it, whoever was first", async () => {
  const reason = new SbxError("GUEST_LOST", "Cannot go on: the guest ended (SIGKILL)");
  for (const [ms, status] of [[1, { signal: 9, timedOut: true }], [60_000, null]] as const) {
    const { lifetime } = watched();
    const { exit } = new SandboxProcess(command().guest, lifetime, { limit: { ms } });
    // The thread hangs, so that nothing here does what is to be done at the limit.
    const until = performance.now() + 20;
    while (performance.now() < until);
    void lifetime.end(reason);
    if (status === null) await expect(exit).rejects.toBe(reason);
    else expect(await exit).toEqual(status);
  }
});

test("the watchdog knows the limit of a command, and that it has ended", async () => {
  const said: string[] = [];
  const { guest, exit } = command();
  const watch = (ms: number) => {
    said.push(ms > 60_000 ? "later than the limit" : "too early");
    return () => void said.push("lifted");
  };
  const child = new SandboxProcess(guest, new Lifetime(), { limit: { ms: 60_000, watch } });
  expect(said).toEqual(["later than the limit"]);
  exit.resolve({ code: 0 });
  await child.exit;
  expect(said).toEqual(["later than the limit", "lifted"]);
});

test("a limit of more than 24 days is not over at once", async () => {
  const { guest, signals } = command();
  const child = new SandboxProcess(guest, new Lifetime(), { limit: { ms: 30 * 24 * 3600 * 1000 } });
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(signals).toEqual([]);
  child.kill(10);
  expect(signals).toEqual([10]);
});

test("an aborted command is asked to end, and rejects with the signal's reason when it is gone", async () => {
  const { guest, signals, exit: ended } = command();
  const given = new AbortController();
  const { exit } = new SandboxProcess(guest, new Lifetime(), { signal: given.signal });
  const reason = new Error("not wanted any more");
  given.abort(reason);
  expect(signals).toEqual([15]);
  ended.resolve({ signal: 15 });
  expect(await exit.catch((error) => error)).toBe(reason);
});

test("a command that has ended is not asked to", async () => {
  const { guest, signals, exit: ended } = command();
  const given = new AbortController();
  const { exit } = new SandboxProcess(guest, new Lifetime(), { signal: given.signal });
  ended.resolve({ code: 0 });
  expect(await exit).toEqual({ code: 0, timedOut: false });
  given.abort();
  expect(signals).toEqual([]);
});

test("a command that stands still with its guest is not what the guest is ended for", async () => {
  const { lifetime, ended } = watched();
  const clock = new ManualClock();
  const stillness = new Stillness(clock);
  const pass = async (ms: number) => {
    await clock.pass(ms);
    await new Promise((resolve) => setTimeout(resolve));
  };
  const over = await stillness.begin();
  const { exit } = new SandboxProcess(command({ answers: never }).guest, lifetime, { stillness });
  const killed = new SandboxProcess(command().guest, lifetime, { stillness, questions: 1 });
  killed.kill(9);
  const asked = new SandboxProcess(command({ answers: never }).guest, lifetime, { stillness });
  asked.kill(2);
  await pass(600_000);
  expect(ended).toEqual([]);
  over();
  await pass(ANSWER_MS - 1);
  expect(ended).toEqual([]);
  await pass(1);
  expect(ended).toEqual(["machine"]);
  await expect(exit).rejects.toMatchObject({ code: "GUEST_LOST" });
});
