/**
 * The journal and standard error, written about a guest that would like them to say something else: one clean
 * line for each thing that happened, and a line for everything that happened.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type Batch, inGuest } from "../support/batch.ts";
import { EVIL, PRIVATE, PUBLIC } from "../support/places.ts";
import { until } from "../support/process.ts";
import { contacts, type Report } from "../support/recorder.ts";
import { openWorld, type World } from "../support/world.ts";

let world: World;
beforeAll(async () => {
  world = await openWorld();
});
afterAll(() => world?.[Symbol.asyncDispose]());

type Line = Readonly<Record<string, unknown>> & { readonly event: string };

function journalOf(path: string): readonly Line[] {
  return readFileSync(path, "utf8").trimEnd().split("\n").map((line) => JSON.parse(line) as Line);
}

/** Python: what a guest could want to have printed, and the ways to get it there. */
const HOSTILE = String.raw`
import socket, ssl
texts = [
    b"\x1b[2J\x1b]0;owned\x07",
    b'a\r\n{"event":"end","time":"forged"}\r\n',
    b"\nsbx: denied nothing at all",
    b"\xff\xfe\xc3(",
    b"\x9b31m",
    "\u202egnp.\u200b\u2028".encode(),
    b'"\\\x00',
    b"x" * 63,
]
def asked(name, kind):
    question = b"".join(bytes([len(label)]) + label for label in name) + b"\0" + kind.to_bytes(2, "big") + b"\0\1"
    return b"\1\2\1\0\0\1\0\0\0\0\0\0" + question
def query(name, kind=1):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(20)
    s.sendto(asked(name, kind), ("9.9.9.9", 53)); return s.recv(4096)
def hello(sni):
    stand_in = "a" * len(sni)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = ssl.create_default_context()
    tls = context.wrap_bio(incoming, outgoing, server_hostname=stand_in)
    try: tls.do_handshake()
    except ssl.SSLWantReadError: pass
    return outgoing.read().replace(stand_in.encode(), sni)
def exchange(s, data):
    try:
        s.settimeout(20); s.sendall(data)
        while s.recv(65536): pass
    except OSError: pass
    s.close()
def secure():
    return ssl.create_default_context().wrap_socket(socket.create_connection(("good.cdn.test", 443), 20), server_hostname="good.cdn.test")
`;

