/**
 * What `public-only` promises, in a real guest: the internet works with the user's own tools, and nothing that
 * is the host's, its network's or its cloud's is so much as touched.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { execFileSync } from "node:child_process";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { type Batch, bracketed, inGuest, outcomes, reach } from "../support/batch.ts";
import {
  EVIL,
  HOST_ADDRESSES,
  HOST_ANY_PORT,
  HOST_LOOPBACK_PORT,
  METADATA,
  ODD,
  PRIVATE,
  PUBLIC,
  PUBLIC_2,
  PUBLIC_6,
  SILENT,
  TRANSLATED,
  UNREACHABLE,
} from "../support/places.ts";
import { contacts, type Report } from "../support/recorder.ts";
import { openWorld, type World } from "../support/world.ts";

const GATEWAYS = ["192.168.127.1", "fd73:6278::1"];

/** Never to be reached, and what the guest may try on each. */
const FORBIDDEN = [...PRIVATE, ...METADATA, ...TRANSLATED];
const FORBIDDEN_TARGETS = [
  ...FORBIDDEN.flatMap((at) => [22, 80, 443].map((port) => `tcp:${bracketed(at)}:${port}`)),
  ...FORBIDDEN.map((at) => `udp:${bracketed(at)}:7`),
  // Mapped, compatible and translated spellings, as raw packets: the guest's own stack would not send them.
  "raw6:::ffff:10.9.9.9",
  "raw6:::10.9.9.9",
  "raw6:::ffff:0:10.9.9.9",
];

const HOST_TARGETS = [
  ...[...GATEWAYS, ...HOST_ADDRESSES].flatMap((at) =>
    [22, 80, HOST_LOOPBACK_PORT, HOST_ANY_PORT].map((port) => `tcp:${bracketed(at)}:${port}`)
  ),
  ...[...GATEWAYS, ...HOST_ADDRESSES].map((at) => `udp:${bracketed(at)}:${HOST_ANY_PORT}`),
];

/** Other protocols, and addresses that no unicast packet has. */
const ODDITIES = [
  ...[4, 41, 47, 50, 132, 253].map((protocol) => `raw:${protocol}:${PUBLIC}`),
  "udp:255.255.255.255:9",
  "udp:192.168.127.255:9",
  "udp:224.0.0.251:5353",
  "udp:239.255.255.250:1900",
  "udp:240.0.0.1:9",
  "tcp:240.0.0.1:80",
];

let world: World;
beforeAll(async () => {
  world = await openWorld();
});
afterAll(() => world?.[Symbol.asyncDispose]());

