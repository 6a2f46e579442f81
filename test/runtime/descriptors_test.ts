/**
 * How Bun hands descriptors to children and reads them back: the ground under every channel between
 * sbx, netstack and QEMU. What is broken is pinned as failing, so that an upgrade tells.
 */
import { afterEach, expect, test } from "bun:test";
import { type ChildProcess, spawn } from "node:child_process";
import { closeSync } from "node:fs";
import { Socket } from "node:net";
import type { Duplex } from "node:stream";

const children: { kill(signal: "SIGKILL"): unknown }[] = [];
afterEach(() => children.splice(0).forEach((child) => child.kill("SIGKILL")));

/** Bun's types know neither numeric entries beyond 2 nor `stdio` of the child. */
type Spawn = (options: {
  cmd: readonly string[];
  stdio: readonly ("ignore" | "pipe" | number)[];
}) => {
  readonly stdio: readonly (number | null)[];
  readonly exited: Promise<number>;
  kill(): void;
};

/** Nor do they know that `connect` takes a descriptor. */
type Connect = (options: {
  fd: number;
  socket: {
    data(socket: unknown, bytes: Uint8Array): void;
    drain?(): void;
    close?(): void;
  };
}) => Promise<{ write(bytes: string | Uint8Array): number }>;
const connect = Bun.connect as unknown as Connect;

function bunSpawn(cmd: readonly string[], ...extra: ("pipe" | number)[]) {
  const child = (Bun.spawn as unknown as Spawn)({
    cmd,
    stdio: ["ignore", "ignore", "ignore", ...extra],
  });
  children.push(child);
  const fds = child.stdio.slice(3).map((fd) => fd ?? -1);
  return { child, fds };
}

/** Collects what arrives until `length` bytes did. */
function connectFd(fd: number, length: number) {
  const got: number[] = [];
  const { promise, resolve } = Promise.withResolvers<string>();
  const socket = connect(
    {
      fd,
      socket: {
        data(_, bytes) {
          got.push(...bytes);
          if (got.length >= length) resolve(String.fromCharCode(...got));
        },
      },
    },
  );
  return { socket, text: promise };
}

test("Bun.spawn makes a socket pair of each further pipe, and gives our end as a number", async () => {
  const { fds } = bunSpawn(["sh", "-c", "cat <&3 >&3 & cat <&4 >&4; wait"], "pipe", "pipe");
  expect(fds.every((fd) => fd > 2)).toBe(true);
  for (const [index, fd] of fds.entries()) {
    const { socket, text } = connectFd(fd, 5);
    (await socket).write(`ping${index}`);
    expect(await text).toBe(`ping${index}`);
  }
});

test("one child's end can be handed to another as a numeric entry", async () => {
  const { fds: [ours = -1] } = bunSpawn(["sh", "-c", "cat <&3 >&3"], "pipe");
  // Bun's end does not block, and whoever inherits it is told to come again (EAGAIN).
  const read = "until head -c 5 <&3 2>/dev/null; do sleep 0.01; done";
  bunSpawn(["sh", "-c", `printf hello >&3; ${read} >&4`], ours, "pipe");
  // node:child_process passes them too, and only numbers above 2 are inherited.
  const second: ChildProcess = spawn("sh", ["-c", `printf again >&3; ${read}`], {
    stdio: ["ignore", "pipe", "inherit", ours],
  });
  children.push(second);
  closeSync(ours);
  const said = await new Promise((resolve) => second.stdout?.once("data", resolve));
  expect(["hello", "again"]).toContain(String(said));
});

test("a socket from a descriptor takes back what the peer does not read, and says when it drains", async () => {
  const { fds: [fd = -1] } = bunSpawn(["sh", "-c", "sleep 0.3; exec cat <&3 >/dev/null"], "pipe");
  const drained = Promise.withResolvers<void>();
  const socket = await connect(
    {
      fd,
      socket: { data() {}, drain: () => drained.resolve() },
    },
  );
  const chunk = new Uint8Array(1 << 20);
  let accepted = 0;
  for (let n = 0; n < 16; n++) accepted += socket.write(chunk);
  expect(accepted).toBeLessThan(4 << 20);
  await drained.promise;
  expect(socket.write(chunk)).toBeGreaterThan(0);
});

test("the end of the peer closes such a socket", async () => {
  const { fds: [fd = -1] } = bunSpawn(["true"], "pipe");
  const closed = Promise.withResolvers<void>();
  await connect(
    {
      fd,
      socket: { data() {}, close: () => closed.resolve() },
    },
  );
  await closed.promise;
});

test("node:child_process gives a duplex stream for a pipe beyond stderr", async () => {
  const child: ChildProcess = spawn("sh", ["-c", "cat <&3 >&3"], {
    stdio: ["ignore", "ignore", "inherit", "pipe"],
  });
  children.push(child);
  const duplex = child.stdio[3] as Duplex;
  duplex.write("ping");
  expect(String(await new Promise((resolve) => duplex.once("data", resolve)))).toBe("ping");
});

test.failing("node:net takes over a descriptor", async () => {
  const { fds: [fd = -1] } = bunSpawn(["sh", "-c", "cat <&3 >&3"], "pipe");
  const socket = new Socket({ fd, readable: true, writable: true });
  const answer = new Promise((resolve, reject) => {
    socket.once("data", resolve);
    socket.once("error", reject);
    setTimeout(() => reject(new Error("no data")), 300);
  });
  socket.write("ping");
  expect(String(await answer)).toBe("ping");
});