describe("what a guest says", () => {
  let batch: Batch<string>;
  let seen: Report;
  let text: string;
  let journal: readonly Line[];
  const python = (program: string) =>
    `cat >/tmp/probe.py <<'PROBE'\n${HOSTILE}${program}\nPROBE\npython3 /tmp/probe.py`;

  beforeAll(async () => {
    const log = join(world.scratch, "hostile.jsonl");
    await world.internet.reset();
    batch = await inGuest(
      world,
      [
        ...["--tls-intercept", "--upstream-ca", world.ca, "--log", log, "--deny-with", "reject"],
        ...["--deny", ".evil.test"],
      ],
      {
        names: python(`
for text in texts:
    query([text, b"evil", b"test"]); query([text, b"allowed", b"test"], 65400)
query([b"y" * 63, b"z" * 63, b"y" * 63, b"z" * 61])
query([b"a.b\\x1b", b"evil.test", b"evil", b"test"])`),
        sni: python(`
for text in texts:
    for port in (443, 993): exchange(socket.create_connection(("${PUBLIC}", port), 20), hello(text))`),
        requests: python(`
for text in texts + [b"p" * 9000]:
    for head in (b"GET /" + text + b" HTTP/1.1\\r\\nHost: good.cdn.test", b"GET / HTTP/1.1\\r\\nHost: " + text,
                 text + b" / HTTP/1.1\\r\\nHost: good.cdn.test"):
        exchange(secure(), head + b"\\r\\nConnection: close\\r\\n\\r\\n")
        exchange(socket.create_connection(("${EVIL}", 80), 20), head + b"\\r\\nConnection: close\\r\\n\\r\\n")`),
        hostname: `printf '\\033[2J\\nforged' >/proc/sys/kernel/hostname; true`,
        denied: `python3 -c '
import socket
refused = 0
for port in range(1, 1001):
    try: socket.create_connection(("${PRIVATE[0]}", 20000 + port), 20)
    except OSError: refused += 1
print(refused)'`,
      },
      { limit: 500 },
    );
    seen = await world.internet.report();
    text = readFileSync(log, "utf8");
    journal = journalOf(log);
  }, 600_000);

  test("is all said, and none of it reaches what is denied", () => {
    for (const name of ["names", "sni", "requests"]) {
      expect([name, batch.probes[name]?.stderr, batch.probes[name]?.status]).toEqual([name, "", 0]);
    }
    expect(contacts(seen, [PRIVATE[0]])).toEqual({});
    expect(seen.queries.filter(({ name }) => /evil\.test\.?$/i.test(name))).toEqual([]);
  });

  // deno-lint-ignore no-control-regex
  const unclean = /[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\ufffd]/u;

  test("is one line of JSON each in the journal, with a time of sbx's own, and of bounded length", () => {
    expect(text.match(unclean)).toBeNull();
    for (const line of journal) {
      expect(String(line.time)).toMatch(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
      expect(JSON.stringify(line).length).toBeLessThan(6_000);
    }
    expect(journal.filter(({ event }) => event === "start")).toHaveLength(1);
    expect(journal.filter(({ event }) => event === "end")).toHaveLength(1);
    expect(journal.at(-1)?.event).toBe("end");
  });

  test("is in the journal, escaped", () => {
    const names = journal.filter(({ event }) => event === "dns").map(({ name }) => String(name));
    expect(names.filter((name) => name.startsWith(String.raw`\027\0912j`))).toHaveLength(2);
    expect(names.filter((name) => name.includes("forged"))).toHaveLength(2);
    const said = journal.map((line) => JSON.stringify(line)).join("\n");
    expect(said).not.toContain("\\u001b");
    const requests = journal.filter(({ event }) => event === "request");
    expect(requests.length).toBeGreaterThanOrEqual(27); // those over TLS
    expect(requests.filter(({ reason }) => reason === "request-malformed")).not.toEqual([]);
  });

  test("is one clean line each on standard error", () => {
    const { stderr } = batch.run;
    expect(stderr.match(unclean)).toBeNull();
    for (const line of stderr.trimEnd().split("\n")) {
      expect(line).toMatch(/^sbx: /);
      expect(line).not.toMatch(/^sbx: denied nothing/);
      expect(line.length).toBeLessThan(6_000);
    }
  });

  test("is in the journal a thousand times when a thousand flows are denied, each with its reason", () => {
    expect(batch.probes.denied?.stdout).toBe("1000\n");
    const denied = journal.filter(({ event, destination }) =>
      event === "denied" && String(destination).startsWith(`${PRIVATE[0]}:`)
    );
    const told = denied.map(({ destination, reason, rule }) => [destination, reason, rule]);
    const [, , rule] = told[0] ?? [];
    expect(rule).toBeNumber();
    expect(told).toEqual(
      Array.from({ length: 1000 }, (_, n) => [`${PRIVATE[0]}:${20001 + n}`, "rule", rule]),
    );
    expect(batch.run.stderr).toMatch(/denied .*1000|10\.9\.9\.9:2\d+/);
  });
});

test(
  "flows that are open when the command is killed are in the journal with their bytes and their end",
  async () => {
    const log = join(world.scratch, "killed.jsonl");
    const program = `
import socket, ssl, time
def open_one(n):
    s = socket.create_connection(("${PUBLIC}", 7), 20); s.sendall(b"x" * (n + 1))
    got = 0
    while got < n + 1: got += len(s.recv(999))
    return s
held = [open_one(n) for n in range(50)]
u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); u.settimeout(20)
u.sendto(b"datagram", ("${PUBLIC}", 7)); u.recv(99)
tls = ssl.create_default_context().wrap_socket(socket.create_connection(("good.cdn.test", 443), 20), server_hostname="good.cdn.test")
tls.sendall(b"GET / HTTP/1.1\\r\\nHost: good.cdn.test\\r\\n\\r\\n"); tls.recv(99)
print("ready", flush=True); time.sleep(1000)`;
    const running = world.start(
      [
        ...["run", "--tls-intercept", "--upstream-ca", world.ca, "--log", log],
        ...["--", "python3", "-c", program],
      ],
      { stdin: "" },
    );
    try {
      await until("the flows", () => running.stdout().includes("ready"), 60);
    } finally {
      running.kill("SIGTERM");
    }
    const { status, stderr } = await running.ended;
    expect(status).toBe(143);
    const journal = journalOf(log);
    const opened = journal.filter(({ event }) => event === "opened");
    const closed = journal.filter(({ event }) => event === "closed");
    expect(opened).toHaveLength(52);
    expect(closed.map(({ flow }) => flow).sort()).toEqual(opened.map(({ flow }) => flow).sort());
    const echoed = closed.filter(({ protocol, destination }) =>
      protocol === "tcp" && destination === `${PUBLIC}:7`
    );
    const bytes = echoed.map(({ up, down }) => `${up} ${down}`);
    expect(new Set(bytes)).toEqual(
      new Set(Array.from({ length: 50 }, (_, n) => `${n + 1} ${n + 1}`)),
    );
    expect(journal.filter(({ event }) => event === "dns")).not.toEqual([]);
    expect(journal.filter(({ event }) => event === "request")).toHaveLength(1);
    expect(journal.at(-1)?.event).toBe("end");
    expect(stderr).toMatch(/52 (connections|flows)/);
  },
  120_000,
);
