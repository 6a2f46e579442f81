/** Both ends of a conversation in calls, joined in memory; and a server against clients that break the rules. */
import { expect, test } from "bun:test";
import { duplexPair } from "node:stream";
import { SbxError } from "../../lib/base/errors.ts";
import { CallClient, sendAll } from "../../lib/wire/call_client.ts";
import { encodeCallFrame, Kind, serverBounds, type Stream } from "../../lib/wire/call_frame.ts";
import { type Serve, serveCalls } from "../../lib/wire/call_server.ts";

const PEER = { name: "the server", sends: serverBounds(1 << 20) };
const gone = () => new SbxError("STOPPED", "Cannot reach the server: it is gone");
const explain = ({ message }: { message: string }) => new SbxError("USAGE", message);

function joined(serve: Serve) {
  const [near, far] = duplexPair();
  const over = serveCalls(far, serve);
  return { client: new CallClient(near, { peer: PEER, traced: "agent", gone }), over, near };
}

const text = async (stream: ReadableStream<Uint8Array>) => await new Response(stream).text();
const bytes = (value: string) => new TextEncoder().encode(value);

test("a call gets its answer, and its streams arrive in order whatever their size", async () => {
  const { client } = joined(async ({ request, input, output }) => {
    const writer = output.getWriter();
    let seen = 0;
    for await (const chunk of input) {
      seen += chunk.length;
      await writer.write(chunk);
    }
    await writer.close();
    return { seen, method: request.method };
  });
  const call = client.plain({ method: "echo" }, explain);
  const sent = "0123456789".repeat(100_000);
  const [back] = await Promise.all([text(call.output.stream), sendAll(call.input, [bytes(sent)])]);
  expect(back).toBe(sent);
  expect(await call.ok).toEqual({ seen: sent.length, method: "echo" });
});

test("errors come with their code and hint, and faults as such", async () => {
  const { client } = joined(({ request }) => {
    if (request.method === "fault") throw new Error("oh");
    return Promise.reject(new SbxError("PORT_BUSY", "Cannot publish: taken", { hint: "wait" }));
  });
  const failed = client.plain({ method: "no" }, explain);
  expect(await failed.result).toEqual({
    failure: { code: "PORT_BUSY", message: "Cannot publish: taken", hint: "wait" },
  });
  await failed.ok.catch(() => {});
});

test("a client that leaves is heard of by what it had open, and by nobody later", async () => {
  const left = Promise.withResolvers<void>();
  const { client, over } = joined(async ({ gone }) => {
    await new Promise<void>((resolve) => gone.addEventListener("abort", () => resolve()));
    left.resolve();
    return {};
  });
  const call = client.plain({ method: "wait" }, explain);
  client.close();
  await Promise.all([left.promise, over]);
  expect(await call.ok.catch((error) => error.code)).toBe("STOPPED");
});

test("signals and sizes reach the call that they are for", async () => {
  const { client } = joined((call) =>
    new Promise((resolve) => {
      const heard: unknown[] = [];
      call.onResize = (...size) => heard.push(size);
      call.onSignal = (signal) => resolve({ heard: [...heard, signal] });
    })
  );
  const ok = Promise.withResolvers<unknown>();
  const { callStreams } = await import("../../lib/wire/call_streams.ts");
  const { input, outputs } = callStreams(PEER, () => {});
  const send = client.open({ method: "x" }, {
    input,
    outputs,
    result: ok.resolve,
    lost: ok.reject,
  });
  send(Kind.Resize, 0, Uint8Array.of(1, 44, 0, 50));
  send(Kind.Signal, 0, Uint8Array.of(15));
  expect(await ok.promise).toEqual({ ok: { heard: [[300, 50], 15] } });
});

const VIOLATIONS: readonly (readonly [string, readonly Uint8Array[]])[] = [
  ["a call that was never opened", [encodeCallFrame(Kind.Signal, 7, 0, Uint8Array.of(9))]],
  ["a call twice", [call(2, "{}"), call(2, "{}")]],
  ["an earlier call", [call(2, "{}"), call(1, "{}")]],
  ["no request", [call(1, "[]")]],
  ["no JSON", [call(1, "{{")]],
  ["more than the window", [
    call(1, "{}"),
    ...Array.from({ length: 5 }, () => frame(Kind.Data, 0, new Uint8Array(65_536))),
  ]],
  ["credit for nothing sent", [call(1, "{}"), frame(Kind.Credit, 1, Uint8Array.of(0, 0, 0, 1))]],
  ["bytes after the end", [call(1, "{}"), frame(Kind.Eof, 0), frame(Kind.Data, 0, bytes("x"))]],
  ["a frame that servers send", [frame(Kind.Result, 0, bytes("{}"))]],
  ["513 calls at once", Array.from({ length: 513 }, (_, at) => call(at + 1, "{}"))],
];

test.each(VIOLATIONS)("a client that sends %s loses its port", async (_, frames) => {
  const { near, over } = joined(() => new Promise(() => {}));
  near.on("error", () => {});
  for (const each of frames) near.write(each);
  await over;
});

function call(id: number, request: string): Uint8Array {
  return encodeCallFrame(Kind.Call, id, 0, bytes(request));
}

function frame(kind: Kind, stream: Stream, payload?: Uint8Array): Uint8Array {
  return encodeCallFrame(kind, 1, stream, payload);
}
