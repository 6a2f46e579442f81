/**
 * Names that this machine, the user and the guest know without asking, in a real guest on the binary.
 */
import { appendFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, expect, test } from "bun:test";
import { HOST_LOOPBACK_PORT, PRIVATE, PUBLIC, PUBLIC_2 } from "../support/places.ts";
import { openWorld, type World } from "../support/world.ts";

let world: World;
beforeAll(async () => {
  world = await openWorld();
  const hosts = join(world.scratch, "hosts");
  writeFileSync(
    hosts,
    `127.0.0.1 localhost\n127.0.1.1 thisbox\n${PUBLIC} known.example.test\n${PRIVATE[0]} inner\n`,
  );
  const [command = "", ...args] = world.onHostAsRoot(["mount", "--bind", hosts, "/etc/hosts"]);
  expect(Bun.spawnSync([command, ...args]).exitCode).toBe(0);
  appendFileSync(join(world.scratch, "resolv.conf"), "search allowed.test\n");
});
afterAll(() => world?.[Symbol.asyncDispose]());
beforeEach(() => world.internet.reset());

/** What the resolvers of the internet were asked for. */
async function asked(): Promise<string[]> {
  const { queries } = await world.internet.report();
  return [...new Set(queries.map(({ name }) => name))].sort();
}

/** Prints a word for each name: its addresses, or nothing. */
const look = (...names: readonly string[]) =>
  names.map((name) => `echo ${name}: $(getent ahosts ${name} | awk '{print $1}' | sort -u)`).join(
    "; ",
  );

test(
  "the guest's own name, added names and those of the hosts file are asked of nobody",
  async () => {
    const { stdout, stderr, status } = await world.sbx([
      "run",
      "--quiet",
      "--name",
      "mybox",
      "--add-host",
      `files:${PUBLIC_2}`,
      "--add-host",
      "db.internal:10.9.9.9",
      "--add-host=six.internal=[2606:2800:220::34]",
      "--add-host",
      "machine.internal:host-gateway",
      "--allow",
      `host:${HOST_LOOPBACK_PORT}`,
      "--",
      "sh",
      "-c",
      [
        "cat /etc/resolv.conf",
        look("mybox", "known.example.test", "inner", "thisbox"),
        look("files", "db.internal", "six.internal", "machine.internal"),
        // An AAAA question for the guest's own name, which its hosts file need not answer.
        "getent ahostsv6 mybox | head -n 1 | awk '{print $1}'",
        `python3 -c 'import socket; print(socket.create_connection(("known.example.test", 7), 20).send(b"x"))'`,
        `python3 -c 'import socket; print(socket.create_connection(("machine.internal", ${HOST_LOOPBACK_PORT}), 20).send(b"x"))'`,
        `python3 -c 'import socket; socket.create_connection(("db.internal", 7), 3)' 2>/dev/null || echo denied`,
      ].join("; "),
    ]);
    expect([stderr, status]).toEqual(["", 0]);
    expect(stdout.split("\n")).toEqual([
      "nameserver 192.168.127.1",
      "search allowed.test",
      expect.stringMatching(/^mybox: .*127\.0\.1\.1/),
      `known.example.test: ${PUBLIC}`,
      "inner:",
      "thisbox:",
      `files: ${PUBLIC_2}`,
      `db.internal: ${PRIVATE[0]}`,
      "six.internal: 2606:2800:220::34",
      "machine.internal: 192.168.127.1",
      expect.stringMatching(/^(::1|::ffff:127\.0\.1\.1)$/),
      "1",
      "1",
      "denied",
      "",
    ]);
    // Only what is not known here, and what the search list makes of it.
    expect(await asked()).toEqual(["inner.allowed.test", "thisbox.allowed.test"]);
    const { accepts } = await world.internet.report();
    expect(accepts).toEqual({ [`${PUBLIC}:7`]: 1 });
  },
  180_000,
);

test(
  "the search list finds the host's neighbours by their bare names, and another resolver's guest has none",
  async () => {
    const { stdout } = await world.sbx(["run", "--quiet", "--", "sh", "-c", look("api", "inner")]);
    expect(stdout).toContain(`api: `);
    expect(stdout).toContain(PUBLIC);
    const other = await world.sbx(
      ["run", "--quiet", "--dns-server", "8.8.8.8", "--", "cat", "/etc/resolv.conf"],
    );
    expect(other.stdout).toBe("nameserver 192.168.127.1\n");
  },
  180_000,
);

test("an allow list opens an added name by its name", async () => {
  const { stdout, stderr } = await world.sbx([
    "run",
    "--quiet",
    "--policy",
    "none",
    "--allow",
    "db.internal:80",
    "--add-host",
    `db.internal:${PRIVATE[0]}`,
    "--",
    "curl",
    "-sS",
    "http://db.internal/",
  ]);
  expect([stdout, stderr]).toEqual([
    `hello from ${PRIVATE[0]}:80 as db.internal over HTTP/1.1\n`,
    "",
  ]);
  expect((await world.internet.report()).accepts).toEqual({ [`${PRIVATE[0]}:80`]: 1 });
  expect(await asked()).toEqual([]);
}, 180_000);
