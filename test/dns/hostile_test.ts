/**
 * What guests and the owners of names do on purpose. Each case asserts both sides: what the guest was
 * told, and what the resolver saw.
 */
import { Buffer } from "node:buffer";
import { expect, test } from "bun:test";
import dnsPacket from "dns-packet";
import { publicOnly } from "../../lib/policy/model/presets.ts";
import {
  a,
  aaaa,
  cname,
  dataOf,
  edns,
  extendedError,
  openLab,
  policyOf,
  queryFor,
  rcode,
  setOf,
} from "./fixture.ts";

const PUBLIC = publicOnly();
const API = a("api.allowed.test", "93.184.216.34");

test("a blocked target behind an alias", async () => {
  const zone = [
    cname("first.allowed.test", "second.allowed.test"),
    cname("second.allowed.test", "t.ads.test"),
    a("t.ads.test", "93.184.216.34"),
  ];
  await using lab = await openLab(PUBLIC, zone, { blocked: setOf(".ads.test") });
  for (const type of ["A", "AAAA", "CNAME", "TXT"]) {
    const name = type === "CNAME" ? "second.allowed.test" : "first.allowed.test";
    const reply = await lab.ask(name, type);
    expect([rcode(reply), dataOf(reply)]).toEqual(["NXDOMAIN", []]);
    expect(extendedError(reply)).toBe("15 blocked-name: alias of t.ads.test");
  }
  expect([...lab.pins.namesOf("93.184.216.34")]).toEqual([]);
});

test("an answer that flips inside between check and use", async () => {
  await using lab = await openLab(PUBLIC);
  let asked = 0;
  lab.server.behaviour = (_, truth) => ({
    ...truth,
    flags: dnsPacket.RECURSION_AVAILABLE,
    answers: [a("flip.evil.test", asked++ === 0 ? "45.33.32.156" : "10.9.9.9", 0)],
  });
  expect(dataOf(await lab.ask("flip.evil.test"))).toEqual(["45.33.32.156"]);
  const second = await lab.ask("flip.evil.test");
  expect([rcode(second), dataOf(second)]).toEqual(["NXDOMAIN", []]);
  expect(extendedError(second)).toBe("15 rebind: 10.9.9.9");
  expect([...lab.pins.namesOf("10.9.9.9")]).toEqual([]);
  expect(lab.pins.has("flip.evil.test", "45.33.32.156")).toBe(true);
});

test("every spelling of an inner address is inside", async () => {
  await using lab = await openLab(PUBLIC);
  const inside = [
    "127.0.0.1",
    "0.0.0.0",
    "10.9.9.9",
    "100.64.0.9",
    "169.254.169.254",
    "168.63.129.16",
    "192.168.127.1",
    "224.0.0.251",
    "255.255.255.255",
    "::",
    "::1",
    "::ffff:10.9.9.9",
    "::10.9.9.9",
    "::ffff:0:10.9.9.9",
    "64:ff9b::a09:909",
    "64:ff9b::a9fe:a9fe",
    "2002:a09:909::1",
    "fd12::9",
    "fe80::1",
    "fec0::1",
    "fd00:ec2::254",
    "ff02::fb",
  ];
  for (const [index, address] of inside.entries()) {
    const name = `n${index}.evil.test`;
    const type = address.includes(":") ? "AAAA" : "A";
    lab.server.zone.push(type === "A" ? a(name, address) : aaaa(name, address));
    expect([address, rcode(await lab.ask(name, type))]).toEqual([address, "NXDOMAIN"]);
  }
  expect(lab.pins.size.pins).toBe(0);
  for (const address of ["93.184.216.34", "198.18.0.9", "192.0.2.1"]) {
    lab.server.zone.push(a(`p${address}.test`, address));
    expect(dataOf(await lab.ask(`p${address}.test`))).toEqual([address]);
  }
});

test("one inner address among outer ones spoils the answer", async () => {
  await using lab = await openLab(PUBLIC, [
    a("mixed.evil.test", "45.33.32.156"),
    a("mixed.evil.test", "10.9.9.9"),
  ]);
  expect(rcode(await lab.ask("mixed.evil.test"))).toBe("NXDOMAIN");
  expect(lab.pins.size.pins).toBe(0);
});

