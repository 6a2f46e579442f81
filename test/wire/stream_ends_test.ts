/** The ends of a stream on credit that a program holds: what it reads and writes, and what the peer is told. */
import { describe, expect, test } from "bun:test";
import { ReadableEnd } from "../../lib/wire/readable_end.ts";
import { WritableEnd } from "../../lib/wire/writable_end.ts";

class Violated extends Error {}
class Unread extends Error {}
const violation = (what: string) => new Violated(what);
const turn = () => new Promise((resolve) => setTimeout(resolve, 0));

function readable() {
  const told: string[] = [];
  const end = new ReadableEnd({
    window: 100,
    maxRead: 50,
    credit: (bytes) => told.push(`credit ${bytes}`),
    stop: () => told.push("stop"),
    violation,
  });
  return { end, told, reader: end.stream.getReader() };
}

describe("an end that is read", () => {
  test("gives what came, and then the end", async () => {
    const { end, reader, told } = readable();
    end.take(new Uint8Array(80));
    end.end();
    expect((await reader.read()).value).toHaveLength(50);
    expect((await reader.read()).value).toHaveLength(30);
    expect(await reader.read()).toMatchObject({ done: true });
    expect(told).toEqual([]);
  });

  test("asks for more as it is read, and not before", async () => {
    const { end, reader, told } = readable();
    end.take(new Uint8Array(100));
    await turn();
    expect(told).toEqual([]);
    await reader.read();
    expect(told).toEqual(["credit 50"]);
  });

  test("finishes without the peer's word, once; the word after it is no violation, a second is", async () => {
    const { end, reader } = readable();
    end.take(new Uint8Array(1));
    end.finish();
    end.finish();
    end.end();
    expect(() => end.end()).toThrow(Violated);
    expect((await reader.read()).value).toHaveLength(1);
    expect(await reader.read()).toMatchObject({ done: true });
  });

  test("fails whoever reads, instead of ending, and drops what was there", async () => {
    const { end, reader } = readable();
    const reading = reader.read();
    end.fail(new Unread());
    await expect(reading).rejects.toThrow(Unread);
    end.take(new Uint8Array(1)); // on its way when it failed
    end.finish();
    await expect(reader.read()).rejects.toThrow(Unread);
  });

  test.each(["cancelled", "discarded"])("that is %s tells the peer once", async (how) => {
    const { end, reader, told } = readable();
    end.take(new Uint8Array(60));
    if (how === "cancelled") await reader.cancel();
    else end.discard();
    end.discard();
    end.take(new Uint8Array(40));
    expect(() => end.take(new Uint8Array(1))).toThrow(Violated);
    expect(await reader.read()).toMatchObject({ done: true });
    expect(told).toEqual(["stop"]);
  });

  test("tells nobody to stop who has ended", async () => {
    const { end, reader, told } = readable();
    end.take(new Uint8Array(60));
    end.end();
    await reader.cancel();
    expect(told).toEqual([]);
  });
});

function writable() {
  const told: (string | number)[] = [];
  const end = new WritableEnd({
    window: 100,
    maxPayload: 60,
    data: ({ length }) => void told.push(length),
    end: () => told.push("end"),
    unread: () => new Unread(),
    violation,
  });
  return { end, told, writer: end.stream.getWriter() };
}

describe("an end that is written", () => {
  test("takes a write when the peer has room for all of it", async () => {
    const { end, told, writer } = writable();
    let done = false;
    const writing = writer.write(new Uint8Array(130)).then(() => done = true);
    await turn();
    expect([told, done]).toEqual([[60, 40], false]);
    end.give(20);
    await turn();
    expect([told, done]).toEqual([[60, 40, 20], false]);
    end.give(20);
    await writing;
    await writer.close();
    expect(told).toEqual([60, 40, 20, 10, "end"]);
  });

  test("whose reader has stopped fails the write that waits and those that come", async () => {
    const { end, told, writer } = writable();
    writer.closed.catch(() => {});
    const writing = writer.write(new Uint8Array(101));
    await turn();
    end.stop();
    await expect(writing).rejects.toThrow(Unread);
    await expect(writer.write(new Uint8Array(1))).rejects.toThrow(Unread);
    expect(told).toEqual([60, 40]);
  });

  test("ends once, however it is ended", async () => {
    const { end, told, writer } = writable();
    await writer.abort();
    end.stop();
    expect(told).toEqual(["end"]);
    expect(() => end.give(1)).toThrow(Violated);
  });
});