describe("what is public", () => {
  let batch: Batch<string>;
  let seen: Report;

  beforeAll(async () => {
    serveRepository(world);
    await world.internet.reset();
    const curl = "curl -sS -m 20 --cacert /trust/ca.pem";
    const python = (code: string) => `python3 -c '${code}'`;
    batch = await inGuest(world, ["--policy", "public-only", ...world.withCa], {
      http: `${curl} http://api.allowed.test/`,
      https: `${curl} https://api.allowed.test/`,
      http1: `${curl} --http1.1 https://api.allowed.test:8443/`,
      v6: `${curl} -6 https://api.allowed.test/`,
      alias: `${curl} http://alias.allowed.test/`,
      address: `${curl} http://${PUBLIC_2}/`,
      upload: `head -c 3000000 /dev/zero | ${curl} -T - http://files.allowed.test/sink`,
      python: python(`
import ssl, urllib.request
context = ssl.create_default_context(cafile="/trust/ca.pem")
print(urllib.request.urlopen("https://api.allowed.test/", context=context, timeout=20).read().decode())`),
      git:
        "cd /tmp && GIT_SSL_CAINFO=/trust/ca.pem git clone -q https://files.allowed.test/files/r.git" +
        " && cat r/README",
      gitPlain:
        "cd /tmp && git clone -q http://files.allowed.test/files/r.git plain && cat plain/README",
      getent: "getent ahosts api.allowed.test",
      nowhere: "getent hosts nowhere.test",
      banner:
        `timeout 10 python3 -c 'import socket; print(socket.create_connection(("${PUBLIC_2}", 22)).recv(99))'`,
      ping: `ping -c 2 -W 5 ${PUBLIC}`,
      ping6: `ping -c 2 -W 5 ${PUBLIC_6}`,
      udp: reach([`udp:${PUBLIC}:7`, `udp:[${PUBLIC_6}]:7`, `tcp:${ODD}:80`], 10),
      refused: reach([`tcp:${PUBLIC}:4242`, `tcp:[${PUBLIC_6}]:4242`], 20),
      unreachable: reach([`tcp:${UNREACHABLE}:80`], 20),
      silent: reach([`tcp:${SILENT}:80`], 2),
    });
    seen = await world.internet.report();
  }, 300_000);

  const hello = (at: string, as: string, over: string) =>
    `hello from ${at} as ${as} over ${over}\n`;

  test("the run ends with the status of its last command and says nothing was denied", () => {
    expect(batch.run.status).toBe(0);
    expect(batch.run.stderr).toMatch(/^sbx: \d+ flows opened, nothing denied$/m);
    expect(batch.run.stderr).not.toMatch(/^sbx: denied/m);
  });

  test("curl fetches over HTTP and HTTPS, by name and address, in both families", () => {
    const said = (name: string) => batch.probes[name]?.stdout;
    expect(said("http")).toMatch(/^hello from \S+:80 as api\.allowed\.test over HTTP\/1\.1\n$/);
    expect(said("https")).toMatch(/^hello from \S+:443 as api\.allowed\.test over HTTP\/2\.0\n$/);
    expect(said("http1")).toMatch(
      /^hello from \S+:8443 as api\.allowed\.test:8443 over HTTP\/1\.1\n$/,
    );
    expect(said("v6")).toBe(hello(`[${PUBLIC_6}]:443`, "api.allowed.test", "HTTP/2.0"));
    expect(said("alias")).toMatch(/as alias\.allowed\.test over HTTP\/1\.1\n$/);
    expect(said("address")).toBe(hello(`${PUBLIC_2}:80`, PUBLIC_2, "HTTP/1.1"));
  });

  test("an upload arrives whole", () => {
    expect(batch.probes.upload?.stdout).toMatch(/^3000000 [0-9a-f]{64}\n$/);
    expect(seen.streams.map(({ bytes }) => bytes)).toEqual([3_000_000]);
  });

  test("python3 and git of the host's /usr fetch over HTTPS and HTTP", () => {
    expect(batch.probes.python).toMatchObject({ status: 0, stderr: "" });
    expect(batch.probes.python?.stdout).toContain("as api.allowed.test over HTTP/1.1");
    expect(batch.probes.git).toMatchObject({ status: 0, stdout: "from the fake internet\n" });
    expect(batch.probes.gitPlain).toMatchObject({ status: 0, stdout: "from the fake internet\n" });
  });

  test("the system's resolver library finds names, and not those that do not exist", () => {
    expect(batch.probes.getent?.stdout).toContain(PUBLIC);
    expect(batch.probes.nowhere).toMatchObject({ status: 2, stdout: "" });
  });

  test("a server that speaks first is heard", () => {
    expect(batch.probes.banner?.stdout).toBe("b'SSH-2.0-internet\\r\\n'\n");
  });

  test("ping is answered by who was asked", () => {
    expect(batch.probes.ping?.stdout).toContain("2 received");
    expect(batch.probes.ping6?.stdout).toContain("2 received");
    expect(contacts(seen, [PUBLIC])[`icmp ${PUBLIC}`]).toBe(2);
    expect(contacts(seen, [PUBLIC_6])[`icmp6 ${PUBLIC_6}`]).toBe(2);
  });

  test("UDP goes there and back", () => {
    expect(outcomes(batch.probes.udp ?? fail())).toEqual({
      [`udp:${PUBLIC}:7`]: "open",
      [`udp:[${PUBLIC_6}]:7`]: "open",
      [`tcp:${ODD}:80`]: "open",
    });
    expect(seen.datagrams).toEqual({ [`${PUBLIC}:7`]: 1, [`[${PUBLIC_6}]:7`]: 1 });
  });

  test("a server that refuses, one that is unreachable and one that is silent look so", () => {
    expect(Object.values(outcomes(batch.probes.refused ?? fail()))).toEqual(["refused", "refused"]);
    expect(Object.values(outcomes(batch.probes.unreachable ?? fail()))).toEqual(["unreachable"]);
    expect(Object.values(outcomes(batch.probes.silent ?? fail()))).toEqual(["silent"]);
  });
});

