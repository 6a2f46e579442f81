import { expect, test } from "bun:test";
import { Readable } from "node:stream";
import type { ReadStream } from "node:tty";
import { pumpKeys } from "../../lib/cli/terminal_input.ts";

const CHUNK = new Uint8Array(1 << 20);

test("keys are seen though the command takes none, and are lost only beyond 16 MiB", async () => {
  let got = 0;
  let take = () => {};
  const sink = new WritableStream<Uint8Array>({
    async write(chunk) {
      if (got === 0) await new Promise<void>((resolve) => take = resolve);
      got += chunk.length;
    },
  });
  const source = Readable.from(Array(20).fill(CHUNK)) as unknown as ReadStream;
  let seen = 0;
  let losses = 0;
  const pumped = pumpKeys(source, sink, (typed) => {
    if (++seen === 20) setTimeout(() => take());
    return typed;
  }, () => losses++);
  await pumped;
  expect([seen, got, losses]).toEqual([20, 16 << 20, 1]);
});

test("keys are seen though the command has closed its input", async () => {
  const sink = new WritableStream<Uint8Array>({
    write: () => Promise.reject(new Error("nobody reads")),
  });
  const source = Readable.from([CHUNK, CHUNK, CHUNK]) as unknown as ReadStream;
  let seen = 0;
  await pumpKeys(source, sink, (typed) => (seen++, typed), () => {});
  expect(seen).toBe(3);
});
