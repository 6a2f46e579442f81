/** A supervisor's answers to clients of all kinds, over a socket in memory; the sandbox is the test's. */
import { expect, test } from "bun:test";
import { duplexPair } from "node:stream";
import { setImmediate } from "node:timers";
import { SbxError } from "../../lib/base/errors.ts";
import type { Sandbox } from "../../lib/sandbox/sandbox.ts";
import type { Jobs } from "../../lib/supervise/jobs.ts";
import { answer, type Supervised } from "../../lib/supervise/service.ts";
import { CallClient } from "../../lib/wire/call_client.ts";
import { encodeCallFrame, Kind, serverBounds } from "../../lib/wire/call_frame.ts";
import { serveCalls } from "../../lib/wire/call_server.ts";

const PEER = { name: "the supervisor", sends: serverBounds(8 << 20) };
const explain = ({ code, message }: { code: string; message: string }) =>
  new SbxError("USAGE", `${code}: ${message}`);

function supervised(parts: Partial<Supervised> = {}) {
  const all: Supervised = {
    name: "dev",
    sbx: "0.1.0",
    sandbox: undefined,
    jobs: {} as Jobs,
    state: { kind: "starting", at: 1, pid: 2 },
    applyPolicy: () => Promise.reject(new Error("not of this test")),
    publish: () => Promise.reject(new Error("not of this test")),
    unpublish: () => Promise.reject(new Error("not of this test")),
    stop: () => Promise.resolve(),
    ...parts,
  };
  const [near, far] = duplexPair();
  void serveCalls(far, async (call) => ({ ...await answer(all, call) }));
  const client = new CallClient(near, {
    peer: PEER,
    traced: "agent",
    gone: () => new SbxError("STOPPED", "Cannot go on: it is gone"),
  });
  return { near, far, ask: (request: Record<string, unknown>) => client.plain(request, explain) };
}

const said = (ok: Promise<unknown>) => ok.catch(({ message }) => message);

test("hello says who it is, and while there is no machine the others say so", async () => {
  const { ask } = supervised();
  expect(await ask({ method: "hello", protocol: 7, sbx: "9" }).ok).toEqual({
    protocol: 1,
    sbx: "0.1.0",
    name: "dev",
  });
  expect(await ask({ method: "status" }).ok).toEqual({
    state: { kind: "starting", at: 1, pid: 2 },
  });
  for (
    const request of [
      { method: "exec", argv: "", env: "", stdin: false },
      { method: "metrics" },
      { method: "freeze" },
      { method: "events" },
      { method: "wait-for-port", port: 80 },
      { method: "files", request: { method: "list", path: btoa("/") } },
    ]
  ) {
    expect(await said(ask(request).ok)).toBe(
      "STOPPED: Cannot use sandbox dev: it is being started",
    );
  }
});

test("what no client asks is refused, a newer one's words apart from malformed ones", async () => {
  const { ask } = supervised();
  const malformed = "PROTOCOL: Cannot do what was asked: the request is malformed";
  const newer = "PROTOCOL: Cannot do what was asked: this sandbox's supervisor is older";
  for (
    const [request, wanted] of [
      [{}, newer],
      [{ method: 7 }, newer],
      [{ method: "fork" }, newer],
      [{ method: "exec" }, malformed],
      [{ method: "exec", argv: btoa("a"), env: "", stdin: true }, malformed],
      [{ method: "signal", job: "1", signal: 65 }, malformed],
      [{ method: "attach", job: "main", from: -1 }, malformed],
      [{ method: "stop", graceMs: -1 }, malformed],
      [{ method: "wait", job: "x".repeat(33) }, malformed],
      [{ method: "publish", hostPort: 70_000, guestPort: 1, protocol: "tcp" }, malformed],
    ] as const
  ) expect([request, await said(ask(request).ok)]).toEqual([request, wanted]);
  // What is not known beside a method is not looked at.
  expect(await ask({ method: "ping", later: true }).ok).toEqual({});
});

test("stop passes on how long its command may take, which an older client does not say", async () => {
  const heard: number[] = [];
  const { ask } = supervised({
    stop: (graceMs) => {
      heard.push(graceMs);
      return Promise.resolve();
    },
  });
  await ask({ method: "stop", graceMs: 250 }).ok;
  await ask({ method: "stop" }).ok;
  expect(heard).toEqual([250, 0]);
});

test("a wait that is given up is over on both sides, and others go on", async () => {
  const signals: (AbortSignal | undefined)[] = [];
  const sandbox = {
    waitForPort: (_port: number, { signal }: { signal?: AbortSignal }) => {
      signals.push(signal);
      return new Promise((_, reject) =>
        signal?.addEventListener("abort", () => reject(new SbxError("STOPPED", "given up")))
      );
    },
  } as unknown as Sandbox;
  const jobs = { wait: () => new Promise(() => {}) } as unknown as Jobs;
  const { ask } = supervised({ sandbox, jobs });
  const port = ask({ method: "wait-for-port", port: 80 });
  const job = ask({ method: "wait", job: "main" });
  await ask({ method: "ping" }).ok;
  expect(signals[0]?.aborted).toBe(false);
  port.giveUp();
  expect(await said(port.ok)).toBe("STOPPED: given up");
  expect(signals[0]?.aborted).toBe(true);
  job.giveUp();
  expect(await said(job.ok)).toContain("the caller waits no more");
  expect(await ask({ method: "ping" }).ok).toEqual({});
});

test(
  "a client that never reads is not listened to any more, and heard again once he does",
  async () => {
    const [near, far] = duplexPair({ highWaterMark: 1 << 10 });
    let answered = 0;
    void serveCalls(far, () => {
      answered++;
      return Promise.resolve({ answer: "x".repeat(1 << 20) });
    });
    const asked = 100;
    const ping = new TextEncoder().encode('{"method":"ping"}');
    for (let id = 1; id <= asked; id++) {
      near.write(encodeCallFrame(Kind.Call, id, 0, ping));
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(answered).toBeGreaterThan(10);
    expect(answered).toBeLessThan(asked / 2);
    near.resume();
    while (answered < asked) await new Promise((resolve) => setImmediate(resolve));
    expect(answered).toBe(asked);
  },
  30_000,
);
