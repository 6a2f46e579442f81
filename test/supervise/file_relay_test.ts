/** Files of a sandbox of another process: the same calls, over a port to whoever has the guest. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { Buffer } from "node:buffer";
import { execFileSync } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { lstatSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { duplexPair } from "node:stream";
import { type ErrorCode, SbxError } from "../../lib/base/errors.ts";
import type { FileRequest } from "../../lib/guest/files.ts";
import { fileRequest } from "../../lib/guest/agent/file_call.ts";
import { openCall } from "../../lib/wire/open_call.ts";
import { relayFiles } from "../../lib/supervise/file_relay.ts";
import { FileOperation } from "../../lib/sandbox/file_operation.ts";
import { GuestFiles } from "../../lib/sandbox/guest_files.ts";
import { Lifetime } from "../../lib/sandbox/lifetime.ts";
import { parseRequest } from "../../lib/supervise/protocol.ts";
import { CallClient } from "../../lib/wire/call_client.ts";
import { serverBounds } from "../../lib/wire/call_frame.ts";
import { serveCalls } from "../../lib/wire/call_server.ts";
import { Agents } from "../guest/agent_process.ts";
import { everything, filesOf, isRoot, namesIn, startRoot } from "../sandbox/files/agent_files.ts";

let agents: Agents;
let home: string;
beforeAll(() => {
  agents = new Agents();
  home = `${agents.home}/relayed`;
  mkdirSync(home);
});
afterAll(() => agents?.close());

const at = (name: string) => `${home}/${name}`;

/** A supervisor's two ends in memory, with an agent of its own behind it. */
function supervised(user?: string) {
  const { agent, child } = startRoot(agents);
  const { lifetime } = filesOf(agent);
  const [theirs, ours] = duplexPair();
  const sandbox = {
    openFiles: (request: FileRequest, signal: AbortSignal) =>
      new FileOperation({ guest: agent, lifetime }, request, signal),
  };
  void serveCalls(ours, async (call) => {
    const request = parseRequest(call.request);
    if (request.method !== "files") throw new Error("not about files");
    return await relayFiles(sandbox, request.request, call);
  });
  const peer = { name: "the supervisor", sends: serverBounds(1 << 16) };
  const gone = () => new SbxError("SUPERVISOR_LOST", "Cannot go on: the supervisor is gone");
  const calls = new CallClient(theirs, { peer, traced: "agent", gone });
  const own = new Lifetime();
  void calls.lost.then((error) => own.end(error));
  const failure = ({ code, message }: { code: string; message: string }) =>
    new SbxError(code as ErrorCode, message);
  const guest = {
    files: (request: Parameters<typeof fileRequest>[0]) =>
      openCall({ method: "files", request: fileRequest(request) }, { calls, peer, failure }),
  };
  const fs = new GuestFiles({
    guest,
    lifetime: own,
    loss: "SUPERVISOR_LOST",
    ...(user === undefined ? {} : { user }),
  });
  return { fs, child, port: theirs, calls, peer };
}

test("files and trees pass as if the guest were this process's own", async () => {
  const { fs } = supervised(isRoot ? "77:78" : "0"); // only root gives files away
  const data = new Uint8Array(randomBytes(2_000_001));
  await fs.write(at("file"), data);
  const hash = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");
  expect(hash(readFileSync(at("file")))).toBe(hash(data));
  expect(hash(await fs.read(at("file")))).toBe(hash(data));
  if (isRoot) expect(lstatSync(at("file"))).toMatchObject({ uid: 77, gid: 78 });
  expect(await fs.list(home)).toMatchObject([{ name: "file", size: data.length }]);
  execFileSync("sh", ["-ec", "mkdir -p s/d; echo x >s/d/f; ln s/d/f s/g; ln -s d s/l"], {
    cwd: home,
  });
  const report = await fs.copyFromHost(at("s"), at("there"));
  expect(await fs.copyToHost(at("there"), at("back"))).toEqual(report);
  expect(everything(at("back"))).toEqual(everything(at("s")));
  await fs.remove(at("there"), { recursive: true });
  await expect(fs.stat(at("there"))).rejects.toMatchObject({
    code: "FILE_NOT_FOUND",
    message: `Cannot examine ${at("there")} in the guest: no such file or directory`,
  });
  await expect(fs.write(at("none/f"), data)).rejects.toMatchObject({ code: "FILE_NOT_FOUND" });
});

test("of a write whose caller gives up, or goes, nothing is there", async () => {
  mkdirSync(at("given up"));
  const first = supervised();
  const aborted = new AbortController();
  for (const signal of [aborted.signal, undefined]) {
    const options = signal === undefined ? {} : { signal };
    const writer = first.fs.writeStream(at("given up/file"), options).getWriter();
    writer.closed.catch(() => {});
    await writer.write(new Uint8Array(1_000_000));
    if (signal === undefined) first.port.destroy();
    else {
      aborted.abort();
      await expect(writer.close()).rejects.toBe(aborted.signal.reason);
    }
    const { fs } = supervised();
    while (namesIn(at("given up")).length > 0) await fs.exists("/");
  }
  await expect(first.fs.exists("/")).rejects.toMatchObject({ code: "STOPPED" });
});

test("a guest that is lost is told as such, and the supervisor goes on", async () => {
  const { fs, child } = supervised();
  writeFileSync(at("large"), Buffer.alloc(3_000_000));
  const reader = fs.readStream(at("large")).getReader();
  await reader.read();
  child.kill("SIGKILL");
  const read = async () => {
    for (;;) await reader.read();
  };
  await expect(read()).rejects.toMatchObject({ code: "GUEST_LOST" });
  await expect(fs.exists("/")).rejects.toMatchObject({ code: "STOPPED" });
});

test("requests that are none are refused before the guest hears of them", async () => {
  const { calls } = supervised();
  const path = Buffer.from("/x").toString("base64");
  for (
    const request of [
      undefined,
      {},
      { method: "none", path },
      { method: "read" },
      { method: "read", path: "" },
      { method: "read", path, offset: -1 },
      { method: "stat", path },
      { method: "remove", path, recursive: "yes" },
      { method: "chmod", path, mode: 0o10000 },
      { method: "rename", path },
    ]
  ) {
    const explain = ({ code }: { code: string }) => new SbxError(code as ErrorCode, "refused");
    const { ok } = calls.plain({ method: "files", request }, explain);
    const error = await ok.then(() => "no error", (error: unknown) => error);
    expect(error, JSON.stringify(request)).toMatchObject({ code: "PROTOCOL" });
  }
});
