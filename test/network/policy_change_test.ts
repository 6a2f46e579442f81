/**
 * Another policy while flows are open, on the real netstack and network layer: whatever it denies is cut on
 * both sides, however it passes, and nothing else is.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { policyChangeLines } from "../../lib/journal/policy_change.ts";
import { buildGo } from "../support/build.ts";
import { type NamespaceGuest, openNamespaceGuest } from "../support/namespace_guest.ts";
import { PUBLIC, PUBLIC_2, SHARED } from "../support/places.ts";
import { type Running, until } from "../support/process.ts";
import { connectionsOf } from "../support/connections.ts";
import { openWorld, type World } from "../support/world.ts";

let world: World;
beforeAll(async () => {
  world = await openWorld();
});
afterAll(() => world?.[Symbol.asyncDispose]());

/** In the guest: conversations without end, each a line when it begins and one when it ends. */
const TALK = `
import os, socket, ssl, sys, threading, time
def say(*words): os.write(1, (" ".join(words) + "\\n").encode()) # whole lines, whichever thread
def talk(what, s, ask, most):
    try:
        said = False
        while True:
            s.sendall(ask)
            if not s.recv(most): say("ended", what, "eof"); return
            if not said: said = True; say("talking", what)
            time.sleep(0.05)
    except OSError as e: say("ended", what, type(e).__name__)
def tcp(what, at, port, ask=b"\\0"):
    talk(what, socket.create_connection((at, port), 20), ask, 65536)
def tls(what, name, port, ca, ask):
    context = ssl.create_default_context(cafile=ca)
    raw = socket.create_connection((socket.gethostbyname(name), port), 20)
    talk(what, context.wrap_socket(raw, server_hostname=name, suppress_ragged_eofs=False), ask, 65536)
def udp(what, at):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(0.2); s.connect((at, 7))
    said = False
    while True:
        try:
            s.send(b"x"); s.recv(99)
            if not said: said = True; say("talking", what)
        except OSError: pass
        time.sleep(0.05)
own, real = sys.argv[1:3]
get = b"GET / HTTP/1.1\\r\\nHost: good.cdn.test\\r\\n\\r\\n"
socket.gethostbyname("good.cdn.test")
for f, *args in (
    (tcp, "kept", "${PUBLIC}", 7),
    (tcp, "tcp", "${PUBLIC_2}", 7),
    (udp, "udp", "${PUBLIC_2}"),
    (tcp, "http", "${SHARED}", 80, get),
    (tls, "intercepted", "good.cdn.test", 443, own, get),
    (tls, "tls", "good.cdn.test", 8443, real, get),
):
    threading.Thread(target=f, args=args, daemon=True).start()
time.sleep(1000)`;

const STREAMS = ["kept", "tcp", "http", "intercepted", "tls"] as const;
const CUT = STREAMS.filter((what) => what !== "kept");

async function talking(guest: NamespaceGuest): Promise<Running> {
  const running = guest.start(["python3", "-uc", TALK, guest.authority, world.ca]);
  for (const what of [...STREAMS, "udp"]) {
    await until(what, () => running.stdout().includes(`talking ${what}\n`));
  }
  return running;
}

const OPEN = {
  policy: "public-only",
  rules: ["deny@bad.cdn.test", "allow@10.9.9.9"],
} as const;

const TIGHT = {
  policy: "public-only",
  rules: ["allow@10.9.9.9", "deny@bad.cdn.test", "deny@good.cdn.test", `deny@${PUBLIC_2}`],
} as const;

