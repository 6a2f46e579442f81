/** Publishing, against a netstack whose machine has the addresses and ports that the test says. */
import { expect, test } from "bun:test";
import { SbxError } from "../../lib/base/errors.ts";
import type { ToNetstack } from "../../lib/flow/control_message.ts";
import type { Publication, PublishedPort } from "../../lib/sandbox/options.ts";
import { Publisher } from "../../lib/sandbox/publisher.ts";

const WEB: Publication = { hostPort: 0, guestPort: 80, protocol: "tcp" };

type Asked = Extract<ToNetstack, { t: "publish" }>;

/** `failing` is asked what goes wrong; port 0 becomes 5001, 5002, … */
function machine(failing: (asked: Asked) => string | undefined = () => undefined) {
  const open = new Map<number, string>();
  const asked: string[] = [];
  let chosen = 5000;
  const publisher: Publisher = new Publisher({
    send(message) {
      if (message.t === "unpublish") open.delete(message.ref);
      if (message.t !== "publish") return;
      const { ref, bind, proto } = message;
      asked.push(`${proto} ${bind} ${message.port}`);
      queueMicrotask(() => {
        const code = failing(message);
        if (code !== undefined) {
          return publisher.take({ t: "publish-failed", ref, code, message: `${code}\u001b[2J` });
        }
        const port = message.port === 0 ? ++chosen : message.port;
        open.set(ref, `${proto} ${bind} ${port}`);
        publisher.take({ t: "published", ref, addr: bind, port });
      });
    },
  });
  return { publisher, asked, open: () => [...open.values()] };
}

const failure = (publishing: Promise<unknown>) =>
  publishing.then(() => "published", (error) => (error as SbxError));

test("without an address both loopbacks listen, on one number", async () => {
  const { publisher, asked, open } = machine();
  const ports = await publisher.publish(WEB);
  expect(asked).toEqual(["tcp 127.0.0.1 0", "tcp ::1 5001"]);
  expect(open()).toEqual(["tcp 127.0.0.1 5001", "tcp ::1 5001"]);
  expect(ports).toEqual([
    { address: "127.0.0.1", port: 5001, guestPort: 80, protocol: "tcp" },
    { address: "::1", port: 5001, guestPort: 80, protocol: "tcp" },
  ]);
});

test("an address that was named is the only one that listens", async () => {
  const { publisher, open } = machine();
  await publisher.publish({ ...WEB, bind: "0.0.0.0", hostPort: 8080, protocol: "udp" });
  expect(open()).toEqual(["udp 0.0.0.0 8080"]);
});

test("a machine without IPv6 listens on IPv4, unless IPv6 was asked for by name", async () => {
  const without6 = ({ bind }: Asked) => bind.includes(":") ? "EADDRNOTAVAIL" : undefined;
  const { publisher, open } = machine(without6);
  expect(await publisher.publish(WEB)).toHaveLength(1);
  expect(await failure(publisher.publish({ ...WEB, bind: "::1" }))).toMatchObject({
    code: "PORT_UNAVAILABLE",
  });
  expect(open()).toEqual(["tcp 127.0.0.1 5001"]);
});

test("a number that IPv6 has no room on is given back, and another one tried", async () => {
  const { publisher, open } = machine(({ bind, port }) =>
    bind === "::1" && port < 5003 ? "EADDRINUSE" : undefined
  );
  await publisher.publish(WEB);
  expect(open()).toEqual(["tcp 127.0.0.1 5003", "tcp ::1 5003"]);
});

test("where no number is free on both it gives up, and leaves nothing open", async () => {
  const { publisher, asked, open } = machine(({ bind }) =>
    bind === "::1" ? "EADDRINUSE" : undefined
  );
  expect(await failure(publisher.publish(WEB))).toMatchObject({ code: "PORT_BUSY" });
  expect([asked.length, open()]).toEqual([16, []]);
});

test("a number that the user chose is not tried twice, and half a publication is none", async () => {
  const { publisher, asked, open } = machine(({ bind }) =>
    bind === "::1" ? "EADDRINUSE" : undefined
  );
  const error = await failure(publisher.publish({ ...WEB, hostPort: 8080 }));
  expect(error).toMatchObject({
    code: "PORT_BUSY",
    message: "Cannot publish tcp [::1]:8080: the port is taken",
  });
  expect([asked.length, open()]).toEqual([2, []]);
});

test("of publications that are alike, each goes with the last of its own ports", async () => {
  const { publisher } = machine();
  const chosen = { ...WEB, hostPort: 7000 };
  const [first, second] = [await publisher.publish(WEB), await publisher.publish(WEB)];
  const third = await publisher.publish(chosen);
  expect(publisher.publications).toEqual([WEB, WEB, chosen]);
  const close = (ports: readonly PublishedPort[]) =>
    ports.forEach((port) => publisher.unpublish(port));
  close(third);
  expect(publisher.publications).toEqual([WEB, WEB]);
  close(first.slice(0, 1));
  expect(publisher.publications).toEqual([WEB, WEB]);
  close(first.slice(1));
  expect(publisher.publications).toEqual([WEB]);
  close(second);
  expect(publisher.publications).toEqual([]);
});

test("what fails, is not open yet or is kept for somebody, is no publication", async () => {
  const { publisher } = machine(({ bind }) => bind === "10.0.0.1" ? "EACCES" : undefined);
  await failure(publisher.publish({ ...WEB, bind: "10.0.0.1" }));
  await publisher.publish({ ...WEB, keptFor: "lima" });
  const opening = publisher.publish(WEB);
  expect(publisher.publications).toEqual([]);
  await opening;
  expect(publisher.publications).toEqual([WEB]);
});

test.each([
  ["EADDRINUSE", "PORT_BUSY", "the port is taken"],
  ["EACCES", "PORT_UNAVAILABLE", "permission denied"],
  ["EADDRNOTAVAIL", "PORT_UNAVAILABLE", "it is no address of this machine"],
  ["ELSE", "PORT_UNAVAILABLE", "ELSE\\u{1b}[2J"],
])("%s is %s: %s", async (code, expected, state) => {
  const { publisher, open } = machine(() => code);
  const error = await failure(publisher.publish({ ...WEB, bind: "10.0.0.1", hostPort: 80 }));
  expect(error).toMatchObject({
    code: expected,
    message: `Cannot publish tcp 10.0.0.1:80: ${state}`,
  });
  expect(open()).toEqual([]);
});

test("who still waits when the network ends hears why, and an answer that nobody waits for is dropped", async () => {
  const publisher = new Publisher({ send: () => {} });
  const waiting = failure(publisher.publish(WEB));
  publisher.take({ t: "published", ref: 99, addr: "127.0.0.1", port: 1 });
  const why = new SbxError("NETSTACK_LOST", "Cannot go on: netstack ended");
  publisher.close(why);
  expect(await waiting).toBe(why);
});
