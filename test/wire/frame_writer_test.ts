import { expect, test } from "bun:test";
import { Buffer } from "node:buffer";
import type { ByteChannel } from "../../lib/wire/channel.ts";
import { FrameWriter } from "../../lib/wire/frame_writer.ts";

/** What is written, copied as a channel does. */
function writer() {
  const writes: Buffer[] = [];
  let closed = 0;
  const channel: ByteChannel = {
    start: () => {},
    write: (bytes) => {
      writes.push(Buffer.from(bytes));
      return true;
    },
    close: () => void closed++,
  };
  return { writer: new FrameWriter(channel), writes, closed: () => closed };
}

const turn = () => new Promise((resolve) => setTimeout(resolve, 0));

test("frames of one turn leave in one write, in order; those of the next in another", async () => {
  const { writer: out, writes } = writer();
  out.send(Buffer.from("a"), Buffer.from("bc"));
  out.send(Buffer.from("d"));
  expect(writes).toEqual([]);
  await turn();
  out.send(Buffer.from("e"));
  await turn();
  expect(writes.map(String)).toEqual(["abcd", "e"]);
});

test("what may not wait is written at once, and nothing twice", async () => {
  const { writer: out, writes } = writer();
  out.send(Buffer.from("a"));
  out.flush();
  expect(writes.map(String)).toEqual(["a"]);
  out.flush();
  await turn();
  expect(writes.map(String)).toEqual(["a"]);
});

test("bytes keep their order and none is lost, whatever the sizes", async () => {
  const { writer: out, writes } = writer();
  const sizes = [1, 200_000, 70_000, 300_000, 0, 5, 262_144, 262_145, 3];
  const parts = sizes.map((size, at) => Buffer.alloc(size, at + 1));
  out.send(...parts);
  await turn();
  expect(Buffer.concat(writes).equals(Buffer.concat(parts))).toBe(true);
  expect(writes.every(({ length }) => length > 0)).toBe(true);
});

test("nothing is written once it is closed, not even what waited", async () => {
  const { writer: out, writes, closed } = writer();
  out.send(Buffer.from("a"));
  out.close();
  out.send(Buffer.from("b"));
  await turn();
  expect([writes, closed()]).toEqual([[], 1]);
});