describe.each(["drop", "reject"] as const)("what is not, with --deny-with %s", (denyWith) => {
  let batch: Batch<string>;
  let seen: Report;
  let host: Report;

  beforeAll(async () => {
    await world.internet.reset();
    await world.host.reset();
    // A refusal that takes longer than a second counts as silence.
    const patience = denyWith === "reject" ? 1 : 3;
    batch = await inGuest(world, ["--policy", "public-only", "--deny-with", denyWith], {
      forbidden: reach(FORBIDDEN_TARGETS, patience),
      host: reach(HOST_TARGETS, patience),
      oddities: reach(ODDITIES, 1),
      // Linux takes 0.0.0.0 for itself, so the packets have to be made by hand.
      zero: `python3 -c '
import socket
raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0x800); raw.bind(("eth0", 0))
for to in ("0.0.0.0", "127.0.0.1", "0.0.0.1"):
    head = bytes.fromhex("450000280001000040060000") + socket.inet_aton("192.168.127.2") + socket.inet_aton(to)
    total = sum(int.from_bytes(head[i:i+2], "big") for i in range(0, 20, 2)); total = (total & 65535) + (total >> 16)
    head = head[:10] + (~total & 65535).to_bytes(2, "big") + head[12:]
    tcp = bytes.fromhex("9c402329000000010000000050022000") + bytes(4)
    pseudo = head[12:20] + bytes([0, 6, 0, 20]) + tcp
    total = sum(int.from_bytes(pseudo[i:i+2], "big") for i in range(0, len(pseudo), 2))
    while total >> 16: total = (total & 65535) + (total >> 16)
    tcp = tcp[:16] + (~total & 65535).to_bytes(2, "big") + tcp[18:]
    raw.send(bytes.fromhex("0273627800010273627800020800") + head + tcp)
'`,
      ping: [...PRIVATE, METADATA[0], HOST_ADDRESSES[0]]
        .map((at) => `ping -c 1 -W 1 ${at} >/dev/null && echo ${at}`).join("; "),
      after: `curl -sS -m 20 http://${EVIL}/`,
    });
    seen = await world.internet.report();
    host = await world.host.report();
  }, 300_000);

  test("no forbidden address is open to the guest", () => {
    const found = outcomes(batch.probes.forbidden ?? fail());
    const open = Object.entries(found).filter(([, outcome]) => outcome === "open");
    expect(open).toEqual([]);
    const errors = new Set(
      FORBIDDEN_TARGETS.filter((target) => !target.startsWith("raw6")).map((to) => found[to] ?? ""),
    );
    if (denyWith === "drop") expect(errors).toEqual(new Set(["silent"]));
    else expect(errors.has("silent")).toBe(false);
  });

  test("neither is the host, nor the gateway beyond its own services", () => {
    const found = outcomes(batch.probes.host ?? fail());
    expect(Object.entries(found).filter(([, outcome]) => outcome === "open")).toEqual([]);
    expect([host.accepts, host.datagrams]).toEqual([{}, {}]);
  });

  test("no packet of any kind reached them", () => {
    expect(contacts(seen, FORBIDDEN)).toEqual({});
  });

  test("other protocols, broadcast and multicast do not leave", () => {
    const found = outcomes(batch.probes.oddities ?? fail());
    expect(Object.entries(found).filter(([, outcome]) => outcome === "open")).toEqual([]);
    expect(Object.keys(seen.packets).filter((key) => key.startsWith("proto"))).toEqual([]);
    const targets = ["255.255.255.255", "224.0.0.251", "239.255.255.250", "240.0.0.1"];
    expect(contacts(seen, targets)).toEqual({});
  });

  test("ping is not answered", () => {
    expect(batch.probes.ping?.stdout).toBe("");
  });

  test("each denial is told once, with the flag that would allow it", () => {
    const { stderr } = batch.run;
    expect(stderr).toMatch(
      /^sbx: denied tcp 10\.9\.9\.9:80: .*--allow 10\.9\.9\.9:80 would allow it$/m,
    );
    const lines = stderr.split("\n").filter((line) => line.includes("denied tcp 10.9.9.9:80:"));
    expect(lines).toHaveLength(1);
  });

  test("and the internet still works", () => {
    expect(batch.probes.after?.stdout).toBe(`hello from ${EVIL}:80 as ${EVIL} over HTTP/1.1\n`);
  });
});

function fail(): never {
  throw new Error("the probe has no answer");
}

/** A bare repository that plain file transfer can clone. */
function serveRepository({ scratch, files }: World): void {
  const work = join(scratch, "work");
  const bare = join(files, "r.git");
  const git = (...args: string[]) =>
    execFileSync("git", args, {
      stdio: "pipe",
      env: { PATH: process.env.PATH, HOME: scratch, GIT_CONFIG_NOSYSTEM: "1" },
    });
  mkdirSync(work);
  git("init", "-q", work);
  writeFileSync(join(work, "README"), "from the fake internet\n");
  git("-C", work, "add", "README");
  git("-C", work, "-c", "user.name=t", "-c", "user.email=t@t", "commit", "-q", "-m", "first");
  git("clone", "-q", "--bare", work, bare);
  git("-C", bare, "update-server-info");
  rmSync(work, { recursive: true });
}