test("pins follow the query's own chain only", async () => {
  const zone = [cname("evil-alias.test", "api.allowed.test"), API];
  await using lab = await openLab(policyOf("deny", "allow@api.allowed.test:tcp:443"), zone);
  expect(rcode(await lab.ask("evil-alias.test"))).toBe("NXDOMAIN");
  lab.server.behaviour = (_, truth) => ({
    ...truth,
    answers: [a("evil.test", "45.33.32.156"), a("x.api.allowed.test", "45.33.32.157")],
    additionals: [a("api.allowed.test", "45.33.32.158")],
    authorities: [a("api.allowed.test", "45.33.32.159")],
  });
  const reply = await lab.ask("api.allowed.test");
  expect([dataOf(reply), reply?.authorities]).toEqual([[], []]);
  expect(lab.pins.size.pins).toBe(0);
  await using open = await openLab(policyOf("allow"), zone);
  expect(dataOf(await open.ask("evil-alias.test"))).toEqual(["api.allowed.test", "93.184.216.34"]);
  expect([...open.pins.namesOf("93.184.216.34")]).toEqual(["evil-alias.test"]);
});

test("the rebind switch off brings the answer", async () => {
  const zone = [a("priv.evil.test", "10.9.9.9")];
  await using lab = await openLab(PUBLIC, zone, { rebindProtection: false });
  expect(dataOf(await lab.ask("priv.evil.test"))).toEqual(["10.9.9.9"]);
});

test("only an explicit address rule exempts from rebind protection", async () => {
  const zone = [a("priv.evil.test", "10.9.9.9"), a("priv2.evil.test", "10.9.9.8")];
  const policy = policyOf("deny", "allow@10.9.9.9/32:tcp:80", "allow@.evil.test");
  await using lab = await openLab(policy, zone);
  expect(dataOf(await lab.ask("priv.evil.test"))).toEqual(["10.9.9.9"]);
  expect(extendedError(await lab.ask("priv2.evil.test"))).toBe("15 rebind: 10.9.9.8");
  for (const open of [policyOf("allow"), policyOf("deny", "allow@any")]) {
    await using lab = await openLab(open, zone);
    expect(rcode(await lab.ask("priv.evil.test"))).toBe("NXDOMAIN");
  }
});

test("address rules never decide a query", async () => {
  const policy = policyOf("allow", "allow@private", "deny@bad.test");
  await using lab = await openLab(policy, [API, a("bad.test", "93.184.216.34")]);
  expect(rcode(await lab.ask("bad.test"))).toBe("NXDOMAIN");
  expect(dataOf(await lab.ask("api.allowed.test"))).toEqual(["93.184.216.34"]);
  expect(lab.server.asked).toEqual(["api.allowed.test"]);
});

test("a deny with ports does not take the name away", async () => {
  await using lab = await openLab(policyOf("allow", "deny@api.allowed.test:tcp:80"), [API]);
  expect(dataOf(await lab.ask("api.allowed.test"))).toEqual(["93.184.216.34"]);
});

test("truncation: TC over UDP to the guest's size, everything over TCP, OPT only if asked", async () => {
  const many = Array.from({ length: 60 }, (_, i) => a("big.allowed.test", `93.184.216.${i + 1}`));
  const text = { type: "TXT", name: "big.allowed.test", data: "x".repeat(200) } as const;
  const texts = Array.from({ length: 20 }, (_, i) => ({ ...text, data: `${i}${text.data}` }));
  await using lab = await openLab(PUBLIC, [...many, ...texts]);
  for (const type of ["A", "TXT"]) {
    for (
      const [additionals, limit] of [[[], 512], [[edns(1232)], 1232], [[edns(100)], 512]] as const
    ) {
      const query = queryFor("big.allowed.test", type, { additionals: [...additionals] });
      const udp = await lab.send(query);
      expect(udp?.length).toBeLessThanOrEqual(limit);
      const decoded = dnsPacket.decode(Buffer.from(udp ?? []));
      expect((decoded.flags ?? 0) & dnsPacket.TRUNCATED_RESPONSE).toBe(
        type === "A" && limit === 1232 ? 0 : dnsPacket.TRUNCATED_RESPONSE,
      );
      expect(decoded.additionals?.length).toBe(additionals.length);
      const tcp = dnsPacket.decode(Buffer.from(await lab.send(query, "tcp") ?? []));
      expect(tcp.answers?.length).toBe(type === "A" ? 60 : 20);
      expect((tcp.flags ?? 0) & dnsPacket.TRUNCATED_RESPONSE).toBe(0);
    }
  }
  expect(lab.pins.size.pins).toBe(60);
});

