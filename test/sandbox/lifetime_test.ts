import { expect, test } from "bun:test";
import { SbxError } from "../../lib/base/errors.ts";
import { Lifetime, type Part } from "../../lib/sandbox/lifetime.ts";

/** A part that can be told to die, and notes when it is stopped. */
function part(name: string, log: string[]): Part & { die(error?: SbxError): void } {
  const { promise: gone, resolve } = Promise.withResolvers<SbxError | undefined>();
  return {
    name,
    gone,
    stop() {
      log.push(name);
      resolve(undefined);
    },
    die: (error) => resolve(error),
  };
}

test("the end of one part ends the others, the last added first, and its reason stays", async () => {
  const log: string[] = [];
  const lifetime = new Lifetime();
  const [netstack, guest] = [part("netstack", log), part("guest", log)];
  lifetime.add(netstack);
  lifetime.add(guest);
  const lost = new SbxError("NETSTACK_LOST", "Cannot go on: netstack ended");
  netstack.die(lost);
  expect(await lifetime.ending).toBe(lost);
  await lifetime.end(new SbxError("GUEST_LOST", "Cannot go on: a later reason"));
  expect(await lifetime.ending).toBe(lost);
  expect(log).toEqual(["guest", "netstack"]);
  expect(lifetime.open).toBe(false);
});

test("a part that comes too late is stopped at once", async () => {
  const log: string[] = [];
  const lifetime = new Lifetime();
  await lifetime.end();
  lifetime.add(part("late", log));
  expect(log).toEqual(["late"]);
});

test("a part that fails to stop does not keep the others alive", async () => {
  const log: string[] = [];
  const lifetime = new Lifetime();
  lifetime.add(part("first", log));
  lifetime.add({
    name: "second",
    gone: Promise.resolve(undefined),
    stop: () => Promise.reject(new Error("stuck")),
  });
  await lifetime.end();
  expect(log).toEqual(["first"]);
});

test("until() gives the value, or the reason the sandbox ended for", async () => {
  const lifetime = new Lifetime();
  expect(await lifetime.until(Promise.resolve(1), "count")).toBe(1);
  const waiting = lifetime.until(new Promise(() => {}), "count");
  void lifetime.end();
  await expect(waiting).rejects.toThrow("Cannot count: the sandbox was stopped");
});

test("a part that does not end is told of, and left behind", async () => {
  const log: string[] = [];
  const lifetime = new Lifetime({ notice: (line) => void log.push(line) });
  lifetime.add(part("first", log));
  lifetime.add({ name: "QEMU", gone: new Promise(() => {}), stop: () => {} });
  await lifetime.end();
  expect(log).toEqual(["QEMU does not end, and is left behind", "first"]);
}, 20_000);
