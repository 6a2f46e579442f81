/** What a sandbox is now, out of what its supervisor wrote last and whether there still is one. */
import { expect, test } from "bun:test";
import { SbxError } from "../../lib/base/errors.ts";
import { endState, isRestarted } from "../../lib/supervise/end.ts";
import { FOREVER } from "../../lib/supervise/record.ts";
import {
  formatState,
  parseState,
  type SandboxState,
  type SandboxStatus,
  statusOf,
} from "../../lib/supervise/state.ts";

const error = { code: "GUEST_LOST", message: "Cannot go on: it is gone" };
const STATES: readonly (readonly [SandboxState, held: SandboxStatus, free: SandboxStatus])[] = [
  [{ kind: "created", at: 1 }, "starting", "created"],
  [{ kind: "starting", at: 1, pid: 2 }, "starting", "lost"],
  [
    { kind: "running", at: 1, pid: 2, accelerator: "kvm", published: [], restarts: 0 },
    "running",
    "lost",
  ],
  [{ kind: "stopped", at: 1 }, "stopping", "stopped"],
  [{ kind: "stopped", at: 1, exit: { signal: 9 } }, "stopping", "stopped"],
  [{ kind: "failed", at: 1, error }, "stopping", "failed"],
];

test("each state is told by whether somebody holds the sandbox, and written as it is read", () => {
  for (const [state, held, free] of STATES) {
    expect([statusOf(state, true), statusOf(state, false)]).toEqual([held, free]);
    expect(parseState(formatState(state))).toEqual(state);
  }
});

test("what cannot be read says nothing", () => {
  for (const text of [null, "", "{", '{"kind":"running"}', '{"kind":"new","at":1}']) {
    expect(parseState(text)).toEqual({ kind: "created", at: 0 });
  }
});

const lost = new SbxError("GUEST_LOST", "Cannot go on: it is gone");
const exit = (code: number) => ({ exit: { code, timedOut: false }, lastedMs: 1 });
const signal = { exit: { signal: 9, timedOut: false }, lastedMs: 1 };

test("an end restarts what is to be restarted, and is written down", () => {
  const rows = [
    [{ lastedMs: 1 }, [false, false, true], { kind: "stopped" }],
    [exit(0), [false, false, true], { kind: "stopped", exit: { code: 0 } }],
    [exit(3), [false, true, true], { kind: "stopped", exit: { code: 3 } }],
    [signal, [false, true, true], { kind: "stopped", exit: { signal: 9 } }],
    [{ error: lost, lastedMs: 1 }, [false, true, true], { kind: "failed", error: { ...error } }],
  ] as const;
  for (const [end, restarted, state] of rows) {
    const policies = ["no", "on-failure", "always"] as const;
    expect(policies.map((restart) => isRestarted({ life: { ...FOREVER, restart } }, end))).toEqual([
      ...restarted,
    ]);
    expect(endState(end)).toMatchObject(state);
  }
});
