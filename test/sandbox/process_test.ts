import { expect, test } from "bun:test";
import { SbxError } from "../../lib/base/errors.ts";
import type { GuestProcess } from "../../lib/guest/guest.ts";
import { Lifetime } from "../../lib/sandbox/lifetime.ts";
import { MAX_OUTPUT_BYTES, SandboxProcess } from "../../lib/sandbox/process.ts";

interface Script {
  readonly stdout?: readonly Uint8Array[];
  readonly stderr?: readonly Uint8Array[];
  /** Called with every signal; what it returns ends the command. */
  readonly onSignal?: (signal: number) => { code?: number; signal?: number } | undefined;
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
    signal(number) {
      signals.push(number);
      const end = script.onSignal?.(number);
      if (end !== undefined) exit.resolve(end);
    },
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
  const { exit } = new SandboxProcess(guest, new Lifetime(), 1);
  expect(await exit).toEqual({ signal: 15, timedOut: true });
  expect(signals).toEqual([15]);
});

test("a command that ignores the request at its time limit is killed", async () => {
  const { guest, signals } = command({
    onSignal: (signal) => signal === 9 ? { signal } : undefined,
  });
  const { exit } = new SandboxProcess(guest, new Lifetime(), 1);
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