describe("a policy that denies what is open", () => {
  test("says so beforehand, and cuts all of it on both sides", async () => {
    await using guest = await openNamespaceGuest(world, {
      ...OPEN,
      tls: { upstreamCa: [world.ca], ports: [443] },
    });
    const running = await talking(guest);
    const ping = guest.start(["ping", "-i", "0.2", PUBLIC_2]);
    const client = buildGo("webclient");
    const socket = guest.start([
      ...[client, "socket", "--ca", guest.authority, "--http", "1"],
      ...["--url", "wss://good.cdn.test/socket", "--count", "10000000"],
    ]);
    const stream = guest.start([
      ...[client, "grpc", "--ca", guest.authority, "--url", "https://good.cdn.test"],
      ...["--count", "10000000"],
    ]);
    // Goes on when its connection is gone, and gets none.
    const requests = guest.start([
      ...[client, "rate", "--ca", guest.authority, "--http", "2", "--parallel", "1"],
      ...["--url", "https://good.cdn.test/kept", "--seconds", "100"],
    ]);
    await until("the ping", () => ping.stdout().includes("bytes from"));
    await until(
      "the connections",
      async () => (await connectionsOf(world)).filter((at) => at === `${SHARED}:443`).length >= 4,
    );
    const lines = guest.journal.length;

    const foreseen = await guest.apply(TIGHT, { dryRun: true });
    expect(foreseen.rules).toEqual({
      added: [{ at: 2, rule: "deny@good.cdn.test" }, { at: 3, rule: `deny@${PUBLIC_2}` }],
      removed: [],
      moved: [{ from: 1, to: 0, rule: "allow@10.9.9.9" }],
    });
    expect(guest.journal.slice(lines).map(({ event }) => event)).not.toContain("policy");
    await new Promise((wake) => setTimeout(wake, 300));
    expect(running.stdout()).not.toContain("ended");
    await world.internet.reset();

    const change = await guest.apply(TIGHT);
    for (const what of CUT) {
      // To Python's TLS a reset is an end without its alert.
      const end = new RegExp(`^ended ${what} (?:ConnectionResetError|SSLEOFError)$`, "m");
      await until(what, () => end.test(running.stdout()));
    }
    await until("the end of the socket", () => socket.stderr() !== "");
    await until("the end of the stream", () => stream.stderr() !== "");
    await until("the server's side", async () => {
      const open = await connectionsOf(world);
      return !open.includes(`${PUBLIC_2}:7`) && !open.some((at) => at.startsWith(`${SHARED}:`));
    });
    // What was denied is tried on and on, and nothing of it gets out.
    await world.internet.reset();
    const answered = () => ping.stdout().split("bytes from").length;
    const before = answered();
    await until("what goes on", async () => {
      const { bytes } = await world.internet.report();
      return (bytes[`${PUBLIC}:7`] ?? 0) > 0;
    });
    await new Promise((wake) => setTimeout(wake, 500));
    const { datagrams, requests: seen } = await world.internet.report();
    expect({ datagrams: datagrams[`${PUBLIC_2}:7`], seen }).toEqual({
      datagrams: undefined,
      seen: [],
    });
    expect(answered()).toBe(before);
    expect(running.stdout()).not.toContain("ended kept");

    const cut = change.flows.filter(({ outcome }) => outcome === "cut");
    expect(
      cut.map(({ protocol, destination, ruleText }) => [protocol, destination, ruleText]).sort(),
    )
      .toEqual([
        ["icmpv4", PUBLIC_2, `deny@${PUBLIC_2}`],
        ["tcp", `${PUBLIC_2}:7`, `deny@${PUBLIC_2}`],
        ["tcp", `${SHARED}:443`, "deny@good.cdn.test"],
        ["tcp", `${SHARED}:443`, "deny@good.cdn.test"],
        ["tcp", `${SHARED}:443`, "deny@good.cdn.test"],
        ["tcp", `${SHARED}:443`, "deny@good.cdn.test"],
        ["tcp", `${SHARED}:80`, "deny@good.cdn.test"],
        ["tcp", `${SHARED}:8443`, "deny@good.cdn.test"],
        ["udp", `${PUBLIC_2}:7`, `deny@${PUBLIC_2}`],
      ].sort());
    expect(change.flows.map(({ flow, outcome }) => [flow, outcome]))
      .toEqual(foreseen.flows.map(({ flow, outcome }) => [flow, outcome]));
    expect(policyChangeLines(change)).toContain(`cut 9 of ${change.flows.length} open flows`);
    const told = guest.journal.slice(lines);
    const policy = told.findIndex(({ event }) => event === "policy");
    expect(told[policy]).toMatchObject({ digest: change.digest });
    const revoked = told.filter(({ event }) => event === "revoked").map(({ flow }) => flow);
    expect(revoked.sort()).toEqual(cut.map(({ flow }) => flow).sort());
    expect(told.findIndex(({ event }) => event === "revoked")).toBeGreaterThan(policy);
    for (const each of [running, ping, socket, stream, requests]) each.kill();
  }, 120_000);
});