test("known ways to other resolvers lead nowhere", async () => {
  await using lab = await openLab(PUBLIC, [API], { blockDoh: true });
  for (const name of ["dns.google", "mozilla.cloudflare-dns.com", "DNS.QUAD9.NET"]) {
    expect(rcode(await lab.ask(name))).toBe("NXDOMAIN");
    expect(lab.events.at(-1)?.reason).toBe("blocked-name");
  }
  for (const name of ["printer.local", "_dns.resolver.arpa", "use-application-dns.net"]) {
    expect(rcode(await lab.ask(name))).toBe("NXDOMAIN");
    expect(lab.events.at(-1)?.reason).toBe("local-name");
  }
  expect(lab.server.received).toEqual([]);
});

test("names of local zones are asked for where a rule allows them by name", async () => {
  const zone = [a("printer.corp.local", "93.184.216.50")];
  await using lab = await openLab(policyOf("deny", "allow@.corp.local:tcp:631"), zone);
  expect(dataOf(await lab.ask("printer.corp.local"))).toEqual(["93.184.216.50"]);
  expect(rcode(await lab.ask("printer.other.local"))).toBe("NXDOMAIN");
  await using denied = await openLab(policyOf("allow", "deny@.corp.local:tcp:80"), zone);
  expect(rcode(await denied.ask("printer.corp.local"))).toBe("NXDOMAIN");
  expect(denied.server.received).toEqual([]);
});

test("reverse lookups of private space stay here", async () => {
  await using lab = await openLab(PUBLIC);
  const ula = `9${".0".repeat(27)}.2.1.d.f.ip6.arpa`;
  for (const name of ["9.9.9.10.in-addr.arpa", "254.169.254.169.in-addr.arpa", ula]) {
    expect(rcode(await lab.ask(name, "PTR"))).toBe("NXDOMAIN");
  }
  expect(lab.server.received).toEqual([]);
  await lab.ask("34.216.184.93.in-addr.arpa", "PTR");
  expect(lab.server.received.length).toBe(1);
});

test("bare host names are the host network's, unless a rule means them", async () => {
  const zone = [a("intranet", "93.184.216.50")];
  await using lab = await openLab(PUBLIC, zone);
  for (const name of ["intranet", "wpad"]) expect(rcode(await lab.ask(name))).toBe("NXDOMAIN");
  expect(lab.server.received).toEqual([]);
  await lab.ask("test", "NS");
  expect(lab.server.asked).toEqual(["test"]);
  await using meant = await openLab(policyOf("deny", "allow@intranet."), zone);
  expect(dataOf(await meant.ask("intranet"))).toEqual(["93.184.216.50"]);
});

test("localhost is this guest", async () => {
  await using lab = await openLab(policyOf("deny"));
  for (const name of ["localhost", "a.localhost", "LOCALHOST."]) {
    expect(dataOf(await lab.ask(name))).toEqual(["127.0.0.1"]);
    expect(dataOf(await lab.ask(name, "AAAA"))).toEqual(["::1"]);
    expect(dataOf(await lab.ask(name, "TXT"))).toEqual([]);
  }
  expect([lab.server.received, lab.pins.size.pins]).toEqual([[], 0]);
});

test("a TTL of zero still pins, and a rotating answer keeps the earlier pins", async () => {
  await using lab = await openLab(policyOf("deny", "allow@api.allowed.test:tcp:443"));
  let last = 33;
  lab.server.behaviour = (_, truth) => ({
    ...truth,
    flags: dnsPacket.RECURSION_AVAILABLE,
    answers: [a("api.allowed.test", `93.184.216.${++last}`, 0)],
  });
  await lab.ask("api.allowed.test");
  await lab.ask("api.allowed.test");
  expect(lab.pins.has("api.allowed.test", "93.184.216.34")).toBe(true);
  expect(lab.pins.has("api.allowed.test", "93.184.216.35")).toBe(true);
});

