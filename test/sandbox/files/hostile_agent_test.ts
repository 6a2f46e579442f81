/** A guest that took its agent over answers calls about files: what is wrong is an error, never a success. */
import { expect, test } from "bun:test";
import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { duplexPair } from "node:stream";
import { Agent } from "../../../lib/guest/agent/client.ts";
import type { SandboxFiles } from "../../../lib/sandbox/files.ts";
import { encodeCallFrame, Kind, type Stream, WINDOW } from "../../../lib/wire/call_frame.ts";
import { filesOf } from "./agent_files.ts";

const OK = '{"ok":{}}';

/** Files whose first call is the test's to answer. */
function hostile() {
  const [port, theirs] = duplexPair();
  theirs.on("data", () => {});
  theirs.on("error", () => {});
  const { fs } = filesOf(new Agent(port));
  const send = (kind: Kind, stream: Stream, payload?: string) => {
    const bytes = payload === undefined ? undefined : new TextEncoder().encode(payload);
    theirs.write(encodeCallFrame(kind, 1, stream, bytes));
  };
  return { fs, send };
}

type Send = ReturnType<typeof hostile>["send"];

test("wrong answers are declared errors", async () => {
  const rows: [string, (fs: SandboxFiles) => Promise<unknown>, (send: Send) => void, string][] = [
    [
      "nothing is known of a file",
      (fs) => fs.stat("/x"),
      (send) => send(Kind.Result, 0, OK),
      "PROTOCOL",
    ],
    [
      "a file of another kind",
      (fs) => fs.exists("/x"),
      (send) =>
        send(Kind.Result, 0, '{"ok":{"kind":"x","size":1,"mode":1,"mtimeMs":1,"uid":0,"gid":0}}'),
      "PROTOCOL",
    ],
    ["a list of nothing", (fs) => fs.list("/x"), (send) => send(Kind.Result, 0, OK), "PROTOCOL"],
    [
      "a list that is none",
      (fs) => fs.list("/x"),
      (send) => {
        send(Kind.Data, 1, "no records at all");
        send(Kind.Eof, 1);
        send(Kind.Result, 0, OK);
      },
      "PROTOCOL",
    ],
    [
      "a code that nobody knows",
      (fs) => fs.mkdir("/x"),
      (send) => send(Kind.Result, 0, '{"error":{"code":"constructor","message":"x"}}'),
      "FILE_UNREADABLE",
    ],
    [
      "a failure behind all of a file",
      (fs) => fs.read("/x"),
      (send) => {
        send(Kind.Data, 1, "x");
        send(Kind.Eof, 1);
        send(Kind.Result, 0, '{"error":{"code":"failed","message":"after all"}}');
      },
      "FILE_UNREADABLE",
    ],
    [
      "content for a call that has none to give",
      (fs) => fs.chmod("/x", 0o644),
      (send) => send(Kind.Data, 0, "x"),
      "PROTOCOL",
    ],
    [
      "success before the guest could have all of it",
      (fs) => fs.write("/x", new Uint8Array(2 * WINDOW)),
      (send) => send(Kind.Result, 0, OK),
      "PROTOCOL",
    ],
  ];
  for (const [name, act, answer, code] of rows) {
    const { fs, send } = hostile();
    const acting = act(fs).then(() => "no error", (error: unknown) => error);
    answer(send);
    expect(await acting, name).toMatchObject({ code });
  }
});

test("the words of the guest and the path are made fit to show", async () => {
  const { fs, send } = hostile();
  const acting = fs.remove("/x\u001b[2J");
  send(Kind.Result, 0, JSON.stringify({ error: { code: "denied", message: "\u001b[2Jno" } }));
  await expect(acting).rejects.toMatchObject({
    code: "FILE_DENIED",
    message: "Cannot remove /x\\u{1b}[2J in the guest: \\u{1b}[2Jno",
  });
});

test("a copy that the guest says is there, and did not send, leaves nothing", async () => {
  const home = mkdtempSync(`${tmpdir()}/sbx-hostile-agent-`);
  try {
    const [port, theirs] = duplexPair();
    theirs.on("error", () => {});
    const { fs } = filesOf(new Agent(port));
    const stat = '{"ok":{"kind":"directory","size":1,"mode":1,"mtimeMs":1,"uid":0,"gid":0}}';
    let call = 0;
    theirs.on("data", () => {
      call++;
      const answer = new TextEncoder().encode(call === 1 ? stat : OK);
      theirs.write(encodeCallFrame(Kind.Result, call, 0, answer));
    });
    await expect(fs.copyToHost("/x", `${home}/x`)).rejects.toMatchObject({ code: "PROTOCOL" });
    expect([call, existsSync(`${home}/x`), readdirSync(home)]).toEqual([2, false, []]);
  } finally {
    rmSync(home, { recursive: true });
  }
});