describe("a change that cannot be", () => {
  test.each(
    [
      [
        "an authority of its own",
        { tls: { authority: { cert: "/c.pem", key: "/k.pem" } } },
        "POLICY_FIXED",
      ],
      ["interception where the guest trusts nobody", { tls: { intercept: true } }, "POLICY_FIXED"],
      [
        "a list that is not there",
        { dns: { blockLists: [{ path: "/nowhere/list", as: "name" }] } },
        "FILE_UNREADABLE",
      ],
    ] as const,
  )("for %s leaves everything as it was", async (_what, next, code) => {
    await using guest = await openNamespaceGuest(world, { policy: "public-only" });
    const talk = `
import socket, time
s = socket.create_connection(("${PUBLIC_2}", 7), 20)
while True:
    s.sendall(b"x"); print("talking" if s.recv(1) else exit(), flush=True); time.sleep(0.05)`;
    const running = guest.start(["python3", "-c", talk]);
    await until("the flow", () => running.stdout().includes("talking"));
    const lines = guest.journal.length;
    const refused = await guest.apply({ ...TIGHT, ...next }).catch((error) => error);
    expect(refused.code).toBe(code);
    const before = running.stdout().length;
    await until("more of it", () => running.stdout().length > before + 20);
    const events = guest.journal.slice(lines).map(({ event }) => event);
    expect(events.filter((event) => event === "policy" || event === "revoked")).toEqual([]);
    const { stdout } = await guest.run(["curl", "-sS", "-m", "20", "http://good.cdn.test/"]);
    expect(stdout).toContain("hello from");
    running.kill();
  });
});

describe("names that were resolved", () => {
  const resolve = (guest: NamespaceGuest, name: string) =>
    guest.run([
      "python3",
      "-c",
      `import socket\ntry: print(socket.gethostbyname("${name}"))\nexcept OSError: print("no")`,
    ]).then(({ stdout }) => stdout.trim());

  test("and no longer would be are forgotten, aliases of what is denied among them", async () => {
    await using guest = await openNamespaceGuest(world, { policy: "public-only" });
    const names = ["alias.allowed.test", "files.allowed.test", "good.cdn.test", "evil.test"];
    for (const name of names) expect(await resolve(guest, name)).not.toBe("no");
    const list = join(world.scratch, "blocked.txt");
    writeFileSync(list, "evil.test\n");
    const change = await guest.apply({
      policy: "public-only",
      rules: ["deny@api.allowed.test"],
      block: ["cdn.test"],
      dns: { blockLists: [{ path: list, as: "name" }] },
    });
    const forgotten = new Set(change.forgotten.map(({ name }) => name));
    expect([...forgotten].sort()).toEqual(["alias.allowed.test", "evil.test", "good.cdn.test"]);
    expect(change.settings).toEqual(["dns.blockSuffix", "dns.blockLists"]);
    for (const name of names) {
      const isKept = name === "files.allowed.test";
      expect([name, await resolve(guest, name) === "no"]).toEqual([name, !isKept]);
    }
  });

  test("by other resolvers than those that are asked now count no more", async () => {
    await using guest = await openNamespaceGuest(world, { policy: "public-only" });
    expect(await resolve(guest, "allowed.test")).toBe(PUBLIC);
    const change = await guest.apply({
      policy: "public-only",
      dns: { servers: ["8.8.8.8:53"] },
    });
    expect(change.forgotten).toEqual([{ name: "allowed.test", address: PUBLIC }]);
    await world.internet.reset();
    expect(await resolve(guest, "allowed.test")).toBe(PUBLIC);
    const { queries } = await world.internet.report();
    expect(new Set(queries.map(({ to }) => to))).toEqual(new Set(["8.8.8.8"]));
  });
});

describe("settings of TLS", () => {
  test("that are tightened cut what passed by the looser ones, and count for what comes", async () => {
    await using guest = await openNamespaceGuest(world, {
      policy: "public-only",
      tls: { verifyUpstream: false, ports: [443] },
    });
    const fetch = () =>
      guest.run(["curl", "-sS", "-m", "20", "--cacert", guest.authority, "https://good.cdn.test/"]);
    expect((await fetch()).stdout).toContain("hello from");
    const stalled = guest.start(
      ["curl", "-sS", "--cacert", guest.authority, "https://good.cdn.test/stall"],
    );
    await until(
      "the connection",
      async () => (await connectionsOf(world)).includes(`${SHARED}:443`),
    );
    await until(
      "its request",
      async () => (await world.internet.report()).requests.some(({ path }) => path === "/stall"),
    );
    const change = await guest.apply({ policy: "public-only", tls: { verifyUpstream: true } });
    expect(change.flows).toMatchObject([{ outcome: "cut", reason: "upstream-untrusted" }]);
    await until("the end", async () => !(await connectionsOf(world)).includes(`${SHARED}:443`));
    expect((await fetch()).stdout).not.toContain("hello from");
    await guest.apply({ policy: "public-only", tls: { upstreamCa: [world.ca] } });
    expect((await fetch()).stdout).toContain("hello from");
    stalled.kill();
  });
});
