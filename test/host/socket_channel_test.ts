import { expect, test } from "bun:test";
import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { setImmediate } from "node:timers";
import { socketChannel } from "../../lib/host/socket_channel.ts";

/** Bun's types know no numeric entries beyond 2 of `stdio`. */
type Spawn = (options: {
  cmd: readonly string[];
  stdio: readonly ("ignore" | "pipe")[];
}) => {
  readonly stdin: { end(): void };
  readonly stdout: ReadableStream;
  readonly stdio: readonly (number | null)[];
};

test("bytes arrive as they were written, whatever the writer puts in their place", async () => {
  const reader = (Bun.spawn as unknown as Spawn)({
    cmd: ["sh", "-c", "read _; exec sha256sum <&3"],
    stdio: ["pipe", "pipe", "ignore", "pipe"],
  });
  const fd = reader.stdio[3];
  if (typeof fd !== "number") throw new Error("no socket to the reader");
  const channel = socketChannel(fd);
  channel.start({ data() {}, drain() {}, close() {} });
  const written = createHash("sha256");
  const reused = Buffer.alloc(100_000);
  let full = 0;
  for (let round = 0; round < 80; round++) {
    reused.fill(`${round} `);
    written.update(reused);
    if (!channel.write(reused)) full++;
    if (round === 40) reader.stdin.end();
    if (round % 10 === 5) await new Promise((resolve) => setImmediate(resolve));
  }
  reused.fill("overwritten");
  channel.close();
  const [sum] = (await new Response(reader.stdout).text()).split(" ");
  expect(sum).toBe(written.digest("hex"));
  expect(full).toBeGreaterThan(0); // before the reader began, more than a socket takes
});