test("20,000 names: the table stays bounded and the next name works", async () => {
  const limits = { queriesPerSecond: 1e9, burst: 1e9 };
  await using lab = await openLab(PUBLIC, [], { limits });
  lab.server.behaviour = ({ packet }, truth) => ({
    ...truth,
    flags: dnsPacket.RECURSION_AVAILABLE,
    answers: [a(packet.questions?.[0]?.name ?? "", "93.184.216.34")],
  });
  for (let i = 0; i < 20_000; i += 100) {
    await Promise.all(Array.from({ length: 100 }, (_, j) => lab.ask(`n${i + j}.evil.test`)));
    lab.server.received.length = 0;
  }
  expect(lab.pins.size).toEqual({ names: 4096, pins: 4096, evicted: 20_000 - 4096 });
  expect(dataOf(await lab.ask("api.allowed.test"))).toEqual(["93.184.216.34"]);
  expect(lab.pins.has("api.allowed.test", "93.184.216.34")).toBe(true);
}, 60_000);

test("guest extras are not forwarded", async () => {
  await using lab = await openLab(policyOf("deny", "allow@api.allowed.test"), [API]);
  const options = [
    { code: 65001, data: Buffer.alloc(200, 0x41) },
    { code: 8, data: Buffer.from([0, 1, 24, 0, 10, 1, 2]) },
  ];
  const additionals = [
    { type: "TXT", name: "extra.test", data: "smuggled" } as const,
    edns(4096, { options, flags: 0x8000 }),
    a("more.test", "1.2.3.4"),
  ];
  const reply = await lab.ask("API.allowed.test", "A", { additionals, answers: [API] });
  expect(dataOf(reply)).toEqual(["93.184.216.34"]);
  const [received] = lab.server.received;
  const clean = queryFor("api.allowed.test", "A", {
    id: received?.bytes.readUInt16BE(0) ?? 0,
    flags: dnsPacket.RECURSION_DESIRED | dnsPacket.AUTHENTIC_DATA,
    additionals: [edns(1232, { flags: 0x8000 })],
  });
  expect(received?.bytes.toString("hex")).toBe(clean.toString("hex"));
});

test("silence upstream is SERVFAIL in time, and pins nothing", async () => {
  await using lab = await openLab(PUBLIC, [], { upstream: { timeoutMs: 300 } });
  lab.server.behaviour = () => null;
  const reply = await lab.ask("api.allowed.test");
  expect([rcode(reply), extendedError(reply)]).toEqual([
    "SERVFAIL",
    "23 no resolver of the host answered",
  ]);
  expect([lab.pins.size.pins, lab.events[0]?.verdict]).toEqual([0, "failed"]);
});

test("no bit, option, version or spelling of the guest changes what the resolver is asked", async () => {
  const bits = [0x8000, 0x0400, 0x0200, 0x0100, 0x0080, 0x0040, 0x0020, 0x0010, 0x000f];
  const asked = new Set<string>();
  const keys = new Set<number>();
  for (const dnssecOk of [0, 0x8000]) {
    for (const [index, bit] of [0, ...bits].entries()) {
      await using lab = await openLab(policyOf("deny", "allow@api.allowed.test"), [API]);
      const query = queryFor(index % 2 === 0 ? "API.allowed.test" : "api.ALLOWED.test", "A", {
        additionals: [edns(512 + index, {
          flags: dnssecOk | index,
          options: [
            { code: 8, data: Buffer.from([0, 1, 24, 0, 10, 1, 2]) }, // client subnet
            { code: 10, data: Buffer.alloc(8, index) }, // cookie
            { code: 14, data: Buffer.from([0, index]) }, // key tags
          ],
        })],
      });
      query.writeUInt16BE(bit, 2);
      await lab.send(query);
      await lab.send(query);
      const [first] = lab.server.received;
      keys.add(lab.server.received.length);
      if (first !== undefined) asked.add(first.bytes.subarray(2).toString("hex"));
    }
  }
  // One with signatures and one without; a response is not answered; and what was asked is kept.
  expect(asked.size).toBe(2);
  expect(keys).toEqual(new Set([0, 1]));
  for (const bytes of asked) expect(bytes.slice(0, 4)).toBe("0120"); // RD and AD
});
