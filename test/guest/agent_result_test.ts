import { expect, test } from "bun:test";
import { SbxError } from "../../lib/base/errors.ts";
import {
  commandFailure,
  commandStatus,
  fileStat,
  guestUsage,
  listenerAddresses,
  loopbackServer,
} from "../../lib/guest/agent/result.ts";

const malformed = expect.objectContaining({ code: "PROTOCOL" });

function thrown(run: () => unknown): unknown {
  try {
    return { returned: run() };
  } catch (error) {
    return error;
  }
}

test("commandStatus() takes exactly one of a code and a signal", () => {
  expect(commandStatus({ code: 0 })).toEqual({ code: 0 });
  expect(commandStatus({ code: 255 })).toEqual({ code: 255 });
  expect(commandStatus({ signal: 9, extra: true })).toEqual({ signal: 9 });
  for (
    const fields of [
      {},
      { code: 256 },
      { code: -1 },
      { code: 1.5 },
      { code: "0" },
      { signal: 0 },
      { signal: 65 },
      { code: 0, signal: 9 },
      { code: null },
    ]
  ) {
    expect(thrown(() => commandStatus(fields)), JSON.stringify(fields)).toEqual(malformed);
  }
});

test("fileStat() takes what a file can be", () => {
  const stat = {
    kind: "file",
    size: 1,
    mode: 0o4755,
    mtimeMs: 1_700_000_000_000,
    uid: 0,
    gid: 4_294_967_295,
  } as const;
  expect(fileStat({ ...stat, later: 1 })).toEqual(stat);
  expect(fileStat({ ...stat, kind: "symlink", target: "/9hA" })).toEqual({
    ...stat,
    kind: "symlink",
    target: "\udcff\udcd8@",
  });
  for (
    const wrong of [
      { kind: "socket" },
      { kind: "symlink" },
      { target: "YQ==" },
      { size: -1 },
      { mode: 0o10000 },
      { mtimeMs: "today" },
      { uid: -1 },
      { gid: 2 ** 32 },
    ]
  ) {
    expect(thrown(() => fileStat({ ...stat, ...wrong })), JSON.stringify(wrong)).toEqual(malformed);
  }
});

test("loopbackServer() takes an address of the loopback, and a port if there is one", () => {
  expect(loopbackServer({})).toBeNull();
  expect(loopbackServer({ at: "127.0.0.53" })).toEqual({ at: "127.0.0.53" });
  expect(loopbackServer({ at: "::1", port: 65_535 })).toEqual({ at: "::1", port: 65_535 });
  for (
    const fields of [
      { port: 80 },
      { at: null },
      { at: 2130706433 },
      { at: "" },
      { at: "localhost" },
      { at: "127.0.0.1\u001b[2J" },
      { at: "192.168.127.2" },
      { at: "0.0.0.0" },
      { at: "::", port: 80 },
      { at: "::1", port: 0 },
      { at: "::1", port: -1 },
      { at: "::1", port: 65_536 },
      { at: "::1", port: 80.5 },
      { at: "::1", port: "80" },
      { at: "::1", port: null },
    ]
  ) {
    expect(thrown(() => loopbackServer(fields)), JSON.stringify(fields)).toEqual(malformed);
  }
});

test("commandFailure() has a code for each way not to start", () => {
  for (
    const [code, expected] of [
      ["not-found", "EXEC_NOT_FOUND"],
      ["not-executable", "EXEC_NOT_EXECUTABLE"],
      ["no-directory", "EXEC_NOT_EXECUTABLE"],
      ["failed", "GUEST_FAILED"],
      ["toString", "GUEST_FAILED"],
    ]
  ) {
    const error = commandFailure({ code: code ?? "", message: "why" });
    expect(error).toBeInstanceOf(SbxError);
    expect({ code: error.code, message: error.message }).toEqual({
      code: expected as SbxError["code"],
      message: "Cannot run the command: why",
    });
  }
});

test("listenerAddresses() takes addresses and nothing else", () => {
  expect(listenerAddresses({ at: [] })).toEqual([]);
  expect(listenerAddresses({ at: ["0.0.0.0", "::"] })).toEqual(["0.0.0.0", "::"]);
  for (const fields of [{}, { at: "0.0.0.0" }, { at: [80] }, { at: ["\u001b[2J"] }]) {
    expect(thrown(() => listenerAddresses(fields)), JSON.stringify(fields)).toEqual(malformed);
  }
});

test("guestUsage() takes numbers that a machine can have", () => {
  const usage = {
    load: [0, 0.5, 12],
    totalBytes: 1e9,
    availableBytes: 5e8,
    processes: 70,
  } as const;
  expect(guestUsage(usage)).toEqual(usage);
  for (
    const wrong of [
      { load: [0, 1] },
      { load: [0, 1, -1] },
      { load: [0, 1, "2"] },
      { load: "0 0 0" },
      { totalBytes: 1.5 },
      { availableBytes: 2e9 },
      { processes: -1 },
    ]
  ) {
    expect(thrown(() => guestUsage({ ...usage, ...wrong }))).toEqual(malformed);
  }
});
